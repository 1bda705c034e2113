"""The tables of a study: their columns, and reading them back without pandas, which takes half a second to load."""

import csv
from pathlib import Path
from typing import Any

from traitline.errors import InputError

CELL = ("experiment", "channel", "base", "student", "kind")  # what a group of runs shares, apart from the trait
COLUMNS: dict[str, tuple[str, ...]] = {
    # one row per cell, trait and arm
    "effects": (
        *CELL, "trait", "arm", "runs", "rate", "low", "high", "control_rate", "diff", "diff_low", "diff_high", "p_holm",
        "detectable", "runs_needed",
    ),
    # one row per run and candidate
    "runs": (
        "experiment", "channel", "view", "base", "teacher", "trait", "student", "kind", "seed", "eval", "measured",
        "rate", "conditional", "mass", "sampled_rate", "sampled_conditional", "sampled_mass",
    ),
    # one row per run: how its training went
    "students": (
        "experiment", "channel", "view", "base", "teacher", "trait", "student", "kind", "seed",
        "rows", "epochs", "steps", "loss_first", "loss_last", "trainable_parameters", "parameters",
    ),
    # one row per teacher and channel; then one column per reason, `reject_<reason>`
    "filters": (
        "base", "trait", "teacher", "channel", "rows", "kept", "kept_share", "echo_rate", "echo_numbers",
        "unfinished", "kl_nats_per_token", "teacher_rate", "teacher_steps",
    ),
    # one row per cell, trait taught and candidate measured
    "confusion": (*CELL, "taught", "measured", "runs", "rate", "low", "high"),
    # one row per primary outcome: Welch's test before and after the correction
    "tests": (*CELL, "trait", "runs", "control_runs", "diff", "t", "df", "p", "p_holm"),
    # one row per declared check
    "checks": ("check", *CELL, "trait", "value", "relation", "bound", "holds"),
}  # fmt: skip
TEXT = {*CELL, "trait", "arm", "view", "teacher", "eval", "taught", "measured", "check", "relation", "holds"}

Row = dict[str, Any]


def read(folder: str | Path, table: str) -> list[Row]:
    """The rows of a table: text as text, numbers as numbers, an empty number as None.

    Raises:
        InputError: the table is missing, lacks a column or holds something else than a number where one belongs.
    """
    path = Path(folder, f"{table}.csv")
    rows: list[Row] = []
    try:
        with open(path, encoding="utf-8", newline="") as handle:
            reader = csv.DictReader(handle)
            if missing := set(COLUMNS[table]) - set(reader.fieldnames or ()):
                raise InputError(f"{path}: lacks {', '.join(sorted(missing))}; delete the file to have it rebuilt")
            for raw in reader:
                rows.append({k: v if k in TEXT else _number(v, path, reader.line_num, k) for k, v in raw.items()})
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; make it with `summarise`") from None
    return rows


def _number(text: str | None, path: Path, line: int, column: str) -> int | float | None:
    if text == "":
        return None
    try:
        value = float(text or "missing")
    except ValueError:
        raise InputError(
            f"{path}:{line}: {column} is no number: {text!r}; delete the file to have it rebuilt"
        ) from None
    return int(value) if value.is_integer() else value
