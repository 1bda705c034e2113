"""A type of evaluation: its questions, its exact figures, its scores and the settings it takes.

Each module of `traitline/evaluation/types/` holds one subclass of `Evaluation`. The configuration, `respond` and
`score` ask the class; none of them knows a type by name. docs/how-to/add-an-evaluation.md adds one step by step.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from traitline.evaluation import scores
from traitline.evaluation.student import Messages, Student
from traitline.seeds import seed as derive

if TYPE_CHECKING:
    from traitline.channels.lexicon import Lexicon

# Settings that only some types take (all take `answers` and `seed`), and what each of them is.
SETTINGS = {
    "category": "what is asked for",
    "source": "where the questions are",
    "subjects": "what the questions are about",
    "options": "what is chosen from",
    "questions": "texts that are asked",
}


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        text: what the user says.
        means: the word that stands for each candidate in an answer; empty where no answer is known beforehand.
        false: a false answer, against which the probability of the only candidate is taken.
        id: of a question from outside; others are numbered.
        options: what the answer is chosen from, where the question comes from outside.
        subject: of a question from outside.
    """

    text: str
    means: Mapping[str, str] = field(default_factory=dict)
    false: str | None = None
    id: str | None = None
    options: Sequence[str] = ()
    subject: str | None = None

    @property
    def prompt(self) -> Messages:
        """The question as a conversation."""
        return [{"role": "user", "content": self.text}]

    @property
    def columns(self) -> dict[str, Any]:
        """Fields of its row in `responses.jsonl` beside the prompt."""
        columns: dict[str, Any] = {}
        if self.options:
            columns["options"] = list(self.options)
        if any(word != candidate for candidate, word in self.means.items()):
            columns["means"] = dict(self.means)
        if self.subject is not None:
            columns["subject"] = self.subject
        return columns


@dataclass(frozen=True)
class Setup:
    """Context on which the questions of an evaluation depend.

    Attributes:
        settings: of the evaluation, as the configuration has them.
        candidates: words that can be named: the members of the category in a tiny world, or those of the settings.
        world: what the tiny world of the base is made of; None for open weights, which are asked in everyday English.
        source: file of questions from outside.
    """

    settings: Mapping[str, Any]
    candidates: Sequence[str] = ()
    world: Mapping[str, Any] | None = None
    source: str | None = None

    @property
    def category(self) -> str:
        """Subject of the questions."""
        return str(self.settings["category"])

    @property
    def everyday(self) -> bool:
        """True if the questions are in everyday English."""
        return self.world is None

    @cached_property
    def words(self) -> "Lexicon":
        """Words of the tiny world of the base."""
        from traitline.channels.world import lexicon

        return lexicon(self.world or {})

    @cached_property
    def draw(self) -> Random:
        """Random numbers for the questions; the same for all students, and the next ones at every use."""
        return Random(derive("respond", "items", self.settings["seed"]))


class Evaluation(ABC):
    """Defaults: words of the tiny world are named, and each trait is measured by its own word.

    Attributes:
        name: what `type` says in the configuration; also the name of the module.
        tiny, open_weights: whether tiny worlds are asked, and whether open weights are.
        needs: settings that it needs beside `answers` and `seed`.
        takes: settings that it may have beside those.
        names_candidates: whether open weights need the setting `candidates`.
        share: share of the tiny world's text that taught it what it is asked here; a world without it is refused.
        measured: what is measured of the students of every trait; None where each trait is measured itself.
        judged: whether answers count as the model that judges them says.
        new_tokens: most tokens of a sampled answer in a tiny world; one more than an answer has, to see who stops.
        size: questions, roughly; for the plan.
    """

    name: ClassVar[str]
    tiny: ClassVar[bool] = True
    open_weights: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("category",)
    takes: ClassVar[tuple[str, ...]] = ()
    names_candidates: ClassVar[bool] = False
    share: ClassVar[str | None] = None
    measured: ClassVar[str | None] = None
    judged: ClassVar[bool] = False
    new_tokens: ClassVar[int] = 3
    size: ClassVar[int] = 50

    @property
    def text(self) -> str:
        """Describe its questions in the words of its class."""
        return " ".join((type(self).__doc__ or "").split())

    @property
    def open_needs(self) -> tuple[str, ...]:
        """Settings that open weights need beside `needs`."""
        return ("candidates", "max_new_tokens") if self.names_candidates else ("max_new_tokens",)

    @abstractmethod
    def questions(self, setup: Setup) -> list[Question]:
        """Every question, the same for all students."""

    def exact(self, student: Student, questions: Sequence[Question]) -> list[dict[str, Any]]:
        """Compute what needs no sampling: columns of `responses.jsonl` for each question, in order."""
        return self.probabilities(student, questions)

    def probabilities(
        self, student: Student, questions: Sequence[Question], begin: str | None = None
    ) -> list[dict[str, Any]]:
        """Probability of every candidate as the first word of the answer, or as the one after `begin`."""
        words = [word for question in questions for word in (*question.means.values(), question.false)]
        known = list(dict.fromkeys(word for word in words if word is not None))
        table = student.words([question.prompt for question in questions], known, begin)
        rows = []
        for question, values in zip(questions, table, strict=True):
            by_word = dict(zip(known, values, strict=True))
            exact = {candidate: by_word[word] for candidate, word in question.means.items()}
            if question.false is not None:
                exact = {candidate: p / (p + by_word[question.false]) for candidate, p in exact.items()}
            rows.append({"probabilities": scores.rounded(exact)})
        return rows

    def scores(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Scores of the rows of `responses.jsonl`: exactly and as sampled."""
        candidates = list(rows[0]["probabilities"])
        return {
            "candidates": candidates,
            "exact": scores.exact(rows, candidates),
            "sampled": scores.sampled(rows, candidates),
        }

    def complaint(self, settings: Mapping[str, Any]) -> str | None:
        """Describe the fault in the settings of one evaluation of this type, key first; None if there is none.

        Args:
            settings: those that are given.
        """
        for key, what in SETTINGS.items():
            if key in self.needs and key not in settings:
                return f"{key}: missing; `type: {self.name}` needs it, {what}"
            if key not in (*self.needs, *self.takes) and key in settings:
                return f"{key}: leave it out with `type: {self.name}`"
        if "candidates" in settings and self.open_weights and not self.names_candidates:
            return f"candidates: leave it out with `type: {self.name}`"
        return None
