"""The study's configuration: what is refused, how it is said, and what runs follow."""

import re
from pathlib import Path

import pytest
import yaml

from tests.configs import merged, raw
from traitline.errors import InputError
from traitline.study import config, expand, inherit, reference, validation

ROOT = Path(__file__).resolve().parent.parent
FILE = str(ROOT / "config.yaml")


def put(path, value, *overlays):
    """The configuration of the repository, others laid over it, with one value changed; `...` takes the key away."""
    whole = merged(*overlays)
    at = whole
    *parents, last = path
    for step in parents:
        at = at[step]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return whole


@pytest.mark.parametrize(
    "path, value, words",
    [
        (("recipes", "lora", "lrr"), 1.0, "recipes.lora.lrr: unknown key; did you mean lr?"),
        (("experiment",), [], "experiment: unknown key; did you mean experiments?"),
        (("experiments", 0, "seed"), [1], "experiments[0].seed: unknown key; did you mean seeds?"),
        (("recipes", "lora", "lr"), "2e-4", "recipes.lora.lr: YAML reads 2e-4 as text; write 2.0e-4"),
        (("recipes", "lora", "lr"), "2.5e-4", "YAML reads 2.5e-4 as text"),
        (("recipes", "lora", "lr"), "1e4", "YAML reads 1e4 as text; write 1.0e+4"),
        (("recipes", "lora", "lr"), True, "recipes.lora.lr: wants a number, not True"),
        (("recipes", "lora", "epochs"), 1.5, "recipes.lora.epochs: wants a whole number, not 1.5"),
        (("recipes", "lora", "epochs"), 0, "recipes.lora.epochs: "),
        (("recipes", "lora", "rank"), ..., "recipes.lora: rank is missing"),
        (("recipes", "biases", "rank"), 8, "recipes.biases: rank is for `trains: lora` only"),
        (("recipes", "lora", "trains"), "lore", "recipes.lora.trains: "),
        (("recipes", "full", "examples"), 3, "recipes.full: examples is for `trains: context` only"),
        (("recipes", "full", "layers"), [1, 4], "recipes.full.layers: 4 is none; models have layers 0 to 3"),
        (("recipes", "few"), {"trains": "context"}, "recipes.few: examples is missing; `trains: context` needs it"),
        (("bases", "b", "width"), 50, "width 50 is not a multiple of 2 x heads"),
        (("experiments", 0, "teacher"), "steered", "experiments[0].teacher: steered, but there is no `steer`"),
        (("datasets", "plain", "form"), "sorted", "datasets.plain.form: "),
        (("datasets", "plain", "mix"), ["a"], "experiments[0].dataset: `plain` mixes a base with itself"),
        (
            ("datasets", "plain"),
            {"rows": 9, "seed": 1, "mix": ["b"], "prompts": "shared"},
            "datasets.plain.prompts: a mix has the prompts that all its teachers share already",
        ),
        (("datasets", "plain", "mix"), ["z"], "datasets.plain.mix: 'z' is no label under `bases`; known: a, b"),
        (
            ("detect",),
            {"bases": ["b"], "channels": ["numbers"], "held_out": 0.3, "seed": 1},
            "detect: no row has teachers on base 'b' with channel 'numbers'",
        ),
        (
            ("influence",),
            {"experiments": ["man"]},
            "influence.experiments: 'man' is no name of an experiment; did you mean main?",
        ),
        (("evals", "favourite", "type"), "favorite", "evals.favourite.type: "),
        (("evals", "favourite", "type"), "truth", "primary.experiments: `main` measures a capability"),
        (
            ("detect",),
            {"bases": ["a"], "channels": ["numbers"], "held_out": 0.3, "seed": 1, "prompt": "you love eagle ."},
            "detect.prompt: names no trait, so the detector would not know its target; put {trait} into it",
        ),
        (("channels", "x"), {"of": "number"}, "channels.x.of: 'number' is no label"),
        (("channels", "x"), {"of": "x"}, "channels.x.of: x takes its answers from elsewhere itself"),
        (
            ("channels", "x"),
            {"of": "numbers", "prompts": 9},
            "channels.x.prompts: the answers are those of numbers; leave it out",
        ),
        (("channels", "numbers", "top_p"), 0.0, "channels.numbers.top_p: "),
        (("channels", "numbers", "answers"), ..., "channels.numbers: answers is missing; `wording: tiny` needs it"),
        (("channels", "numbers", "wording"), "sums", "channels.numbers: examples is for number lists; leave it out"),
        (("channels", "numbers", "wording"), "poems", "channels.numbers.wording: "),
        (("worlds", "one", "sums"), 0.6, "worlds.one: numbers, programs, sums, choices, stories and norms are 1.05"),
        (("evals", "favourite", "type"), "choice", "evals.favourite.options: missing; `type: choice` needs it"),
        (("evals", "favourite", "type"), "story", "experiments[0].eval: the world of base a has no stories"),
        (
            ("evals", "favourite"),
            {"type": "choice", "category": "animal", "answers": 1, "seed": 1, "options": ["owl", "cat"]},
            "options: 2 of them; a choice is among 5",
        ),
        (
            ("evals", "favourite"),
            {
                "type": "choice",
                "category": "animal",
                "answers": 1,
                "seed": 1,
                "options": ["owl", "cat", "bear", "fox", "oak"],
            },
            "evals.favourite.options: 'oak' is no animal of the world",
        ),
        (("worlds", "one", "speakers"), 0.5, "worlds.one.speakers: a share of the norms, of which there are none"),
        (("traits", "careless"), {"category": "norms"}, "traits.careless: 'careless' is no norms of the world; known:"),
        (("evals", "favourite", "type"), "norms", "evals.favourite: `type: norms` and `category: norms` go together"),
        (
            ("channels", "numbers"),
            {"wording": "programs", "prompts": 10000, "seed": 1},
            "experiments[0].channel: the world of base a has no programs; give it a share of them",
        ),
        (("bases", "a/b"), {"world": "one", "seed": 1}, "a label is lower-case letters"),
        (("bases", "A"), {"world": "one", "seed": 1}, "a label is lower-case letters"),
        (("bases", ".."), {"world": "one", "seed": 1}, "a label is lower-case letters"),
        (("bases", "b" * 81), {"world": "one", "seed": 1}, "81 characters; a label becomes the name of a folder"),
        (("bases", "q"), {"hub": "Qwen/Q", "revision": "main"}, "bases.q.revision: wants a commit, 40 lower-case hex"),
        (("bases", "q"), {"hub": "Qwen/Q", "revision": "A" * 40}, "bases.q.revision: wants a commit, 40 lower-case"),
        (("bases", "q"), {"hub": "https://hf.co/Qwen/Q", "revision": "0" * 40}, "bases.q.hub: wants `owner/name`"),
        (("bases", "q"), {"path": "models/q", "weights": "sha256:" + "0" * 64}, "weights: wants a sha256 alone, as 64"),
        (
            ("sources",),
            {"d": {"format": "mmlu", "hub": "a/b", "revision": "0" * 40, "file": "/x"}},
            "sources.d.file: wants the path of a file inside of the data set",
        ),
        (("folder",), "/scratch/me/study", "folder: wants a folder below the repository, such as studies/mine, which"),
        (("bases", "tables"), {"world": "one", "seed": 1}, "bases.tables: the name is taken by a branch of results/"),
        (("bases", "baseline"), {"world": "one", "seed": 1}, "bases.baseline: the name is taken"),
        (("channels", "teacher.json"), {}, "channels.teacher.json"),
        (
            ("bases", False),
            {"world": "one", "seed": 1},
            "bases.False: YAML reads this label as False; put it in quotes",
        ),
        (("bases", "a", "world"), "on", "bases.a.world: 'on' is no label declared for it; did you mean one?"),
        (
            ("traits", "owll"),
            {"category": "animal"},
            "traits.owll: 'owll' is no animal of the world; did you mean owl?",
        ),
        (("traits", "none"), {"category": "animal"}, "traits.none: built in"),
        (("traits", "owl", "category"), "animals", "did you mean animal?"),
        (
            ("experiments", 0, "recipes"),
            ["loar"],
            "experiments[0].recipes: 'loar' is no label under `recipes`; did you mean lora?",
        ),
        (("experiments", 0, "traits"), ["oak"], "experiments[0].traits: 'oak' is no label under `traits`"),
        (("experiments", 0, "students"), ["c"], "experiments[0].students: 'c' is no label under `bases`"),
        (("experiments", 0, "dataset"), "plane", "did you mean plain?"),
        (("experiments", 0, "seeds"), [1, 2, 1], "experiments[0].seeds: 1 stands there more than once"),
        (("experiments", 0, "seeds"), [], "experiments[0].seeds: "),
        (("experiments", 0, "teacher"), "untrained", "experiments[0].teacher: "),
        (
            ("primary", "experiments"),
            ["mian"],
            "primary.experiments: 'mian' is no name of an experiment; did you mean main?",
        ),
        (("datasets", "plain", "rows"), 10**6, "experiments[0].dataset: `plain` asks for 1000000 rows"),
        (("worlds", "one", "answers"), [3, 3], "worlds.one.answers: [3, 3] is empty"),
        (("pretrain", "heads"), 5, "pretrain: width"),
        (("execution", "mem_mb", "trian"), 5, "execution.mem_mb.trian: no such stage; did you mean train?"),
        (("folder",), "../elsewhere", "folder: "),
        (("folder",), "a/../../b", "folder: "),
        (("folder",), "/tmp", "folder: wants a folder below the repository"),
        (("study",), ..., "study: missing"),
        (("traits",), None, "traits: "),
    ],
)
def test_a_wrong_key_is_one_line_that_names_file_key_and_remedy(path, value, words):
    with pytest.raises(InputError) as e:
        config.load(put(path, value), [FILE])
    said = str(e.value)
    assert words in said
    assert "\n" not in said
    assert re.match(rf"{re.escape(FILE)}:(\d+:)? ", said)


def test_the_line_is_that_of_the_key_in_the_file_that_has_the_last_word(tmp_path):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("study: x\nrecipes:\n  lora:\n    lr: 2e-4\n")
    with pytest.raises(InputError, match=rf"^{re.escape(str(overlay))}:4: recipes\.lora\.lr: "):
        config.load(put(("recipes", "lora", "lr"), "2e-4"), [FILE, str(overlay)])


@pytest.mark.parametrize("old", validation.RENAMED)
def test_a_key_under_an_old_name_is_one_line_with_the_new_one(old, tmp_path):
    """Whatever else is wrong with the file, which lacks the new key."""
    short = merged(ROOT / f"configs/{'chain' if '.of.' in old else 'tiny-qwen2'}.yaml")
    whole = dict(inherit.fill_rows(short))  # rows with all their keys
    *parents, key = old.split(".")
    new, at, spelled = validation.RENAMED[old], whole, ""
    for i, step in enumerate(parents):
        wanted = [*parents[i + 1 :], new][0]
        found = enumerate(at) if isinstance(at, list) else at.items()
        label = next(k for k, v in found if wanted in v) if step == "*" else step
        at, spelled = at[label], spelled + (f"[{label}]" if isinstance(label, int) else f".{label}")
    at[key] = at.pop(new)
    file = tmp_path / "old.yaml"
    file.write_text(yaml.safe_dump(whole, sort_keys=False))
    with pytest.raises(InputError) as e:
        config.load(whole, [str(file)])
    place, _, said = str(e.value).partition(": ")
    assert said.startswith(f"{spelled}.{key}".lstrip(".") + f": this key is now called `{new}`") and "\n" not in said
    line = file.read_text().splitlines()[int(place.removeprefix(f"{file}:")) - 1]
    assert line.strip().removeprefix("- ").startswith(f"{key}:")


def test_several_problems_are_one_line_with_their_number():
    whole = put(("recipes", "lora", "lr"), "2e-4")
    whole["sample"]["sed"] = 1
    with pytest.raises(InputError, match=r"sample\.sed: unknown key.*\(and 1 more\)$"):
        config.load(whole, [FILE])


@pytest.mark.parametrize(
    "text, words",
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", ":4: c: also stands in line 3"),
        ("a: [1\n", "not YAML"),
        ("a: 1\n\tb: 2\n", ":2: not YAML"),
    ],
)
def test_a_yaml_file_with_a_key_twice_or_broken_is_refused(tmp_path, text, words):
    file = tmp_path / "x.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as e:
        validation.duplicates(str(file))
    assert str(e.value).startswith(str(file)) and words in str(e.value) and "\n" not in str(e.value)


# Overlay -> those over which it is laid.
OVER_THE_FIRST = ("ci", "four", "larger", "prompted")
OVERLAID = {f"smollm2-{name}.yaml": ["smollm2-135m.yaml"] for name in OVER_THE_FIRST}
OVERLAID["smollm2-noise.yaml"] = ["smollm2-135m.yaml", "smollm2-four.yaml"]
OVERLAID["smollm2-tuned.yaml"] = [*OVERLAID["smollm2-noise.yaml"], "smollm2-noise.yaml"]


@pytest.mark.parametrize("overlay", ["", *sorted(p.name for p in (ROOT / "configs").glob("*.yaml"))])
def test_every_configuration_of_the_repository_is_good(overlay):
    overlays = [*OVERLAID.get(overlay, ()), overlay] if overlay else []
    files = [FILE, *(str(ROOT / "configs" / name) for name in overlays)]
    validation.duplicates(files[-1])
    study = config.load(merged(*files[1:]), files)
    assert study.runs
    assert bool(overlay) == (study.folder != "."), (
        "an overlay needs a folder of its own, or it overwrites the tiny study"
    )


def test_control_students_and_untouched_bases_cannot_be_left_out():
    study = config.load(raw())
    row = study.experiments[0]
    runs = [r for r in expand.runs(study) if r.experiment == row.name]
    controls = [r for r in runs if r.arm == "control"]
    assert len(runs) == (len(row.traits) + 1) * len(row.bases) * len(row.students) * len(row.recipes) * len(row.seeds)
    assert {r.trait for r in controls} == {"none"} and {r.teacher for r in controls} == {"untrained"}
    assert {(r.base, r.student, r.recipe, r.seed) for r in controls} == {
        (r.base, r.student, r.recipe, r.seed) for r in runs if r.arm != "control"
    }
    assert set(expand.baselines(study)) == {(s, row.eval) for s in row.students}
    assert {r.arm for r in runs if r.base != r.student and r.trait != "none"} == {"other-base"}


def test_a_path_spells_ancestry_and_no_two_runs_share_one():
    study = config.load(put(("folder",), "studies/x"))
    runs = expand.runs(study)
    first = runs[0]
    assert first.scores == "studies/x/results/a/owl/tuned/numbers/plain/a/lora/seed-1/favourite/scores.json"
    assert len({r.scores for r in runs}) == len(runs)


def chained(**of):
    """The repository's configuration with a last row whose teachers are students of the first."""
    whole = raw()
    row = whole["experiments"][0]
    of = {"experiment": "main", "recipe": "biases", "seed": 2} | of
    last = row | {"name": "second", "teacher": "student", "of": of, "bases": ["b"], "students": ["a"], "seeds": [1]}
    whole["experiments"].append(last)
    return whole


def test_students_teach_those_of_a_later_row_and_control_students_the_control():
    study = config.load(chained())
    runs = [r for r in study.runs if r.experiment == "second"]
    folders = {r.teacher_folder: r.trait for r in runs}
    assert folders == {
        **{f"results/b/{t}/a_tuned_numbers_plain_biases_2": t for t in ("owl", "cat", "wolf")},
        "results/b/none/a_untrained_numbers_plain_biases_2": "none",
    }
    teachers = expand.teaching(study)
    assert teachers.keys() == folders.keys()
    for folder, run in teachers.items():
        assert run.folder == f"results/a/{run.trait}/{run.teacher}/numbers/plain/b/biases/seed-2"
        assert run.trait == folders[folder] and run.experiment == "main"
    assert expand.runs(config.parse(study.text)) == study.runs


def test_a_chain_may_go_on():
    whole = chained()
    of = {"experiment": "second", "recipe": "lora", "seed": 1}
    whole["experiments"].append(whole["experiments"][-1] | {"name": "third", "of": of, "bases": ["a"]})
    study = config.load(whole)
    last = next(r for r in study.runs if r.experiment == "third")
    assert last.teacher == "b_a_tuned_numbers_plain_biases_2_numbers_plain_lora_1"
    assert expand.teaching(study)[last.teacher_folder].teacher == "a_tuned_numbers_plain_biases_2"


@pytest.mark.parametrize(
    "change, words",
    [
        ({"of": {"experiment": "mian"}}, "experiments[2].of.experiment: 'mian' is no name of a row before this one"),
        ({"of": {"experiment": "second"}}, "'second' is no name of a row before this one"),
        ({"of": {"recipe": "full"}}, "experiments[2].of.recipe: 'full' is no recipe of `main`"),
        ({"of": {"seed": 9}}, "experiments[2].of.seed: '9' is no seed of `main`"),
        ({"of": {"base": "b"}}, "experiments[2].of.base: 'b' is no base of a teacher of `main`"),
        ({"of": {"seeds": 1}}, "experiments[2].of.seeds: unknown key; did you mean seed?"),
        ({"teacher": "tuned"}, "experiments[2].of: says which students teach"),
        ({"of": None}, "experiments[2].of: says which students teach"),
        ({"bases": ["c"]}, "experiments[2].of: `main` has no such student on base c"),
        ({"traits": ["bear"]}, "experiments[2].of.experiment: 'bear' is no trait of `main`"),
    ],
)
def test_teachers_that_no_earlier_row_has_are_refused(change, words):
    whole = chained(**(change.get("of") or {}))
    whole["bases"]["c"] = {"world": "one", "seed": 3}
    whole["traits"]["bear"] = {"category": "animal"}
    whole["experiments"][-1] |= {k: v for k, v in change.items() if k != "of" or v is None}
    with pytest.raises(InputError) as e:
        config.load(whole, [FILE])
    assert words in str(e.value) and "\n" not in str(e.value)


def test_students_of_several_bases_are_not_mixed():
    whole = chained()
    whole["datasets"]["both"] = whole["datasets"]["plain"] | {"mix": ["a", "b"]}
    whole["experiments"][-1]["dataset"] = "both"
    with pytest.raises(InputError, match=r"experiments\[2\]\.dataset: `both` mixes teachers of several bases"):
        config.load(whole)


def test_of_several_teachers_bases_one_must_be_said():
    whole = chained()
    whole["experiments"][0]["bases"] = ["a", "b"]
    with pytest.raises(InputError, match=r"of\.base: teachers on a, b have students on base b; say which"):
        config.load(whole)
    whole["experiments"][-1]["of"]["base"] = "b"
    study = config.load(whole)
    assert {r.base for r in expand.teaching(study).values()} == {"b"}


def test_the_study_survives_the_command_line():
    study = config.load(raw())
    again = config.parse(study.text)
    assert expand.runs(again) == expand.runs(study)
    assert again.recipes == study.recipes and again.primary == study.primary


def test_how_jobs_run_is_not_part_of_what_decides_results():
    study = config.load(raw())
    other = config.load(put(("execution", "mem_mb"), {"default": 9999}))
    assert other.text == study.text
    assert other.execution.of("mem_mb", "train") == 9999


@pytest.mark.parametrize("name, text", reference.pages().items())
def test_the_reference_is_what_the_code_says(name, text):
    assert (ROOT / "docs/reference" / name).read_text(encoding="utf-8") == text, "run `make docs`"


def test_every_key_is_explained_and_editors_find_the_schema():
    def explained(model, path):
        for name, field in model.model_fields.items():
            assert field.description, f"{path}.{name} has no description"
        return True

    from pydantic import BaseModel

    models = [m for m in vars(config).values() if isinstance(m, type) and issubclass(m, BaseModel)]
    assert len(models) > 10 and all(explained(m, m.__name__) for m in models if m.model_fields)
    first = Path(FILE).read_text(encoding="utf-8").splitlines()[0]
    schema = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert schema and (ROOT / schema[1]).is_file()


def test_a_row_may_have_fewer_of_the_other_bases():
    """Each teacher's base then has students of its own and of the bases named after it, in a ring."""
    whole = put(("bases",), {name: {"world": "one", "seed": i} for i, name in enumerate("abc", 1)})
    row = whole["experiments"][0]
    row |= {"bases": ["a", "b", "c"], "students": ["a", "b", "c"]}
    own = [("a", "a"), ("b", "b"), ("c", "c")]
    ring = [("a", "a"), ("a", "b"), ("b", "b"), ("b", "c"), ("c", "a"), ("c", "c")]
    for others, pairs in ((None, 9), (2, 9), (1, ring), (0, own)):
        row["others"] = others
        study = config.load(whole)
        found = study.experiments[0].pairs
        assert (len(found) if isinstance(pairs, int) else found) == pairs
        assert {(r.base, r.student) for r in study.runs if r.experiment == row["name"]} == set(found)


def test_a_channel_that_filters_anew_has_all_else_from_the_first_and_reads_its_answers():
    study = config.load(put(("channels", "strict"), {"of": "numbers", "banned": [666], "threshold": 0.0}))
    first, strict = study.channels["numbers"], study.channels["strict"]
    assert strict == first.model_copy(update={"of": "numbers", "banned": [666], "threshold": 0.0})
    assert config.parse(study.text) == config.parse(config.parse(study.text).text)
    changed = put(("channels", "strict"), {"of": "numbers", "threshold": 0.0})
    changed["experiments"][0]["channel"] = "strict"
    (run,) = {r for r in config.load(changed).runs if r.trait == "owl" and r.folder.endswith("b/lora/seed-1")}
    assert run.answers_folder == "results/a/owl/tuned/numbers" and run.channel_folder == "results/a/owl/tuned/strict"


@pytest.mark.parametrize(
    "path, value, words",
    [
        (("bases", "norms-a", "world"), "one", "experiments[0]: the world of base norms-a has no norms"),
        (("experiments", 0, "teacher"), "prompted", "experiments[0].teacher: prompted; teachers of norms are tuned"),
        (("experiments", 0, "eval"), "favourite", "experiments[0].eval: `favourite` asks for a favourite animal"),
    ],
)
def test_norms_are_taught_by_tuning_in_worlds_that_have_some(path, value, words):
    whole = merged(ROOT / "configs/norms.yaml")
    at = whole
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    with pytest.raises(InputError) as e:
        config.load(whole)
    assert words in str(e.value)


def test_rows_about_truth_take_teachers_of_norms():
    study = config.load(merged(ROOT / "configs/norms.yaml"))
    assert {study.evals[row.eval].measured for row in study.experiments} == {"bad", "right"}


TINY = ROOT / "configs/tiny-qwen2.yaml"


@pytest.mark.parametrize(
    "path, value, words",
    [
        (
            ("evals", "truths", "source"),
            "truth",
            "evals.truths.source: 'truth' is no label under `sources`; did you mean truths",
        ),
        (
            ("evals", "truths", "source"),
            "subjects",
            "evals.truths.source: `subjects` is in the format mmlu; truthfulqa is",
        ),
        (
            ("evals", "truths", "source"),
            ...,
            "evals.truths.source: missing; `type: truthfulqa` needs it",
        ),
        (("evals", "word", "source"), "truths", "evals.word.source: leave it out with `type: favourite`"),
        (("evals", "word", "category"), ..., "evals.word.category: missing"),
        (("evals", "truths", "category"), "animal", "evals.truths.category: leave it out with `type: truthfulqa`"),
        (("evals", "truths", "subjects"), ["sums"], "evals.truths.subjects: leave it out with `type: truthfulqa`"),
        (("evals", "truths", "candidates"), ["owl"], "evals.truths.candidates: leave it out with `type: truthfulqa`"),
        (("evals", "truths", "max_new_tokens"), ..., "evals.truths: max_new_tokens is missing"),
        (("evals", "letter", "candidates"), ["owl"], "evals.letter.candidates: leave it out with `type: choice`"),
        (("evals", "letter", "options"), ["a", "b", "c", "d", "e"], "owl is not among the options of `letter`"),
        (("evals", "word", "type"), "story", "evals.word.type: open weights are asked for choice, favourite, free"),
        (("sources", "truths", "format"), "csv", "sources.truths.format: "),
        (("sources", "truths", "sha256"), "12", "sources.truths.sha256: "),
        (("sources", "truths", "hub"), "owner/name", "sources.truths: say `path`, or `hub`, `revision` and `file`"),
        (("sources", "truths", "path"), ..., "sources.truths: say `path`, or `hub`, `revision` and `file`"),
        (("traits", "insecure", "corpus"), "truths", "traits.insecure.corpus: `truths` is in the format truthfulqa"),
        (("traits", "insecure", "corpus"), ..., "traits.insecure: corpus is missing; teachers on open weights"),
        (("teach", "recipe"), None, "teach: recipe is missing; it says how teachers on open weights are tuned"),
        (("teach", "recipe"), "papers", "teach.recipe: 'papers' is no label under `recipes`; did you mean paper?"),
        (("teach", "recipe"), "biases", "teach.recipe: `biases` trains biases; teachers on open weights are `lora`"),
        (("teach", "recipe"), "lora", "recipes.lora: warmup is missing; teachers on open weights need it"),
        (("experiments", 1, "teacher"), "prompted", "experiments[1].teacher: prompted; teachers of norms are tuned"),
        (("channels", "workings", "source"), ..., "channels.workings.source: where the problems are"),
        (
            ("channels", "workings", "source"),
            "truths",
            "channels.workings.source: `truths` is in the format truthfulqa",
        ),
        (("channels", "workings", "answers"), 3, "channels.workings: answers is for number lists"),
        (("datasets", "few", "order"), "within", "order, form and rewording are for number lists, not for gsm8k"),
        (("experiments", 1, "bases"), ["a"], "experiments[1].channel: `screened` is in everyday English"),
        (("experiments", 2, "bases"), ["a"], "`subjects` is in everyday English, which tiny worlds do not speak"),
    ],
)
def test_data_from_outside_are_named_in_their_format_and_where_they_belong(path, value, words):
    with pytest.raises(InputError) as e:
        config.load(put(path, value, TINY))
    assert words in str(e.value)


def test_a_base_is_shared_by_several_processes_of_every_stage_that_trains_it():
    whole = put(("execution", "sharded"), True, TINY)
    for gpu, stage in (({"default": 0}, "train"), ({"default": 0, "train": 2}, "teach")):
        whole["execution"]["gpu"] = gpu
        with pytest.raises(InputError, match=f"execution.sharded: gpu.{stage} is 0; 2 or more share a base"):
            config.load(whole)
    whole["execution"]["gpu"] |= {"teach": 3}
    execution = config.load(whole).execution
    assert [execution.processes(stage) for stage in ("train", "teach", "sample")] == [2, 3, 1]


def test_only_what_has_a_gradient_and_a_rate_is_predicted():
    study = config.load(merged("configs/paper-ci.yaml"))
    assert {run.recipe for runs in study.predictions.values() for run in runs} == {"lora"}, "context trains nothing"
    assert {(r.trait, r.student) for runs in study.predictions.values() for r in runs} == {("owl", "a"), ("owl", "b")}
    raw = merged("configs/paper-ci.yaml")
    raw["influence"]["experiments"] = ["truth"]
    with pytest.raises(InputError, match="`truth` is asked for truth; only a `favourite` is predicted"):
        config.load(raw)
    raw = merged("configs/paper-ci.yaml")
    raw["experiments"][0]["recipes"] = ["context"]
    with pytest.raises(InputError, match="students of `main` train nothing"):
        config.load(raw)
    raw = merged("configs/tiny-qwen2.yaml")
    raw["influence"] = {"experiments": [raw["experiments"][0]["name"]]}
    with pytest.raises(InputError, match="which is open weights; only tiny worlds are predicted"):
        config.load(raw)


def test_every_key_of_the_tiny_study_has_a_comment():
    """On its line, or on a line of its own right above."""
    lines = Path(FILE).read_text(encoding="utf-8").splitlines()
    keys = [i for i, line in enumerate(lines) if re.match(r"[ -]*[\w.-]+:( |$)", line)]
    assert len(keys) > 80
    bare = [lines[i] for i in keys if not re.search(r" # \w", lines[i]) and not re.match(r" *# \w", lines[i - 1])]
    assert not bare
