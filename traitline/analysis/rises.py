"""Rises of single students in a study that need not be finished: logit of a rate minus that of the control student."""

from collections.abc import Iterable
from pathlib import Path

from traitline import json_files
from traitline.analysis import stats
from traitline.study.config import Study
from traitline.study.runs import NONE, Run


def rate(run: Run, word: str) -> float | None:
    """Exact rate of a word among a student's answers; None where it has not been asked."""
    path = Path(run.scores)
    return float(json_files.read_object(path)["exact"]["overall"][word]) if path.is_file() else None


def reached(run: Run) -> bool:
    """Tell whether the teacher reached the rate that it was tuned for."""
    return json_files.read_object(f"{run.teacher_folder}/teacher.json").get("reached", True) is not False


def rise(study: Study, run: Run) -> float | None:
    """Rise of a taught student, in logits; None where it or its control has not been asked, or its teacher missed."""
    taught, beside = rate(run, run.trait), rate(study.control(run), run.trait)
    if taught is None or beside is None or not reached(run):
        return None
    return stats.logit(taught) - stats.logit(beside)


def taught(study: Study, recipe: str) -> Iterable[Run]:
    """Runs of taught students of a recipe."""
    return (run for run in study.runs if run.trait != NONE and run.recipe == recipe)
