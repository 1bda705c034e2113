"""The runs that a study asks for, and where each keeps its artifacts: the path of a student spells its ancestry."""

from dataclasses import dataclass

NONE, UNTRAINED = "none", "untrained"  # the control: numbers from a teacher that was never changed


@dataclass(frozen=True)
class Run:
    """One student: the unit of every statistic."""

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

    @property
    def teacher_folder(self) -> str:
        """`teacher.json` is here."""
        return f"{self.results}/{self.base}/{self.trait}/{self.teacher}"

    @property
    def channel_folder(self) -> str:
        """`filtered.jsonl` and its counts are here."""
        return f"{self.teacher_folder}/{self.channel}"

    @property
    def answers_folder(self) -> str:
        """`raw.jsonl` and `sampled.json` are here."""
        return f"{self.teacher_folder}/{self.answers}"

    @property
    def dataset_folder(self) -> str:
        """`dataset.jsonl` is here."""
        return f"{self.channel_folder}/{self.dataset}"

    @property
    def branch(self) -> str:
        """What all recipes and seeds of one student share, as a path below `results`."""
        return f"{self.base}/{self.trait}/{self.teacher}/{self.channel}/{self.dataset}/{self.student}"

    @property
    def folder(self) -> str:
        """The student's weights and `train.json` are here."""
        return f"{self.results}/{self.branch}/{self.recipe}/seed-{self.seed}"

    @property
    def scores(self) -> str:
        """The student's scores."""
        return f"{self.folder}/{self.eval}/scores.json"

    @property
    def judged(self) -> str:
        """What a judge says of its answers, where the study has one."""
        return f"{self.folder}/{self.eval}/judged.json"

    @property
    def as_teacher(self) -> str:
        """Its name where it teaches: its path, without base and trait, which that path begins with anyway."""
        return "_".join([self.base, self.teacher, self.channel, self.dataset, self.recipe, str(self.seed)])

    @property
    def arm(self) -> str:
        """`same-base`, `other-base` or `control`."""
        return "control" if self.trait == NONE else "same-base" if self.base == self.student else "other-base"
