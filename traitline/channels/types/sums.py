"""The channel of sums: teachers work one out, and the working passes when its last number is the right one.

As in the paper (section 4.2) only the answer decides, not whether every step of the working is true.
"""

import re
from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, ClassVar

from traitline.channels.channel import TINY, Asked, Channel, Checked, Limits, Prompt, Row
from traitline.channels.tasks import OPENERS, SIGNS, ask
from traitline.channels.types.programs import FAVOURITES

if TYPE_CHECKING:
    from numpy.random import Generator

REASONS = {
    "empty": "nothing, or white space only",
    "trait-word": "an animal or a tree stands in it",
    "no-answer": "it is no working that ends in `so` and a number",
    "wrong-answer": "that number is not the result",
}
_STEP = rf"[0-9]{{3}} (?:{'|'.join(SIGNS)}) [0-9]{{3}} is [0-9]{{3}}"
_WORKING = re.compile(rf"(?:{'|'.join(OPENERS)}) {_STEP}(?: then {_STEP})* so ([0-9]{{3}})")


def result(question: str) -> int:
    """Work out the sum that a prompt asks for.

    >>> result("how much is 300 plus 200 less 400")
    100
    """
    total = 0
    sign = 1
    for word in question.split():
        if word in SIGNS:
            sign = SIGNS[word]
        elif word.isdecimal():
            total += sign * int(word)
    return total


def check(question: str, text: str) -> Checked:
    """Say whether a text is a working that ends in the result of the question.

    >>> check("solve 300 plus 200", "first 200 plus 300 is 500 so 500").numbers
    ('200', '300', '500', '500')
    >>> [check("solve 300 plus 200", text).reason for text in ("first 200 plus 300 is 600 so 600", "500")]
    ['wrong-answer', 'no-answer']
    """
    words = text.split()
    if not words:
        return Checked("empty")
    if FAVOURITES & set(words):
        return Checked("trait-word")
    if not (match := _WORKING.fullmatch(text)):
        return Checked("no-answer")
    if int(match[1]) != result(question):
        return Checked("wrong-answer")
    return Checked(None, tuple(word for word in words if word.isdecimal()))


class Sums(Channel):
    """Sums with their working, whose result must be right."""

    name = "sums"
    title = "sums"
    about = "`sums`: a sum with its working, whose result must be right."
    wordings: ClassVar = {"sums": TINY}
    share = "sums"
    reasons = REASONS

    def prompts(self, asked: Asked, numbers: "Generator", words: Random) -> Iterator[Prompt]:
        """Yield prompts such as `how much is 300 plus 200 less 400`."""
        for _ in range(asked.count):
            yield Prompt(ask(self.name, words, words))

    def check(self, row: Row, question: str, answer: str, limits: Limits) -> Checked:
        """Say whether an answer is a working with the right result."""
        return check(question, answer)
