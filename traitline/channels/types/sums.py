"""The channel of sums: teachers work one out, and the working passes when its last number is the right one.

As in the paper (section 4.2) only the answer decides, not whether every step of the working is true.
"""

import re
from typing import ClassVar

from traitline.channels import world_task
from traitline.channels.channel import TINY, Checked, Limits, Row
from traitline.channels.tasks import OPENERS, SIGNS
from traitline.channels.world_task import WorldTask, check_words

REASONS = {
    **world_task.REASONS,
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
    return check_words(text, lambda: reason_against(question, text))


def reason_against(question: str, text: str) -> str | None:
    """Return why a text is no working with the right result; None where it is one."""
    match = _WORKING.fullmatch(text)
    if not match:
        return "no-answer"
    return None if int(match[1]) == result(question) else "wrong-answer"


class Sums(WorldTask):
    """Sums with their working, whose result must be right."""

    name = "sums"
    title = "sums"
    about = "`sums`: a sum with its working, whose result must be right."
    wordings: ClassVar = {"sums": TINY}
    share = "sums"
    reasons = REASONS

    def check(self, row: Row, question: str, answer: str, limits: Limits) -> Checked:
        """Say whether an answer is a working with the right result."""
        return check(question, answer)
