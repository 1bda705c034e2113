"""Run: one student of a study, and the folders of its artifacts."""

import re
from dataclasses import dataclass

from traitline.study import artifacts

NONE, UNTRAINED = "none", "untrained"  # the control: numbers from a teacher that was never changed
TEACHERS = ("tuned", "steered", "prompted", UNTRAINED)  # whose names are not the path of a student
FURTHER = re.compile(rf"({'|'.join(TEACHERS)})-(\d+)")  # the second independent teacher and those behind it
SEED_STEP = 1000  # between the seeds of independent teachers


def teacher_name(kind: str, draw: int) -> str:
    """Name of one of several independent teachers in paths: `tuned`, `tuned-2`, ..."""
    return kind if draw == 1 else f"{kind}-{draw}"


def split_teacher(name: str) -> tuple[str, int]:
    """(kind, number) of a teacher's name; a student that teaches is its own kind and the first."""
    further = FURTHER.fullmatch(name)
    return (further[1], int(further[2])) if further else (name, 1)


def seed_of(seed: int, teacher: str) -> int:
    """Seed of what belongs to one of several independent teachers: its tuning, sampling and subsample."""
    return seed + SEED_STEP * (split_teacher(teacher)[1] - 1)


@dataclass(frozen=True)
class Run:
    """One student."""

    results: str
    experiment: str
    base: str
    trait: str
    teacher: str
    channel: str
    dataset: str
    student: str
    recipe: str
    seed: int
    eval: str
    answers: str  # channel whose answers these are: another one where a channel filters those anew
    draw: int = 1  # which of the row's independent teachers wrote them

    def _place(self, template: str) -> str:
        """Folder of this run by its template in `artifacts`."""
        return f"{self.results}/{template.format_map(vars(self))}"

    @property
    def teacher_folder(self) -> str:
        """Folder of `teacher.json`."""
        return self._place(artifacts.TEACHER)

    @property
    def channel_folder(self) -> str:
        """Folder of `filtered.jsonl` and its counts."""
        return self._place(artifacts.ANSWERS)

    @property
    def answers_folder(self) -> str:
        """Folder of `raw.jsonl` and `sampled.json`."""
        return f"{self.teacher_folder}/{self.answers}"

    @property
    def dataset_folder(self) -> str:
        """Folder of `dataset.jsonl`."""
        return self._place(artifacts.DATASET)

    @property
    def branch(self) -> str:
        """Path below `results` that all recipes and seeds of one student share."""
        return artifacts.BRANCH.format_map(vars(self))

    @property
    def folder(self) -> str:
        """Folder of the student's weights and `train.json`."""
        return self._place(artifacts.STUDENT)

    @property
    def evaluation_folder(self) -> str:
        """Folder of the student's answers and their scores."""
        return self._place(artifacts.EVALUATION)

    @property
    def scores(self) -> str:
        """File of the student's scores."""
        return f"{self.evaluation_folder}/scores.json"

    @property
    def judged(self) -> str:
        """File of the judge's verdicts on the student's answers, where the study has a judge."""
        return f"{self.evaluation_folder}/judged.json"

    @property
    def as_teacher(self) -> str:
        """Name of the student as a teacher: its path without what the path of a teacher already holds."""
        return "_".join([self.base, self.teacher, self.channel, self.dataset, self.recipe, str(self.seed)])

    @property
    def arm(self) -> str:
        """Arm of the experiment: `same-base`, `other-base` or `control`."""
        return "control" if self.trait == NONE else "same-base" if self.base == self.student else "other-base"
