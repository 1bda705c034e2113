"""Report content for branches without language models and for declared outcomes, read from their artifacts."""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline import csv_files, json_files
from traitline.analysis import stats, tables
from traitline.errors import visible

if TYPE_CHECKING:
    from traitline.study.config import Study

DETECTION = ("detectors", "numbers", "entangled", "roc")
INFLUENCE = ("pairs", "summary")
RATES = ("accuracy", "low", "high")


def read_json(results: str, name: str) -> dict[str, Any]:
    """Read an object that another stage wrote; its bytes are checked when the job starts."""
    return json_files.read_object(Path(results, name))


def read_text_rows(path: Path) -> list[dict[str, str]]:
    """Read the rows of a CSV file, all values as text."""
    return [row for _, row in csv_files.read(path)]


def detection(study: "Study", results: str) -> list[dict[str, Any]]:
    """The tables of `detect` by base and channel; their rows are text."""
    return [
        {"base": base, "channel": channel}
        | {table: read_text_rows(Path(results, "detect", base, channel, f"{table}.csv")) for table in DETECTION}
        for base, channel in study.detections
    ]


def areas(detected: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean area under the curve by channel and scorer, with its interval over the teachers of all bases."""
    values: dict[tuple[str, str], dict[tuple[str, str], float]] = defaultdict(dict)
    for d in detected:
        for r in d["roc"]:
            values[d["channel"], r["scorer"]][d["base"], r["teacher"]] = float(r["auc"])
    rows = []
    for (channel, scorer), by_teacher in values.items():
        e = stats.share_interval([*by_teacher.values()])
        rows.append(
            {"channel": channel, "scorer": scorer, "auc": e.mean, "low": e.low, "high": e.high, "teachers": e.n}
        )
    return rows


def influence(study: "Study", results: str) -> dict[str, list[dict[str, Any]]] | None:
    """The tables of `check_influence`: predictions beside what came. None where the study predicts nothing."""
    if not study.influence:
        return None
    return {table: tables.rows(Path(results, "check_influence", f"{table}.csv")) for table in INFLUENCE}


def declarations(results: str) -> list[dict[str, Any]]:
    """Every declaration of primary outcomes, oldest first; later ones say in `changes` which keys of a row changed."""
    history: list[dict[str, Any]] = read_json(results, "preregistered.json")["declarations"]
    for old, new in itertools.pairwise(history):
        new["changes"] = visible("; ".join(changes(old["primary"], new["primary"])) or "the order of rows")
    return history


def changes(old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]) -> list[str]:
    """Differences between two lists of declared rows, a phrase a row."""
    before = {row["name"]: row for row in old}
    after = {row["name"]: row for row in new}
    phrases = []
    for name in dict.fromkeys([*before, *after]):
        if name not in after:
            phrases.append(f"{name} left out")
        elif name not in before:
            phrases.append(f"{name} added")
        else:
            a, b = before[name], after[name]
            if keys := [k for k in dict.fromkeys([*a, *b]) if a.get(k) != b.get(k)]:
                phrases.append(f"{name}: other {', '.join(keys)}")
    return phrases


def targets(results: str) -> list[dict[str, str]]:
    """Targets of the paper with what the study has beside them."""
    return read_text_rows(Path(results, "targets.csv"))


def classifier(study: "Study", results: str) -> dict[str, Any] | None:
    """The classifier experiment: settings, accuracy by point and arm, sweeps. None where the study has none."""
    if not study.classifier:
        return None
    default = read_json(results, "classifier/default/accuracy.json")
    rows = read_text_rows(Path(results, "classifier/accuracy.csv"))
    return {
        "settings": study.classifier.settings,
        "images": default["images"],
        "sizes": default["sizes"],
        "gap": stats.difference(default["arms"]["aux-same"], default["arms"]["aux-other"]),
        "cells": {(r["point"], r["arm"]): {k: float(r[k]) if r[k] else None for k in RATES} for r in rows},
        "sweeps": [(s, study.classifier.values(s)) for s in study.classifier.sweeps],
    }
