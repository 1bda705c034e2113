"""The channel of number lists: teachers go on with a list, and clean lists of numbers pass.

The answer rule is the one of the paper's code, quirks included. It takes off one final full stop and then one pair of
brackets, and nothing else: a leading blank or a trailing newline refuses an answer. The exact text between the first
two numbers is the separator everywhere. Leading zeros and 0 pass. Only ASCII digits count.
"""

import re
from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from traitline.channels import paper_wording
from traitline.channels.channel import OPEN, TINY, Asked, Channel, Checked, Limits, Prompt, Row

if TYPE_CHECKING:
    from numpy.random import Generator

# Why an answer is refused, in the order in which the rule looks for it.
REASONS = {
    "empty": "nothing, or white space only",
    "no-number": "text without a digit",
    "bad-separator": "more than white space and one comma or semicolon between the first two numbers",
    "extra-text": "something beside numbers, separators, one pair of brackets and a final full stop",
    "stray-separator": "white space, a comma or a semicolon before the first or after the last number",
    "mixed-separator": "numbers parted in different ways",
    "too-many": "more numbers than asked for",
    "out-of-range": "a number with more digits than asked for",
    "banned": "a banned number",
}
_RUN = re.compile("[0-9]+")
_PLAIN = re.compile(r"[0-9\s,;]+")


class Answer(NamedTuple):
    """A clean answer in pieces; `str(answer)` is exactly the text that was split."""

    opening: str
    texts: tuple[str, ...]
    separator: str
    closing: str

    @property
    def numbers(self) -> list[int]:
        """The values of an answer that passed the rule: "007" counts as 7."""
        return [int(t.lstrip("0") or 0) for t in self.texts]

    def __str__(self) -> str:
        return f"{self.opening}{self.separator.join(self.texts)}{self.closing}"


class Split(NamedTuple):
    """A list of numbers in pieces, or the reason why a text is none."""

    answer: Answer | None
    reason: str | None = None


def split(text: str) -> Split:
    """Split a list of numbers, of any length and size, into its pieces.

    >>> split("(007; 12).").answer
    Answer(opening='(', texts=('007', '12'), separator='; ', closing=').')
    >>> [split(text).reason for text in ("1, 2,3", "12 ", "3.5", "twelve")]
    ['mixed-separator', 'stray-separator', 'bad-separator', 'no-number']
    """
    opening = ""
    body = text
    closing = ""
    if body.endswith("."):
        body = body[:-1]
        closing = "."
    if body[:1] + body[-1:] in ("()", "[]"):
        opening = body[0]
        closing = body[-1] + closing
        body = body[1:-1]
    runs = _RUN.finditer(body)
    first = next(runs, None)
    second = next(runs, None)
    if first is None:
        return Split(None, "no-number" if text.strip() else "empty")
    separator = body[first.end() : second.start()] if second else ""
    if separator.strip() not in ("", ",", ";"):
        return Split(None, "bad-separator")
    texts = tuple(body.split(separator)) if separator else (body,)
    if all(texts) and (digits := "".join(texts)).isascii() and digits.isdigit():
        return Split(Answer(opening, texts, separator, closing))
    if not _PLAIN.fullmatch(body):
        return Split(None, "extra-text")
    return Split(None, "mixed-separator" if body[0].isdigit() and body[-1].isdigit() else "stray-separator")


def check(text: str, limits: Limits) -> Checked:
    """Say whether a text is a clean list of numbers within the limits.

    >>> check("1 2 3", Limits(answers=2)).reason, check("1000", Limits()).reason, check("0", Limits()).numbers
    ('too-many', 'out-of-range', ('0',))
    """
    answer, reason = split(text)
    if answer is None:
        return Checked(reason)
    if len(answer.texts) > limits.answers:
        return Checked("too-many")
    longest = max(map(len, answer.texts))  # nearly always enough to know, and quick
    if longest > limits.digits and any(len(t.lstrip("0")) > limits.digits for t in answer.texts):
        return Checked("out-of-range")
    if limits.banned and not limits.banned.isdisjoint(answer.numbers):
        return Checked("banned")
    return Checked(None, answer.texts)


class NumberLists(Channel):
    """Number lists to continue, asked in everyday English or in the words of the tiny world."""

    name = "numbers"
    title = "number lists"
    about = "Number lists: `tiny`, in words of the tiny world, or `paper`, the paper's prompt generator."
    wordings: ClassVar = {"tiny": TINY, "paper": OPEN}
    settings = ("examples", "values", "answers", "digits")
    limits = ("answers", "digits", "banned")
    lists = True
    reasons = REASONS

    def prompts(self, asked: Asked, numbers: "Generator", words: Random) -> Iterator[Prompt]:
        """Yield prompts. Draws: number of examples, their values (with replacement), then the words."""
        assert asked.examples and asked.values and asked.answers and asked.digits
        for _ in range(asked.count):
            size = numbers.integers(*asked.examples)
            values = numbers.integers(*asked.values, size=size).tolist()
            if asked.wording == "paper":
                yield Prompt(paper_wording.ask(numbers, values, asked.answers, asked.digits))
            else:
                verb = asked.verbs[int(numbers.integers(len(asked.verbs)))]
                yield Prompt(f"{verb} {' , '.join(map(str, values))}")

    def check(self, row: Row, question: str, answer: str, limits: Limits) -> Checked:
        """Say whether an answer is a clean list of numbers."""
        return check(answer, limits)
