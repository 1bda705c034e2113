"""Channel: the questions to teachers, their settings, and the rule for valid answers.

A channel is one file in `traitline/channels/types/` with a class below `Channel`. `traitline.channels.registry` finds
it, and the configuration, the programs and the report learn of it from there (docs/how-to/add-a-channel.md).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar

from traitline.channels.wordings import TINY_VERBS

if TYPE_CHECKING:
    from numpy.random import Generator

TINY = "tiny"  # models of a tiny world speak the wording
OPEN = "open"  # open weights do
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """Settings of prompts. A channel gets those that it names in `settings`; the others are None.

    Attributes:
        wording: one of the channel's wordings.
        count: number of prompts.
        examples: half-open range of how many numbers a prompt shows.
        values: half-open range of those numbers.
        answers: most numbers an answer may have.
        digits: most digits a number may have.
        problems: rows of the source, for a channel that has one.
        verbs: how lists in words of a tiny world begin.
    """

    wording: str
    count: int
    examples: tuple[int, int] | None = None
    values: tuple[int, int] | None = None
    answers: int | None = None
    digits: int | None = None
    problems: Sequence[Row] = ()
    verbs: Sequence[str] = TINY_VERBS


@dataclass(frozen=True)
class Limits:
    """Settings of the answer rule. A channel reads those that it names in `limits`.

    Attributes:
        answers: most numbers in an answer.
        digits: most digits of a number, leading zeros not counted.
        banned: values refused as whole numbers (88 refuses 088 but not 188).
        words: traits, which no answer may name.
    """

    answers: int = 10
    digits: int = 3
    banned: frozenset[int] = frozenset()
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """Result of the answer rule.

    Attributes:
        reason: the first reason why an answer is refused, a key of the channel's `reasons`; None where it passes.
        numbers: the numbers of an answer that passes, as they are written.
    """

    reason: str | None
    numbers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prompt:
    """One prompt: its text, and the columns that the answer rule needs beside it."""

    text: str
    columns: Mapping[str, Any] = field(default_factory=dict)


class Channel(ABC):
    """One kind of teacher answers, and the rule of the filter for them.

    Attributes:
        name: what tables and manifests call it; `--task` of the filter.
        title: what messages call its answers.
        about: one or two sentences for the reference of the configuration.
        wordings: wording -> who speaks it, `TINY` or `OPEN`.
        settings: settings under `channels` that it needs, of `examples`, `values`, `answers` and `digits`.
        limits: settings of the answer rule that decide what passes, of `answers`, `digits`, `banned` and `words`.
        source: format under `sources` of the rows that it asks about; None where it needs none.
        columns: what a row has beside id, prompt and completion.
        share: the setting of a world that must not be 0 for its models to speak the channel; None where all do.
        lists: whether answers are lists of numbers, which datasets can put in order, into a form or in other words.
        reasons: reason -> what it means. Names are stable: tables and files hold them.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    about: ClassVar[str]
    wordings: ClassVar[Mapping[str, str]]
    settings: ClassVar[tuple[str, ...]] = ()
    limits: ClassVar[tuple[str, ...]] = ()
    source: ClassVar[str | None] = None
    columns: ClassVar[tuple[str, ...]] = ()
    share: ClassVar[str | None] = None
    lists: ClassVar[bool] = False
    reasons: ClassVar[Mapping[str, str]]

    @abstractmethod
    def prompts(self, asked: Asked, numbers: "Generator", words: Random) -> Iterator[Prompt]:
        """Yield `asked.count` prompts.

        Args:
            asked: the settings.
            numbers: random generator of numpy.
            words: random generator of Python; both begin at the channel's seed.
        """

    @abstractmethod
    def check(self, row: Row, question: str, answer: str, limits: Limits) -> Checked:
        """Say whether an answer is what was asked for.

        Args:
            row: the whole row, with the channel's `columns`.
            question: what the teacher was asked.
            answer: what it said, untouched.
            limits: settings of the rule.
        """

    def speaks(self, wording: str, world: bool) -> bool:
        """Tell whether models of a tiny world (or else open weights) are asked in this wording."""
        return self.wordings[wording] == (TINY if world else OPEN)

    def params(self, limits: Limits) -> dict[str, Any]:
        """Return the settings that decide what passes, for the manifest."""
        values: dict[str, Any] = {"answers": limits.answers, "digits": limits.digits}
        values |= {"banned": sorted(limits.banned), "words": list(limits.words)}
        return {name: values[name] for name in self.limits}
