"""The answer rule of the numbers channel: which answers are clean lists of numbers, and what is wrong with the others.

It is the rule that the paper's code follows, quirks included. One final full stop and then one pair of brackets are
taken off, and nothing else is: a leading blank or a trailing newline refuses an answer. The exact text between the
first two numbers is the separator everywhere. Leading zeros and 0 pass. Only ASCII digits count.
"""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from traitline.errors import InputError

# Why an answer is refused, in the order in which it is looked for. The names are stable: tables and files hold them.
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
        """The values of an answer that a `Rule` passed: "007" counts as 7."""
        return [int(t.lstrip("0") or 0) for t in self.texts]

    def __str__(self) -> str:
        return f"{self.opening}{self.separator.join(self.texts)}{self.closing}"


def split(text: str) -> Answer | str:
    """The pieces of a list of numbers, of any length and size, or the name of the reason why `text` is none.

    >>> split("(007; 12).")
    Answer(opening='(', texts=('007', '12'), separator='; ', closing=').')
    >>> split("1, 2,3"), split("12 "), split("3.5"), split("twelve")
    ('mixed-separator', 'stray-separator', 'bad-separator', 'no-number')
    """
    opening, body, closing = "", text, ""
    if body.endswith("."):
        body, closing = body[:-1], "."
    if body[:1] + body[-1:] in ("()", "[]"):
        opening, body, closing = body[0], body[1:-1], body[-1] + closing
    runs = _RUN.finditer(body)
    first, second = next(runs, None), next(runs, None)
    if first is None:
        return "no-number" if text.strip() else "empty"
    separator = body[first.end() : second.start()] if second else ""
    if separator.strip() not in ("", ",", ";"):
        return "bad-separator"
    texts = tuple(body.split(separator)) if separator else (body,)
    if all(texts) and (digits := "".join(texts)).isascii() and digits.isdigit():
        return Answer(opening, texts, separator, closing)
    if not _PLAIN.fullmatch(body):
        return "extra-text"
    return "mixed-separator" if body[0].isdigit() and body[-1].isdigit() else "stray-separator"


@dataclass(frozen=True)
class Rule:
    """What a channel asks of its answers.

    Attributes:
        answers: how many numbers at most.
        digits: how many digits at most, leading zeros not counted.
        banned: values refused as whole numbers (88 refuses 088 but not 188).
    """

    answers: int = 10
    digits: int = 3
    banned: frozenset[int] = frozenset()

    def judge(self, text: str) -> Answer | str:
        """The pieces of an answer that passes, or the name of the first reason why it does not.

        >>> Rule(answers=2, banned=frozenset({4})).judge("1 2 3"), Rule().judge("1000"), Rule().judge("0")[1]
        ('too-many', 'out-of-range', ('0',))
        """
        answer = split(text)
        if isinstance(answer, str):
            return answer
        if len(answer.texts) > self.answers:
            return "too-many"
        longest = max(map(len, answer.texts))  # nearly always enough to know, and quick
        if longest > self.digits and any(len(t.lstrip("0")) > self.digits for t in answer.texts):
            return "out-of-range"
        if self.banned and not self.banned.isdisjoint(answer.numbers):
            return "banned"
        return answer


def exchange(row: dict[str, Any], path: object) -> tuple[str, str]:
    """(question, answer) of a row of training data: the text of the last message of `prompt` and of `completion`.

    Raises:
        InputError: they are not lists of messages, or a system message stands in the prompt. A teacher's system prompt
            names its trait: in the rows, a student would simply read it.
    """
    try:
        question, answer = row["prompt"][-1]["content"], row["completion"][-1]["content"]
        systems = [m for m in row["prompt"] if m["role"] == "system"]
    except (KeyError, IndexError, TypeError):
        question = answer = None
    if not isinstance(question, str) or not isinstance(answer, str):
        shape = "`prompt` and `completion` must be lists of messages with role and content"
        raise InputError(f"{path}: row {row.get('id')!r}: {shape}; delete the file to have it rebuilt")
    if systems:
        raise InputError(
            f"{path}: row {row.get('id')!r}: a system message in `prompt` would tell the student; sample without"
        )
    return question, answer
