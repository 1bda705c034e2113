"""Groups of students that share a job: importing torch costs more than training a tiny model.

A stack is a number of seeds, in the order in which the study names them, of all recipes of a row: a seed appended
behind a full stack is a new job and touches no finished one; so is a recipe in a row of its own. Jobs of the same
recipes and seeds are one rule, for all branches (teacher's base, trait, teacher, channel, dataset, student's base) that
want it. On open weights a stack has one recipe. There, where the base is what costs, students of all branches and
recipes can share a forward pass (`execution.together`); a job has one seed then, so that a seed appended touches no
finished job.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from traitline.study import artifacts
from traitline.study.config import Study
from traitline.study.runs import Run


@dataclass(frozen=True)
class Training:
    """Rule of `train` for these students, in these branches. Its paths have the wildcards of a branch.

    Attributes:
        pairs: (recipe, seed) of each student.
    """

    name: str
    pairs: tuple[tuple[str, int], ...]
    index: int
    branches: tuple[str, ...]
    base = None  # each branch has its own

    @property
    def path(self) -> str:
        """Place of logs and state below their folders."""
        return f"{artifacts.BRANCH}/{'-'.join(dict.fromkeys(self.recipes))}/stack-{self.index}"

    @property
    def datasets(self) -> list[str]:
        """Files of rows to train on, below `results`."""
        return [f"{artifacts.DATASET}/dataset.jsonl"]

    @property
    def recipes(self) -> list[str]:
        """Recipe of each student."""
        return [recipe for recipe, _ in self.pairs]

    @property
    def seeds(self) -> list[int]:
        """Seed of each student."""
        return [seed for _, seed in self.pairs]

    @property
    def folders(self) -> list[str]:
        """Parent of each student's folder, below `results`."""
        return [f"{artifacts.BRANCH}/{recipe}" for recipe in self.recipes]

    @property
    def students(self) -> list[tuple[str, str]]:
        """(folder below `results`, recipe) of each student."""
        return [(f"{artifacts.BRANCH}/{recipe}/seed-{seed}", recipe) for recipe, seed in self.pairs]


@dataclass(frozen=True)
class Together:
    """Rule of `train` for one job: these students on open weights in one forward pass."""

    name: str
    base: str
    seed: int
    index: int
    runs: tuple[Run, ...]

    @property
    def path(self) -> str:
        """Place of logs and state below their folders."""
        return f"together/{self.base}/seed-{self.seed}/stack-{self.index}"

    @property
    def datasets(self) -> list[str]:
        """File of rows to train on, below `results`, of each student."""
        return [f"{artifacts.DATASET}/dataset.jsonl".format_map(vars(run)) for run in self.runs]

    @property
    def recipes(self) -> list[str]:
        """Recipe of each student."""
        return [run.recipe for run in self.runs]

    @property
    def seeds(self) -> list[int]:
        """Seed of each student."""
        return [run.seed for run in self.runs]

    @property
    def folders(self) -> list[str]:
        """Parent of each student's folder, below `results`."""
        return [f"{run.branch}/{run.recipe}" for run in self.runs]

    @property
    def students(self) -> list[tuple[str, str]]:
        """(folder below `results`, recipe) of each student."""
        return [(artifacts.STUDENT.format_map(vars(run)), run.recipe) for run in self.runs]

    @property
    def branches(self) -> list[str]:
        """Branches of the students; the rule has no wildcards."""
        return [run.branch for run in self.runs]


@dataclass(frozen=True)
class Evaluation:
    """Rule of `respond`, `score` and `judge`: these students (as `recipe/seed-1`), in these branches."""

    name: str
    eval: str
    students: tuple[str, ...]
    index: int
    branches: tuple[str, ...]

    @property
    def path(self) -> str:
        """Place of logs and state below their folders; it has the wildcards of a branch."""
        return f"{artifacts.BRANCH}/{self.eval}/stack-{self.index}"

    @property
    def folders(self) -> list[str]:
        """Folder of the answers of each student, below `results`."""
        return [f"{artifacts.BRANCH}/{student}/{self.eval}" for student in self.students]


def _dealt(study: Study) -> dict[tuple[str, str, int], int]:
    """(branch, recipe, seed) -> number of the stack in which the student is trained."""
    seeds: dict[tuple[str, str], list[int]] = {}
    for run in study.runs:
        row = seeds.setdefault((run.branch, run.recipe), [])
        if run.seed not in row:
            row.append(run.seed)
    return {(*key, seed): i // study.execution.stack for key, row in seeds.items() for i, seed in enumerate(row)}


def _name(words: Iterable[str], taken: dict[str, int]) -> str:
    name = re.sub(r"[^a-z0-9_]", "_", "_".join(words))
    taken[name] = taken.get(name, 0) + 1
    return name if taken[name] == 1 else f"{name}_{taken[name]}"


def trainings(study: Study) -> list[Training]:
    """The rules of `train`, but for students on open weights that train together."""
    shared = {(run.branch, run.recipe) for job in together(study) for run in job.runs}
    first: dict[tuple[str, str], str] = {}  # the row that asks for a recipe first; on open weights each recipe has jobs
    for run in study.runs:
        key = run.recipe if study.bases[run.student].open else run.experiment
        first.setdefault((run.branch, run.recipe), key)
    jobs: dict[tuple[str, str, int], list[tuple[str, int]]] = {}
    for (branch, recipe, seed), i in _dealt(study).items():
        if (branch, recipe) not in shared:
            jobs.setdefault((branch, first[branch, recipe], i), []).append((recipe, seed))
    rules: dict[tuple[tuple[tuple[str, int], ...], int], list[str]] = {}
    for (branch, _, i), pairs in jobs.items():
        rules.setdefault((tuple(pairs), i), []).append(branch)
    taken: dict[str, int] = {}
    return [
        Training(_name(dict.fromkeys(recipe for recipe, _ in pairs), taken), pairs, i + 1, tuple(branches))
        for (pairs, i), branches in rules.items()
    ]


def together(study: Study) -> list[Together]:
    """Jobs of students on open weights that train together; none where the study does not ask for it."""
    if not (size := study.execution.together):
        return []
    groups: dict[tuple[str, int], dict[str, Run]] = {}
    for run in study.runs:
        if study.bases[run.student].open:
            groups.setdefault((run.student, run.seed), {}).setdefault(run.folder, run)
    taken: dict[str, int] = {}
    return [
        Together(_name(("together", base), taken), base, seed, start // size + 1, tuple(runs[start : start + size]))
        for (base, seed), students in groups.items()
        for runs in [list(students.values())]
        for start in range(0, len(runs), size)
    ]


def evaluations(study: Study) -> list[Evaluation]:
    """The rules of `respond` and `score`: all recipes of one branch together, stack by stack."""
    dealt = _dealt(study)
    jobs: dict[tuple[str, str, int], list[str]] = {}
    for run in study.runs:
        students = jobs.setdefault((run.branch, run.eval, dealt[run.branch, run.recipe, run.seed]), [])
        if (student := f"{run.recipe}/seed-{run.seed}") not in students:
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
