"""Studies beside the declared one of a real model: what else was taught, how, and what came of it."""

from collections.abc import Sequence
from pathlib import Path

from traitline.analysis.answered import answers, logs, number, shown
from traitline.analysis.ranks import place
from traitline.analysis.results_page import table
from traitline.study.config import Study
from traitline.study.runs import NONE, Run

HEAD = ("taught", "teacher", "recipe", "trained on", "nats a token", "minus control student", "rank of that")


def beside(studies: Sequence[Study]) -> list[str]:
    """A table per experiment; every student has a control student of its own recipe and rows."""
    if not studies:
        return []
    out = [
        "## Beside it", "",
        "Explored: one teacher an animal, no test. `nats a token` is the teacher's divergence from the base in its"
        " lists. Log p of the taught animal as above, minus that of the control student of the same recipe, rows and"
        " steps; the rank is that of the taught animal's difference among those of all twenty. `trained on` has the"
        " layers with adapters, too.", "",
    ]  # fmt: skip
    for study in studies:
        for experiment in study.experiments:
            runs = {run.folder: run for run in study.runs if run.experiment == experiment.name}.values()
            controls = {(run.recipe, run.seed): run for run in runs if run.trait == NONE}
            rows = [row(study, run, controls[run.recipe, run.seed]) for run in runs if run.trait != NONE]
            out += [f"### {experiment.question}", "", *table(HEAD, rows, 4)]
    return out


def row(study: Study, run: Run, control: Run) -> tuple[str, ...]:
    """What a student was taught, how, and how far it is from its control student."""
    recipe, rows = study.recipes[run.recipe], study.datasets[run.dataset].rows
    steps = (recipe.epochs or 1) * -(-rows // ((recipe.batch or 1) * (recipe.accumulate or 1)))
    layers = "all layers" if recipe.layers is None else f"{len(recipe.layers)} layers"
    training = f"{rows} rows, {steps} step{'s' * (steps > 1)}, {layers}"
    divergence = shown(number(Path(run.answers_folder, "sampled.json"), "kl_nats_per_token"), 4)
    about = (run.trait, run.teacher, run.recipe, training, divergence)
    taught, untaught = logs(answers(run)), logs(answers(control))
    if not taught or not untaught:
        return (*about, *["not run yet"] * 2)
    differences = {word: taught[word] - untaught[word] for word in taught}
    return (*about, shown(differences[run.trait], sign=True), f"{place(differences, run.trait):g} of {len(taught)}")
