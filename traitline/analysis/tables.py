"""The tables of a study: their columns, and reading them back without pandas, which takes half a second to load."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from traitline import csv_files
from traitline.analysis import stats
from traitline.errors import InputError
from traitline.evaluation.measures import JUDGED

CELL = ("experiment", "channel", "base", "student", "recipe")  # what a group of runs shares, apart from the trait
TRUST = ("accuracy", "kappa", "kappa_low", "kappa_high")  # how far it agrees with rows labelled by hand, for each
COLUMNS: dict[str, tuple[str, ...]] = {
    # one row per cell, trait and arm
    "effects": (*CELL, "trait", "arm", "teachers", "runs", "rate", "low", "high", "rise"),
    # one row per run and candidate
    "runs": (
        "experiment", "channel", "dataset", "base", "teacher", "trait", "student", "recipe", "seed", "eval", "measured",
        "rate", "conditional", "mass", "sampled_rate", "sampled_conditional", "sampled_mass",
    ),
    # one row per run: how its training went
    "students": (
        "experiment", "channel", "dataset", "base", "teacher", "trait", "student", "recipe", "seed",
        "rows", "epochs", "steps", "loss_first", "loss_last", "trainable_parameters", "parameters",
    ),
    # one row per teacher and channel; then one column per reason, `reject_<reason>`
    "filters": (
        "base", "trait", "teacher", "channel", "rows", "kept", "kept_share", "echo_rate", "echo_numbers",
        "unfinished", "kl_nats_per_token", "teacher_rate", "teacher_steps",
    ),
    # one row per cell, trait taught and candidate measured
    "confusion": (*CELL, "taught", "measured", "teachers", "runs", "rate", "low", "high"),
    # one row per experiment, recipe, comparison and trait, or the mean over traits: over bases
    "tests": (
        "experiment", "recipe", "trait", "comparison", "role", "unit", "n", "bases", "teachers", "runs",
        "rate", "rate_low", "rate_high", "beside_rate", "difference", "low", "high", "t", "df", "p", "p_holm",
        "detectable", "margin", "holds", "note",
    ),
    # one row per experiment and recipe with students on other bases: how often nothing is taken for something
    "calibration": (
        "experiment", "recipe", "unit", "n", "comparisons", "rejected", "rate", "expected", "low", "high", "p",
        "over_runs", "verdict",
    ),
    # one row per cell, trait and arm whose answers are judged; none without a judge
    "judged": (
        *CELL, "eval", "trait", "arm", "runs", "answers",
        *(f"{what}{end}" for what in (*JUDGED, "unscored") for end in ("", "_low", "_high")),
        *(f"{what}_{of}" for what in JUDGED for of in TRUST),
    ),
}  # fmt: skip
LEFT_OUT = "left_out"  # a column of rows of students that no test counts: why; only where a study has such rows
FLOOR = "floor"  # a column of rates that count far below 0.001 (`stats.logit`); only where a study has such rates
TEXT = {
    LEFT_OUT,
    *CELL,
    "trait",
    "arm",
    "dataset",
    "teacher",
    "eval",
    "taught",
    "measured",
    "first",
    "comparison",
    "role",
    "unit",
    "holds",
    "note",
    "verdict",
}

Row = dict[str, Any]


def read(folder: str | Path, table: str) -> list[Row]:
    """The rows of a table: text as text, numbers as numbers, an empty number as None.

    Raises:
        InputError: the table is missing, lacks a column or holds something else than a number where one belongs.
    """
    return rows(Path(folder, f"{table}.csv"), COLUMNS[table])


def rows(path: Path, columns: Iterable[str] = ()) -> list[Row]:
    """The rows of a file in the form of the tables, also of one that is none of them.

    Raises:
        InputError: it is missing, lacks one of `columns`, or holds something else than a number where one belongs.
    """
    return [
        {k: v if k in TEXT else _number(v, path, line, k) for k, v in raw.items()}
        for line, raw in csv_files.read(path, sorted(columns), missing="make it with `summarise`")
    ]


def unique(rows: Iterable[Row], column: str) -> list[str]:
    """Values of a column in order of appearance."""
    return list(dict.fromkeys(row[column] for row in rows))


def marked(table: Iterable[Row]) -> list[Row]:
    """The rows of a table, each with `left_out`: why no test counts it, or nothing.

    The untouched base of a teacher that is left out goes with that trait, so that averages that stand beside each other
    are of the same bases.
    """
    rows = [row | {LEFT_OUT: row.get(LEFT_OUT) or ""} for row in table]
    students = [row for row in rows if row.get("arm") != "baseline"]  # else marking again would mark more
    place = ("experiment", "trait", "base")
    out = {tuple(row.get(k) for k in place): row[LEFT_OUT] for row in students if row[LEFT_OUT]}
    for row in rows:
        if row.get("arm") == "baseline" and not row[LEFT_OUT]:
            row[LEFT_OUT] = out.get((row["experiment"], row["trait"], row["student"]), "")
    return rows


def floor(row: Row) -> float:
    """The smallest rate that counts beside that of a row."""
    return float(row.get(FLOOR) or stats.FLOOR)


def counted(table: Iterable[Row]) -> list[Row]:
    """The rows that averages may hold: without students that no test counts, and the untouched base beside them."""
    return [row for row in marked(table) if not row[LEFT_OUT]]


def _number(text: str | None, path: Path, line: int, column: str) -> int | float | None:
    if text == "":
        return None
    try:
        value = float(text or "missing")
        if not math.isfinite(value):
            raise ValueError
    except ValueError:
        raise InputError(
            f"{path}:{line}: {column} is no number: {text!r}; delete the file to have it rebuilt"
        ) from None
    return int(value) if value.is_integer() else value
