"""Rises of single students in a study that need not be finished: logit of a rate minus that of the control student."""

from collections.abc import Iterable
from pathlib import Path

from traitline import json_files
from traitline.analysis import stats
from traitline.study.config import Study
from traitline.study.runs import NONE, Run

SCARCE = "too few answers passed the filter (a rule that was added after the study ran)"


def rate(run: Run, word: str) -> float | None:
    """Exact rate of a word among a student's answers; None where it has not been asked."""
    path = Path(run.scores)
    return float(json_files.read_object(path)["exact"]["overall"][word]) if path.is_file() else None


def reached(run: Run) -> bool:
    """Tell whether the teacher reached the rate that it was tuned for."""
    return json_files.read_object(f"{run.teacher_folder}/teacher.json").get("reached", True) is not False


def short_of_rows(study: Study, run: Run) -> str:
    """`151 answers of 4,000` where too few of a teacher's answers passed the filter for a student's data."""
    counts, rows = Path(run.channel_folder, "filtered.json"), study.datasets[run.dataset].rows
    kept = int(json_files.read_object(counts)["kept"]) if counts.is_file() else rows
    return f"{kept:,} answers of {rows:,}" if kept < rows else ""


def rise(study: Study, run: Run) -> float | None:
    """Rise of a taught student, in logits; None where it or its control has not been asked, or a teacher is left out.

    A teacher is left out that missed its rate, or of whose answers too few passed the filter.
    """
    control = study.control(run)
    taught, beside = rate(run, run.trait), rate(control, run.trait)
    if taught is None or beside is None or not reached(run) or any(short_of_rows(study, r) for r in (run, control)):
        return None
    return stats.logit(taught) - stats.logit(beside)


def taught(study: Study, recipe: str) -> Iterable[Run]:
    """Runs of taught students of a recipe."""
    return (run for run in study.runs if run.trait != NONE and run.recipe == recipe)


def by_base(study: Study, recipe: str) -> dict[str, float]:
    """base -> mean rise over the traits of its students of a recipe that have one, in logits."""
    found: dict[str, list[float]] = {}
    for run in taught(study, recipe):
        if (value := rise(study, run)) is not None:
            found.setdefault(run.base, []).append(value)
    return {base: stats.mean(values) for base, values in found.items()}


def nats(study: Study, run: Run) -> float:
    """How far a teacher's answers are from those of its base, in all rows of a student."""
    each = json_files.read_object(f"{run.answers_folder}/sampled.json")["kl_nats_per_token"]
    return study.datasets[run.dataset].rows * float(each)


def missed(study: Study) -> list[str]:
    """Teachers that are left out because they did not reach their rate."""
    asked = {(r.trait, r.base): r for r in study.runs if r.trait != NONE and Path(r.teacher_folder).is_dir()}
    return [f"{trait} on {base}" for (trait, base), run in asked.items() if not reached(run)]


def scarce(study: Study) -> list[str]:
    """Teachers of whose answers too few passed the filter for the students' data, with how many did."""
    asked = {f"{'the control' if r.trait == NONE else r.trait} on {r.base}": r for r in study.runs}
    return [f"{name} ({short})" for name, run in asked.items() if (short := short_of_rows(study, run))]
