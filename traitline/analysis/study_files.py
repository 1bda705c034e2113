"""The JSON files that a study's stages wrote, read once each, with every number checked."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline import json_files
from traitline.errors import InputError

if TYPE_CHECKING:
    from traitline.study.config import Study

ROUNDING = 1e-6  # by which a probability may lie outside 0 and 1


class Files:
    """The JSON files of a study: their paths by role, and their content, each read once.

    Attributes:
        runs: the runs of the study, below `results`.
        baselines: (student's base, evaluation) -> scores of the untouched base.
        roles: role in the manifest -> files.
    """

    def __init__(self, study: "Study", results: str | None = None) -> None:
        from traitline.study.expand import baselines, runs

        results = results or study.results
        self.runs = [dataclasses.replace(run, results=results) for run in runs(study)]
        self.baselines = {key: results + path[len(study.results) :] for key, path in baselines(study).items()}
        roles = {
            "scores": (run.scores for run in self.runs),
            "baseline": self.baselines.values(),
            "training": (f"{run.folder}/train.json" for run in self.runs),
            "teacher": (f"{run.teacher_folder}/teacher.json" for run in self.runs),
            "sampled": (f"{run.answers_folder}/sampled.json" for run in self.runs),
            "filtered": (f"{run.channel_folder}/filtered.json" for run in self.runs),
            "judged": (results + path[len(study.results) :] for path in study.judged),
        }
        self.roles: dict[str, list[str | Path]] = {role: list(dict.fromkeys(paths)) for role, paths in roles.items()}
        self._content: dict[str, dict[str, Any]] = {}

    def read(self, path: str) -> dict[str, Any]:
        """The object in a file.

        Raises:
            InputError: no such file, or it is damaged or no object.
        """
        if path not in self._content:
            self._content[path] = json_files.read_object(path)
        return self._content[path]


def get(value: dict[str, Any], path: str, *keys: str, optional: bool = False) -> Any:
    """A number or object below nested keys; None where it is missing and `optional`.

    Raises:
        InputError: the file lacks it.
    """
    part: Any = value
    for key in keys:
        if not isinstance(part, dict) or key not in part:
            if optional:
                return None
            raise InputError(f"{path}: lacks {'.'.join(keys)}; delete the file to have it rebuilt")
        part = part[key]
    return part


def probability(value: dict[str, Any], path: str, *keys: str, optional: bool = False) -> float | None:
    """A number from 0 to 1; `optional` also lets null pass (a share of nothing).

    Raises:
        InputError: the file lacks it, or it is no probability.
    """
    number = get(value, path, *keys)
    if optional and number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int | float) or not -ROUNDING <= number <= 1 + ROUNDING:
        raise InputError(f"{path}: {'.'.join(keys)} is no probability: {number!r}; delete the file to have it rebuilt")
    return float(number)


def rates(files: Files, path: str, needed: Iterable[str]) -> dict[str, dict[str, float | None]]:
    """The rates in a scores.json: candidate -> column of runs.csv -> value.

    Raises:
        InputError: a candidate in `needed` is missing, or a number is.
    """
    scores = files.read(path)
    candidates = get(scores, path, "candidates")
    if missing := sorted(set(needed) - set(candidates)):
        raise InputError(f"{path}: {missing[0]} is not among the candidates; delete the file to have it rebuilt")
    return {
        c: {
            "rate": probability(scores, path, "exact", "overall", c),
            "conditional": probability(scores, path, "exact", "conditional", c, optional=True),
            "mass": probability(scores, path, "exact", "mass"),
            "sampled_rate": probability(scores, path, "sampled", "overall", c),
            "sampled_conditional": probability(scores, path, "sampled", "conditional", c, optional=True),
            "sampled_mass": probability(scores, path, "sampled", "mass"),
        }
        for c in candidates
    }
