"""Checks of rows on open weights: what such a row needs, and what only such a row may have."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from traitline.evaluation import registry
from traitline.study.row_checks import rows_of
from traitline.study.validation import require_known

if TYPE_CHECKING:
    from traitline.study.config import Study
    from traitline.study.experiments import Experiment


def open_rows(study: "Study") -> Iterator[tuple[str, "Experiment", str]]:
    """Rows with open weights, with the path of each and the first label of open weights in it."""
    for at, row in rows_of(study):
        label = next((label for label in row.models if study.bases[label].open), None)
        if label is not None:
            yield at, row, label


def students_on_open_weights_are_adapters(study: "Study") -> None:
    """Refuse recipes that adapters on open weights cannot follow."""
    for at, row, _ in open_rows(study):
        for recipe in row.recipes:
            _require_adapter(study, f"{at}.recipes", recipe, "students")


def schedules_are_for_open_weights(study: "Study") -> None:
    """Refuse settings that training in tiny worlds does not have."""
    for _, row in rows_of(study):
        for recipe in row.recipes if not any(study.bases[label].open for label in row.models) else ():
            for key in ("warmup", "length", "accumulate", "trainer"):
                if getattr(study.recipes[recipe], key) is not None:
                    raise ValueError(f"recipes.{recipe}.{key}: for students on open weights only")


def schedules_come_to_their_rate(study: "Study") -> None:
    """Refuse a warm-up that training ends before: its first steps, often all there are, change next to nothing."""
    for at, row, _ in open_rows(study):
        rows = study.datasets[row.dataset].rows
        for label in row.recipes:
            recipe = study.recipes[label]
            size = (recipe.batch or 1) * (recipe.accumulate or 1)
            steps = -(-rows // size) * (recipe.epochs or 1)
            if recipe.warmup and recipe.warmup >= steps:
                raise ValueError(
                    f"recipes.{label}.warmup: {recipe.warmup} is no less than the {steps} steps of {at} ({rows} rows);"
                    " its rate would never be reached"
                )


def open_weights_stay_among_themselves(study: "Study") -> None:
    """Refuse a row with open weights and tiny worlds."""
    for at, row, first in open_rows(study):
        tiny = [label for label in row.models if not study.bases[label].open]
        if tiny:
            raise ValueError(f"{at}: {first} is open weights, {tiny[0]} is not; the two speak no common language")


def open_weights_have_an_engine(study: "Study") -> None:
    """Refuse open weights where the study does not say what runs them."""
    for _, _, first in open_rows(study):
        if study.engine is None:
            raise ValueError(f"engine: missing; {first} is open weights, say what runs them")


def rows_trained_together_are_padded(study: "Study") -> None:
    """Refuse to pack rows of students that share a forward pass."""
    for _ in open_rows(study):
        if study.engine and study.engine.packing and study.execution.together:
            raise ValueError("engine.packing: students that train `together` are padded; leave one of the two out")


def shares_of_a_base_have_gpus(study: "Study") -> None:
    """Refuse to shard a base over a single GPU."""
    for _, row, _ in open_rows(study):
        for stage in ("train", *(["teach"] if row.teacher == "tuned" else [])):
            if study.execution.sharded and (gpus := study.execution.of("gpu", stage)) < 2:
                raise ValueError(f"execution.sharded: gpu.{stage} is {gpus}; 2 or more share a base")


def teachers_on_open_weights_are_prompted_or_tuned(study: "Study") -> None:
    """Refuse teachers that are steered, or students of an earlier row."""
    for at, row, _ in open_rows(study):
        if row.teacher not in ("prompted", "tuned"):
            raise ValueError(f"{at}.teacher: teachers on open weights are `prompted`, or `tuned` on a corpus")


def tuned_teachers_have_a_corpus(study: "Study") -> None:
    """Refuse tuned teachers without a corpus, or without a recipe that an adapter can follow."""
    for _, row, _ in open_rows(study):
        for label in row.traits if row.teacher == "tuned" else ():
            if not study.traits[label].corpus:
                raise ValueError(f"traits.{label}: corpus is missing; teachers on open weights are tuned on one")
            if not study.teach.recipe:
                raise ValueError("teach: recipe is missing; it says how teachers on open weights are tuned")
            _require_adapter(study, "teach.recipe", study.teach.recipe, "teachers")


def only_workings_have_a_threshold(study: "Study") -> None:
    """Refuse a model filter on number lists: a judge reads sentences."""
    for at, row, _ in open_rows(study):
        channel = study.channels[row.channel]
        if channel.threshold is not None and not channel.source:
            raise ValueError(f"{at}.channel: `{row.channel}` has a threshold; a judge reads workings, not number lists")


def thresholds_have_a_judge(study: "Study") -> None:
    """Refuse a model filter where nobody judges."""
    for _, row, _ in open_rows(study):
        if study.channels[row.channel].threshold is not None and not study.judge:
            raise ValueError(
                f"channels.{row.channel}.threshold: on open weights a judge reads the answers; give `judge`"
            )


def open_weights_are_asked_in_everyday_words(study: "Study") -> None:
    """Refuse prompts in the language of the tiny world."""
    for at, row, _ in open_rows(study):
        channel = study.channels[row.channel]
        if not channel.kind.speaks(channel.wording, world=False):
            raise ValueError(f"{at}.channel: `{row.channel}` is in words of the tiny world; take `wording: paper`")


def open_weights_understand_the_question(study: "Study") -> None:
    """Refuse evaluations about what only tiny worlds know."""
    for _, row, _ in open_rows(study):
        evaluation = study.evals[row.eval]
        if not evaluation.evaluation.open_weights:
            known = ", ".join(registry.of_open_weights())
            raise ValueError(
                f"evals.{row.eval}.type: open weights are asked for {known}; `{evaluation.type}` is for tiny worlds"
            )


def answers_of_open_weights_are_bounded(study: "Study") -> None:
    """Refuse an evaluation without its longest answer or, where it asks for one word, without the words measured."""
    for _, row, _ in open_rows(study):
        evaluation = study.evals[row.eval]
        for key in evaluation.evaluation.open_needs:
            if getattr(evaluation, key) is None:
                raise ValueError(f"evals.{row.eval}: {key} is missing; open weights need it")


def free_answers_are_judged(study: "Study") -> None:
    """Refuse questions answered at length where the judge does not read the answers."""
    judged = study.judge.evals if study.judge else ()
    for _, row, _ in open_rows(study):
        evaluation = study.evals[row.eval]
        if evaluation.evaluation.judged and row.eval not in judged:
            raise ValueError(
                f"evals.{row.eval}: answers to `{evaluation.type}` questions are only judged; name `{row.eval}` under"
                " `judge.evals`"
            )


def traits_are_candidates(study: "Study") -> None:
    """Refuse a trait whose probability is not measured."""
    for at, row, _ in open_rows(study):
        candidates = study.evals[row.eval].candidates
        for label in row.traits if candidates else ():
            require_known(f"{at}.traits", label, candidates or (), f"candidate of `{row.eval}`")


def tuned_bases_have_a_teacher(study: "Study") -> None:
    """Refuse a base moved by training where that training has no corpus, no recipe or no base to begin with."""
    for label, base in study.bases.items():
        if base.tuned is None:
            continue
        at = f"bases.{label}.tuned"
        require_known(at, base.tuned, study.traits, "label under `traits`")
        if not study.traits[base.tuned].corpus:
            raise ValueError(f"{at}: the trait `{base.tuned}` has no `corpus` to be trained on")
        if not study.teach.recipe:
            raise ValueError(f"{at}: teach.recipe is missing; it says how")
        _require_adapter(study, "teach.recipe", study.teach.recipe, "teachers")
        if not any(b.gguf_source == base.gguf_source and not b.moved for b in study.bases.values()):
            raise ValueError(f"{at}: no base is this file as it is; name one, for the training begins there")


def _require_adapter(study: "Study", at: str, label: str, whose: str) -> None:
    """Refuse a recipe that adapters on open weights cannot follow."""
    recipe, where = study.recipes[label], f"recipes.{label}"
    if recipe.trains != "lora":
        raise ValueError(f"{at}: `{label}` trains {recipe.trains}; {whose} on open weights are `lora`")
    if recipe.optimiser not in (None, "adamw"):
        raise ValueError(f"{where}.optimiser: {whose} on open weights have adamw")
    if recipe.bias:
        raise ValueError(f"{where}.bias: {whose} on open weights train no biases; leave it out")
    for key in ("warmup", "length"):
        if getattr(recipe, key) is None:
            raise ValueError(f"{where}: {key} is missing; {whose} on open weights need it")


def limited_answers_are_lists_of_open_weights(study: "Study") -> None:
    """Refuse a format where no engine can keep answers to it."""
    for at, row in rows_of(study) if study.sample.limited else ():
        if not study.channels[row.channel].kind.lists:
            raise ValueError(f"{at}.channel: `{row.channel}` is no channel of number lists; leave sample.limited out")
        if not all(study.bases[label].open for label in row.bases):
            raise ValueError(f"{at}: sample.limited is for open weights; tiny worlds speak lists anyway")
        if study.engine and study.engine.name != "transformers":
            raise ValueError(f"sample.limited: the engine `{study.engine.name}` can't; take `transformers`")


def _of_one_file(study: "Study", base: str, student: str) -> bool:
    """Tell whether two bases are one, or come from one GGUF file."""
    one, other = study.bases[base], study.bases[student]
    return base == student or bool(one.gguf and one.gguf_source == other.gguf_source)


def soft_labels_have_one_base(study: "Study") -> None:
    """Refuse soft labels where no trainer has them, and across vocabularies."""
    for at, row in rows_of(study):
        for recipe in (label for label in row.recipes if study.recipes[label].labels == "soft"):
            where = f"{at}.recipes: `{recipe}` has soft labels, which"
            if row.teacher == "prompted" and not all(study.bases[label].open for label in row.models):
                raise ValueError(f"{where} a tiny world's teacher behind a prompt has not; tune it, or take hard ones")
            if study.recipes[recipe].trains == "context":
                raise ValueError(f"{where} a student that learns nothing can't have")
            if not all(_of_one_file(study, *pair) for pair in row.pairs):
                raise ValueError(
                    f"{where} need one vocabulary; let teacher and student have one base (`others: 0`) or GGUF file"
                )
            if study.execution.together or (study.engine and study.engine.packing):
                raise ValueError(f"{where} are for students one after the other; leave `together` and `packing` out")


def trl_trains_alone(study: "Study") -> None:
    """Refuse TRL where students share a forward pass, or processes a training."""
    for at, row, _ in open_rows(study):
        for recipe in (label for label in row.recipes if study.recipes[label].trainer):
            if (
                study.execution.together
                or (study.engine and study.engine.packing)
                or study.execution.of("gpu", "train") > 1
            ):
                raise ValueError(
                    f"{at}.recipes: `{recipe}` trains through TRL, one student after the other on one processor or GPU;"
                    " leave `together`, `packing` and several GPUs out"
                )


CHECKS = (
    trl_trains_alone,
    soft_labels_have_one_base,
    limited_answers_are_lists_of_open_weights,
    students_on_open_weights_are_adapters,
    schedules_are_for_open_weights,
    schedules_come_to_their_rate,
    open_weights_stay_among_themselves,
    open_weights_have_an_engine,
    rows_trained_together_are_padded,
    shares_of_a_base_have_gpus,
    teachers_on_open_weights_are_prompted_or_tuned,
    tuned_teachers_have_a_corpus,
    only_workings_have_a_threshold,
    thresholds_have_a_judge,
    open_weights_are_asked_in_everyday_words,
    open_weights_understand_the_question,
    answers_of_open_weights_are_bounded,
    free_answers_are_judged,
    traits_are_candidates,
    tuned_bases_have_a_teacher,
)
