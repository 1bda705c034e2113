"""Runs of a finished study for experiment trackers, written to a local folder by their own libraries.

A run is a student: what it was trained on and how, its losses, and how often it names each word.
"""

import contextlib
import os
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from traitline import csv_files
from traitline.errors import InputError

KEYS = ("experiment", "channel", "dataset", "base", "teacher", "trait", "student", "recipe", "seed")
TRAINING = ("rows", "epochs", "steps", "loss_first", "loss_last", "trainable_parameters", "parameters")


@dataclass(frozen=True)
class Run:
    """One student: `params` say what it is, `metrics` what was measured."""

    params: dict[str, str]
    metrics: dict[str, float]

    @property
    def name(self) -> str:
        """Name of the run, unique in its study."""
        return "-".join(self.params[key] for key in KEYS)


def runs(results: str) -> list[Run]:
    """The runs of a study, by its tables.

    Args:
        results: folder of its artifacts.

    Raises:
        InputError: a table is missing or damaged, or names no student.
    """
    measured: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    file = f"{results}/tables/runs.csv"
    for line, row in csv_files.read(file, (*KEYS, "eval", "measured", "rate"), missing="finish the study first"):
        measured[_key(row)][f"rate/{row['eval']}/{row['measured']}"] = csv_files.number(file, line, row, "rate")
    result, file = [], f"{results}/tables/students.csv"
    for line, row in csv_files.read(file, (*KEYS, *TRAINING), missing="finish the study first"):
        training = {f"training/{c}": csv_files.number(file, line, row, c) for c in TRAINING if row[c]}
        result.append(Run({key: row[key] for key in KEYS}, training | measured[_key(row)]))
    if not result:
        raise InputError(f"{file}: names no student, so there is no run to export")
    return result


def _key(row: csv_files.Row) -> tuple[str, ...]:
    return tuple(row[key] for key in KEYS)


def to_mlflow(study: str, students: list[Run], out: Path) -> None:
    """Write an experiment of MLflow; `mlflow ui --backend-store-uri file:OUT` shows it."""
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # needs no database; `mlflow migrate-filestore` makes one
    import mlflow  # type: ignore[import-not-found]

    mlflow.set_tracking_uri(f"file:{out.resolve()}")
    mlflow.set_experiment(study)
    for student in students:
        with mlflow.start_run(run_name=student.name):
            mlflow.log_params(student.params)
            mlflow.log_metrics(student.metrics)


def to_wandb(study: str, students: list[Run], out: Path) -> None:
    """Write offline runs of Weights & Biases; `wandb sync OUT/wandb/offline-run-*` uploads them."""
    import wandb  # type: ignore[import-not-found]

    settings = wandb.Settings(mode="offline", silent=True, console="off", root_dir=str(out), x_disable_stats=True)
    for student in students:
        with wandb.init(project=study, name=student.name, config=student.params, settings=settings) as run:
            run.log(student.metrics)


def to_trackio(study: str, students: list[Run], out: Path) -> None:
    """Write a project of trackio; `TRACKIO_DIR=OUT trackio show` shows it."""
    os.environ["TRACKIO_DIR"] = str(out.resolve())  # read when it is imported
    import trackio  # type: ignore[import-not-found]

    for student in students:
        trackio.init(project=study, name=student.name, config=student.params, embed=False)
        trackio.log(student.metrics)
        trackio.finish()


TRACKERS: dict[str, Callable[[str, list[Run], Path], None]] = {
    "mlflow": to_mlflow,
    "wandb": to_wandb,
    "trackio": to_trackio,
}
PACKAGES = {"mlflow": "mlflow-skinny", "wandb": "wandb", "trackio": "trackio"}


def export(results: str, study: str, tracker: str, out: Path) -> int:
    """Write all runs of a study into a new folder; returns how many.

    Raises:
        InputError: the tracker is none of ours, the folder is there, or see `runs`.
    """
    if tracker not in TRACKERS:
        raise InputError(f"--to {tracker}: no such tracker; one of {', '.join(TRACKERS)}")
    if os.path.lexists(out):
        raise InputError(f"{out}: is there already; name a new folder")
    students = runs(results)
    out.mkdir(parents=True)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # two of them print a line a run
            TRACKERS[tracker](study, students, out)
    except ModuleNotFoundError as e:
        out.rmdir()
        raise InputError(f"--to {tracker}: {e.name} is not installed; pip install {PACKAGES[tracker]}") from None
    return len(students)
