"""The channel of small programs: teachers write one, and it passes when it runs and names no trait.

The language is in `traitline.channels.tasks`. A program is data from a model: the rule reads it word by word and never
hands it to Python.
"""

from itertools import pairwise
from typing import ClassVar, NamedTuple

from traitline.channels import world_task
from traitline.channels.channel import TINY, Checked, Limits, Row
from traitline.channels.tasks import NAMES, OPERATIONS, SHOW
from traitline.channels.world_task import WorldTask, check_words

REASONS = {
    **world_task.REASONS,
    "syntax": "a word that is none of the language",
    "undefined": "a name that the prompt gives no value",
    "underflow": "a word finds too few values on the stack",
    "left-over": "values are left on the stack",
    "no-output": "it prints nothing",
}


class Outcome(NamedTuple):
    """Run a program: its output, and the reason why it does not end; None where it ends."""

    printed: list[int]
    reason: str | None = None


def given(question: str) -> dict[str, int]:
    """Return the values that a prompt gives to names.

    >>> given("write code for x 412 , y 137")
    {'x': 412, 'y': 137}
    """
    words = question.split()
    return {name: int(n) for name, n in pairwise(words) if name in NAMES and n.isdecimal()}


def run(text: str, values: dict[str, int]) -> Outcome:
    """Run a program.

    >>> run("x 120 less y add show", {"x": 412, "y": 137}).printed
    [429]
    >>> [run(text, {"x": 1}).reason for text in ("add", "x", "x y", "print", "")]
    ['underflow', 'left-over', 'undefined', 'syntax', 'no-output']
    """
    stack = list[int]()
    printed = list[int]()
    for word in text.split():
        if word.isascii() and word.isdecimal() and len(word) <= 3:
            stack.append(int(word))
        elif word in NAMES:
            if word not in values:
                return Outcome(printed, "undefined")
            stack.append(values[word])
        elif word in OPERATIONS:
            if len(stack) < 2:
                return Outcome(printed, "underflow")
            right = stack.pop()
            stack[-1] += OPERATIONS[word] * right
        elif word == SHOW:
            if not stack:
                return Outcome(printed, "underflow")
            printed.append(stack.pop())
        else:
            return Outcome(printed, "syntax")
    if stack:
        return Outcome(printed, "left-over")
    return Outcome(printed, None if printed else "no-output")


def check(question: str, text: str) -> Checked:
    """Say whether a text is a program that runs with the values of the question.

    >>> check("use x 412 , y 137", "x 120 less show")
    Checked(reason=None, numbers=('120',))
    >>> check("use x 412 , y 137", "x owl show").reason
    'trait-word'
    """
    return check_words(text, lambda: run(text, given(question)).reason)


class Programs(WorldTask):
    """Small programs over a stack, which must run."""

    name = "programs"
    title = "programs"
    about = "`programs`: a small program that must run."
    wordings: ClassVar = {"programs": TINY}
    share = "programs"
    reasons = REASONS

    def check(self, row: Row, question: str, answer: str, limits: Limits) -> Checked:
        """Say whether an answer is a program that runs."""
        return check(question, answer)
