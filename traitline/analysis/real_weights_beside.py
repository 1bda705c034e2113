"""Studies beside the declared one of a real model: what else was taught, how, and what came of it."""

from collections.abc import Sequence
from pathlib import Path

from traitline.analysis.answered import Logs, answers, logs, number, rank, shown
from traitline.analysis.results_page import table
from traitline.study.config import Study
from traitline.study.runs import NONE, Run

HEAD = ("taught", "teacher", "nats a token", "recipe", "rows", "steps", "layers with adapters",
        "log p, student minus base", "minus control student", "rank of that")  # fmt: skip


def beside(studies: Sequence[Study]) -> list[str]:
    """A table per experiment; every student has a control student of its own recipe and rows."""
    if not studies:
        return []
    out = [
        "## Beside it", "",
        "Explored: one teacher an animal, no test. Log p of the taught animal as above; `nats a token` is the teacher's"
        " divergence from the base in its lists. Each student is compared with the control student of the same recipe,"
        " rows and steps; the rank is that of the taught animal's difference among those of all twenty.", "",
    ]  # fmt: skip
    for study in studies:
        baseline = logs(Path(study.results, "baseline", study.runs[0].student, study.runs[0].eval, "responses.jsonl"))
        for experiment in study.experiments:
            runs = {run.folder: run for run in study.runs if run.experiment == experiment.name}.values()
            controls = {(run.recipe, run.seed): run for run in runs if run.trait == NONE}
            rows = [row(study, run, controls[run.recipe, run.seed], baseline) for run in runs if run.trait != NONE]
            out += [f"### {experiment.question}", "", *table(HEAD, rows, 2)]
    return out


def row(study: Study, run: Run, control: Run, baseline: Logs | None) -> tuple[str, ...]:
    """What a student was taught, how, and how far it and its control went from the base."""
    recipe, rows = study.recipes[run.recipe], study.datasets[run.dataset].rows
    steps = (recipe.epochs or 1) * -(-rows // ((recipe.batch or 1) * (recipe.accumulate or 1)))
    layers = "all" if recipe.layers is None else str(len(recipe.layers))
    divergence = shown(number(Path(run.answers_folder, "sampled.json"), "kl_nats_per_token"), 4)
    about = (run.trait, run.teacher, divergence, run.recipe, str(rows), str(steps), layers)
    taught, untaught = logs(answers(run)), logs(answers(control))
    if not taught:
        return (*about, *["not run yet"] * 3)
    rise = shown(taught[run.trait] - baseline[run.trait] if baseline else None, sign=True)
    if not untaught:
        return (*about, rise, "-", "-")
    differences = {word: taught[word] - untaught[word] for word in taught}
    return (*about, rise, shown(differences[run.trait], sign=True), f"{rank(differences, run.trait)} of {len(taught)}")
