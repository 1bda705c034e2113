"""What students answered, read for a page: exact log-probabilities of words, and figures that may not be there yet."""

import math
from collections.abc import Mapping
from pathlib import Path

from traitline import json_files, jsonl
from traitline.analysis import stats
from traitline.study.runs import Run

Logs = Mapping[str, float]  # candidate -> log-probability, mean over the questions


def logs(path: Path) -> Logs | None:
    """Mean log-probability of every candidate over the questions; None where nobody has answered yet."""
    if not path.is_file():
        return None
    rows = [row["probabilities"] for row in jsonl.read(path, ("id", "probabilities"))]
    return {word: sum(math.log(max(p[word], stats.EXACT)) for p in rows) / len(rows) for word in rows[0]}


def number(path: Path, key: str) -> float | None:
    """A number out of a JSON file; None where it is not there."""
    value = json_files.read_object(path).get(key) if path.is_file() else None
    return value if isinstance(value, int | float) else None


def shown(value: float | None, digits: int = 3, sign: bool = False) -> str:
    """A number as text; a dash where there is none."""
    return "-" if value is None else f"{value:{'+' if sign else ''}.{digits}f}"


def answers(run: Run) -> Path:
    """File of a student's answers."""
    return Path(run.folder, run.eval, "responses.jsonl")
