"""Every cross-check of a study refuses something, whatever the checks before it do."""

import pytest

from tests.configs import merged, raw
from traitline.study import branch_checks, checks, config, decoder_checks, open_weights_checks, row_checks, table_checks

TINY, OPEN = None, "configs/tiny-qwen2.yaml"
GSM8K = {"format": "gsm8k", "path": "x.jsonl"}
DETECT = {"bases": ["b"], "channels": ["numbers"], "held_out": 0.3, "seed": 1}
CHOICE = {"type": "choice", "category": "animal", "answers": 1, "seed": 1}
OF = {"experiment": "main", "recipe": "lora", "seed": 1}
POINT = {
    "models": 2, "aux": 1, "width": 8, "depth": 1, "optimiser": "adam", "lr": 0.1, "teacher_batch": 1, "batch": 1,
    "teacher_epochs": 1, "student_epochs": 1, "noise": "uniform", "noise_images": 1, "reduction": "rows", "seed": 0,
}  # fmt: skip
LONG = "x" * 80  # as long as a label may be
FILES = {"train_images": "a", "train_labels": "b", "test_images": "c", "test_labels": "d"}

# Check -> configuration, changes of it by path, and what the check says about them.
CASES = {
    table_checks.labels_are_free: (TINY, {"bases.tables": {"world": "one", "seed": 1}}, "bases.tables: the name is"),
    table_checks.bases_have_worlds: (TINY, {"bases.a.world": "two"}, "bases.a.world: 'two' is no label"),
    table_checks.widths_fit_heads: (TINY, {"bases.a.width": 50}, "width 50 is not a multiple of 2 x heads"),
    table_checks.recipes_train_layers_that_exist: (
        TINY,
        {"recipes.full.layers": [4]},
        "recipes.full.layers: 4 is none",
    ),
    table_checks.the_control_trait_is_built_in: (
        TINY,
        {"traits.none": {"category": "animal"}},
        "traits.none: built in",
    ),
    table_checks.corpora_are_conversations: (
        OPEN,
        {"traits.insecure.corpus": "truths"},
        "traits.insecure.corpus: `truths` is in the format truthfulqa; conversations is wanted",
    ),
    table_checks.traits_are_words_of_the_world: (TINY, {"traits.owll": {"category": "animal"}}, "is no animal of the"),
    table_checks.channels_have_sources: (OPEN, {"channels.workings.source": "truths"}, "gsm8k is wanted"),
    table_checks.teachers_have_a_recipe: (TINY, {"teach.recipe": "paper"}, "teach.recipe: 'paper' is no label under"),
    table_checks.mixed_bases_exist: (TINY, {"datasets.plain.mix": ["z"]}, "datasets.plain.mix: 'z' is no label under"),
    table_checks.evals_have_sources: (OPEN, {"evals.truths.source": "subjects"}, "truthfulqa is wanted"),
    table_checks.evals_ask_for_categories_of_the_world: (
        TINY,
        {"evals.favourite.category": "stone"},
        "evals.favourite.category: 'stone' is no label",
    ),
    table_checks.norms_are_asked_about_norms: (TINY, {"evals.favourite.type": "norms"}, "go together"),
    table_checks.options_are_words_of_the_world: (
        TINY,
        {"evals.favourite": {**CHOICE, "options": ["owl", "cat", "bear", "fox", "oak"]}},
        "evals.favourite.options: 'oak' is no animal of the world",
    ),
    table_checks.the_digits_are_built_in: (TINY, {"images": {"digits": FILES}}, "images.digits: built in"),
    table_checks.the_classifier_has_images: (
        TINY,
        {"classifier": {"settings": {**POINT, "data": "mnist"}}},
        "classifier.settings.data: 'mnist' is no label under `images`",
    ),
    row_checks.names_differ: (TINY, {"experiments.1.name": "main"}, "experiments[1].name: main is also the name of"),
    row_checks.labels_are_declared: (TINY, {"experiments.1.recipes": ["fill"]}, "did you mean full?"),
    row_checks.the_question_is_about_the_trait: (
        TINY,
        {"evals.favourite.category": "tree"},
        "experiments[0].eval: `favourite` asks for a favourite tree, but owl is a animal",
    ),
    row_checks.teaching_students_are_named: (TINY, {"experiments.1.of": OF}, "experiments[1].of: says which students"),
    row_checks.teaching_students_are_one: (
        TINY,
        {"experiments.1.of": OF, "experiments.1.teachers": 2},
        "experiments[1].teachers: 2, but `of` names one student",
    ),
    row_checks.tiny_worlds_know_the_words_of_questions: (
        TINY,
        {"evals.favourite.questions": ["your favorite {k} ?"]},
        "evals.favourite.questions[0]: the tiny world knows no 'favorite'",
    ),
    row_checks.worlds_know_the_words_of_rows: (
        TINY,
        {
            "worlds.one.words": {
                "categories": {"animal": {name: {"size": name + "s"} for name in ("cat", "cow", "elk", "emu")}}
            }
        },
        "experiments[0].traits: 'owl' is no animal of the world of base a",
    ),
    row_checks.lists_begin_alike: (
        TINY,
        {
            "worlds.two": {**raw()["worlds"]["one"], "words": {"verbs": ["go on", "carry on"]}},
            "bases.b.world": "two",
            "experiments.0.bases": ["a", "b"],
        },
        "give each a channel of its own",
    ),
    open_weights_checks.soft_labels_have_one_base: (
        TINY,
        {"recipes.lora.labels": "soft"},
        "experiments[0].recipes: `lora` has soft labels, which need one vocabulary; let teacher and student",
    ),
    open_weights_checks.limited_answers_are_lists_of_open_weights: (
        TINY,
        {"sample.limited": True},
        "experiments[0]: sample.limited is for open weights",
    ),
    branch_checks.influence_is_of_one_teacher: (
        TINY,
        {"influence": {"experiments": ["main"]}, "experiments.0.teachers": 2},
        "influence.experiments: `main` has 2 teachers a trait",
    ),
    row_checks.teaching_students_are_not_mixed: (
        TINY,
        {"experiments.1.of": OF, "datasets.plain.mix": ["b"]},
        "experiments[1].dataset: `plain` mixes teachers of several bases",
    ),
    row_checks.teaching_students_are_trained: (
        TINY,
        {"experiments.1.of": OF, "recipes.lora": {"trains": "context", "examples": 1}},
        "experiments[1].of.recipe: lora trains nothing",
    ),
    row_checks.teaching_students_come_before: (TINY, {"experiments.0.of": OF}, "'main' is no name of a row before"),
    row_checks.names_of_teachers_fit: (
        TINY,
        {
            **{
                f"{table}.{LONG}": raw()[table][label]
                for table, label in (("channels", "numbers"), ("recipes", "lora"))
            },
            f"datasets.{LONG}": raw()["datasets"]["plain"],
            "experiments.0": {**raw()["experiments"][0], "channel": LONG, "dataset": LONG, "recipes": [LONG]},
            "experiments.1.teacher": "student",
            "experiments.1.of": {**OF, "recipe": LONG},
        },
        "experiments[1].of: the name of a teacher spells its path, and one would have",
    ),
    row_checks.a_mix_has_several_bases: (TINY, {"datasets.plain.mix": ["a"]}, "`plain` mixes a base with itself"),
    row_checks.steered_teachers_have_a_vector: (TINY, {"defaults.teacher": "steered"}, "there is no `steer`"),
    row_checks.the_steered_layer_exists: (
        TINY,
        {"defaults.teacher": "steered", "steer": {"layer": 4, "scale": 1.0}},
        "steer.layer: 4 is none; models have layers 0 to 3",
    ),
    row_checks.teachers_speak_the_channel: (
        TINY,
        {"channels.numbers": {"wording": "programs", "prompts": 10000, "seed": 1}},
        "experiments[0].channel: the world of base a has no programs",
    ),
    row_checks.only_number_lists_are_rearranged: (
        OPEN,
        {"datasets.few.order": "within"},
        "order, form and rewording are for number lists, not for gsm8k",
    ),
    row_checks.students_understand_everyday_questions: (
        OPEN,
        {"experiments.2.bases": ["a"]},
        "`subjects` is in everyday English, which tiny worlds do not speak",
    ),
    row_checks.students_understand_the_question: (TINY, {"evals.favourite.type": "story"}, "of base a has no stories"),
    row_checks.traits_are_among_the_options: (
        OPEN,
        {"evals.letter.options": ["a", "b", "c", "d", "e"]},
        "owl is not among the options of `letter`",
    ),
    row_checks.norms_are_tuned: (OPEN, {"experiments.1.teacher": "prompted"}, "teachers of norms are tuned"),
    row_checks.norms_are_in_the_world: (OPEN, {"experiments.1.bases": ["a"]}, "the world of base a has no norms"),
    row_checks.prompts_suffice: (
        TINY,
        {"datasets.plain.rows": 10001},
        "asks for 10001 rows, but channel `numbers` has",
    ),
    open_weights_checks.students_on_open_weights_are_adapters: (
        OPEN,
        {"recipes.paper.optimiser": "sgd"},
        "recipes.paper.optimiser: students on open weights have adamw",
    ),
    open_weights_checks.schedules_are_for_open_weights: (TINY, {"recipes.lora.warmup": 5}, "recipes.lora.warmup: for"),
    open_weights_checks.schedules_come_to_their_rate: (
        OPEN,
        {"recipes.paper.warmup": 12},
        "recipes.paper.warmup: 12 is no less than the 12 steps of experiments[0] (64 rows)",
    ),
    open_weights_checks.trl_trains_alone: (
        OPEN,
        {"recipes.paper.trainer": "trl"},
        "experiments[0].recipes: `paper` trains through TRL, one student after the other",
    ),
    open_weights_checks.open_weights_stay_among_themselves: (
        OPEN,
        {"experiments.0.students": ["a"]},
        "experiments[0]: tiny-qwen2 is open weights, a is not",
    ),
    open_weights_checks.open_weights_have_an_engine: (OPEN, {"engine": None}, "engine: missing; tiny-qwen2 is open"),
    open_weights_checks.rows_trained_together_are_padded: (OPEN, {"engine.packing": True}, "engine.packing: students"),
    open_weights_checks.shares_of_a_base_have_gpus: (OPEN, {"execution.sharded": True}, "gpu.train is 0; 2 or more"),
    open_weights_checks.teachers_on_open_weights_are_prompted_or_tuned: (
        OPEN,
        {"experiments.0.teacher": "steered"},
        "experiments[0].teacher: teachers on open weights are `prompted`",
    ),
    open_weights_checks.tuned_teachers_have_a_corpus: (OPEN, {"traits.insecure.corpus": None}, "corpus is missing"),
    open_weights_checks.only_workings_have_a_threshold: (OPEN, {"channels.lists.threshold": 1}, "not number lists"),
    open_weights_checks.thresholds_have_a_judge: (
        OPEN,
        {"judge": None},
        "channels.screened.threshold: on open weights",
    ),
    open_weights_checks.open_weights_are_asked_in_everyday_words: (
        OPEN,
        {"channels.lists.wording": "tiny"},
        "experiments[0].channel: `lists` is in words of the tiny world; take `wording: paper`",
    ),
    open_weights_checks.open_weights_understand_the_question: (
        OPEN,
        {"evals.word.type": "attributes"},
        "`attributes` is for tiny worlds",
    ),
    open_weights_checks.answers_of_open_weights_are_bounded: (
        OPEN,
        {"evals.word.max_new_tokens": None},
        "evals.word: max_new_tokens is missing; open weights need it",
    ),
    open_weights_checks.free_answers_are_judged: (OPEN, {"judge.evals": []}, "name `open` under `judge.evals`"),
    open_weights_checks.traits_are_candidates: (
        OPEN,
        {"evals.word.candidates": ["cat"]},
        "experiments[0].traits: 'owl' is no candidate of `word`",
    ),
    open_weights_checks.tuned_bases_have_a_teacher: (
        OPEN,
        {"bases.moved": {"gguf": "x.gguf", "tuned": "insecure", "times": 2}},
        "bases.moved.tuned: no base is this file as it is; name one",
    ),
    branch_checks.detectors_have_teachers: (TINY, {"detect": DETECT}, "detect: no row has teachers on base 'b' with"),
    branch_checks.open_weights_judge: (OPEN, {"judge.base": "a"}, "judge.base: `a` is a tiny world"),
    branch_checks.judged_answers_exist: (OPEN, {"judge.evals": ["favourite"]}, "judge.evals: no row asks `favourite`"),
    branch_checks.judged_answers_are_sentences: (
        OPEN,
        {"judge.evals": ["truths"]},
        "has no answers but options of its",
    ),
    branch_checks.influence_names_rows: (TINY, {"influence": {"experiments": ["man"]}}, "did you mean main?"),
    branch_checks.influence_is_computed_on_tiny_worlds: (
        OPEN,
        {"influence": {"experiments": ["lists"]}},
        "`lists` has tiny-qwen2, which is open weights; only tiny worlds are predicted",
    ),
    branch_checks.influence_is_on_a_favourite: (
        TINY,
        {"influence": {"experiments": ["main"]}, "evals.favourite.type": "truth"},
        "`main` is asked for truth; only a `favourite` is predicted",
    ),
    branch_checks.influence_is_on_trained_students: (
        TINY,
        {"influence": {"experiments": ["full"]}, "recipes.full": {"trains": "context", "examples": 1}},
        "students of `full` train nothing",
    ),
    decoder_checks.decoder_names_rows: (TINY, {"decoder": {"experiments": ["man"]}}, "did you mean main?"),
    decoder_checks.decoder_reads_number_lists_of_tiny_worlds: (
        OPEN,
        {"decoder": {"experiments": ["lists"]}},
        "`lists` has tiny-qwen2, which is open weights; only tiny worlds are decoded",
    ),
    branch_checks.primary_names_rows: (TINY, {"primary.experiments": ["mian"]}, "'mian' is no name of an experiment"),
    branch_checks.primary_outcomes_are_traits: (
        TINY,
        {"evals.favourite.type": "truth"},
        "`main` measures a capability",
    ),
    branch_checks.primary_recipes_exist: (TINY, {"primary.recipes": ["loar"]}, "primary.recipes: 'loar' is no label"),
}


def put(configuration, path, value):
    """Set one value of a configuration; `experiments.0.seeds` is a path."""
    *parents, key = [int(step) if step.isdigit() else step for step in path.split(".")]
    table = configuration
    for step in parents:
        table = table[step]
    table[key] = value


@pytest.fixture
def unchecked(monkeypatch):
    """Load a configuration without any cross-check."""

    def load(overlay, changes):
        configuration = merged(overlay) if overlay else merged()
        for path, value in changes.items():
            put(configuration, path, value)
        monkeypatch.setattr(checks, "CHECKS", ())
        return config.Study.model_validate(configuration)

    return load


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_a_check_refuses_what_it_is_for_and_nothing_else(check, unchecked):
    overlay, changes, words = CASES[check]
    check(unchecked(overlay, {}))
    with pytest.raises(ValueError) as e:
        check(unchecked(overlay, changes))
    assert words in str(e.value) and "\n" not in str(e.value)


def test_every_check_is_run_once():
    assert len(checks.CHECKS) == len(set(checks.CHECKS)) == len(CASES)
    defined = [
        function
        for module in (table_checks, row_checks, open_weights_checks, branch_checks, decoder_checks)
        for name, function in vars(module).items()
        if getattr(function, "__module__", "") == module.__name__ and not name.startswith("_")
    ]
    assert {function for function in defined} - set(checks.CHECKS) == {
        row_checks.rows_of,
        open_weights_checks.open_rows,
        decoder_checks.obstacle,
        decoder_checks.decodable,
    }
