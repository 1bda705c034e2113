"""Which students share a job. Importing torch costs more than training a tiny model, so jobs take a stack of students.

A stack is a number of seeds of one kind of student, in the order in which the study names them: a seed appended behind
a full stack is a new job and touches no finished one. Jobs of one kind and the same seeds are one rule, for all
branches (teacher's base, trait, teacher, channel, view, student's base) that want it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from traitline.config import Study


@dataclass(frozen=True)
class Training:
    """One rule of `train`: these seeds of this kind, in these branches."""

    name: str
    kind: str
    seeds: tuple[int, ...]
    index: int
    branches: tuple[str, ...]


@dataclass(frozen=True)
class Evaluation:
    """One rule of `respond` and `score`: these students (as `kind/seed-1`), in these branches."""

    name: str
    eval: str
    students: tuple[str, ...]
    index: int
    branches: tuple[str, ...]


def _dealt(study: Study) -> dict[tuple[str, str, int], int]:
    """(branch, kind, seed) -> number of the stack in which the student is trained."""
    seeds: dict[tuple[str, str], list[int]] = {}
    for run in study.runs:
        row = seeds.setdefault((run.branch, run.kind), [])
        if run.seed not in row:
            row.append(run.seed)
    return {(*key, seed): i // study.execution.stack for key, row in seeds.items() for i, seed in enumerate(row)}


def _name(words: Iterable[str], taken: dict[str, int]) -> str:
    name = re.sub(r"[^a-z0-9_]", "_", "_".join(words))
    taken[name] = taken.get(name, 0) + 1
    return name if taken[name] == 1 else f"{name}_{taken[name]}"


def trainings(study: Study) -> list[Training]:
    """The rules of `train`."""
    jobs: dict[tuple[str, str, int], list[int]] = {}
    for (branch, kind, seed), i in _dealt(study).items():
        jobs.setdefault((branch, kind, i), []).append(seed)
    rules: dict[tuple[str, tuple[int, ...], int], list[str]] = {}
    for (branch, kind, i), seeds in jobs.items():
        rules.setdefault((kind, tuple(seeds), i), []).append(branch)
    taken: dict[str, int] = {}
    return [Training(_name((kind,), taken), kind, seeds, i + 1, tuple(b)) for (kind, seeds, i), b in rules.items()]


def evaluations(study: Study) -> list[Evaluation]:
    """The rules of `respond` and `score`: all kinds of one branch together, stack by stack."""
    dealt = _dealt(study)
    jobs: dict[tuple[str, str, int], list[str]] = {}
    for run in study.runs:
        students = jobs.setdefault((run.branch, run.eval, dealt[run.branch, run.kind, run.seed]), [])
        if (student := f"{run.kind}/seed-{run.seed}") not in students:
            students.append(student)
    rules: dict[tuple[str, tuple[str, ...], int], list[str]] = {}
    for (branch, eval, i), students in jobs.items():
        rules.setdefault((eval, tuple(students), i), []).append(branch)
    taken: dict[str, int] = {}
    return [
        Evaluation(_name((eval,), taken), eval, students, i + 1, tuple(b)) for (eval, students, i), b in rules.items()
    ]


def only(study: Study, branches: Iterable[str]) -> str:
    """A constraint on the first wildcard of `{base}/{trait}/...` that lets only these branches match."""
    chosen = set(branches)
    if chosen == {run.branch for run in study.runs}:
        return "|".join(map(re.escape, study.bases))
    return f"(?=(?:{'|'.join(map(re.escape, sorted(chosen)))})/)[^/]+"
