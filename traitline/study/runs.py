"""Run: one student of a study, and the folders of its artifacts."""

from dataclasses import dataclass

from traitline.study import artifacts

NONE, UNTRAINED = "none", "untrained"  # the control: numbers from a teacher that was never changed


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
