"""The channel of word problems from outside (GSM8K, arXiv 2110.14168): a right result in tags passes.

As in the paper (section 4.2): reasoning in one pair of tags, the result in another, and only the result decides.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, ClassVar

from traitline.channels.channel import OPEN, Asked, Channel, Checked, Limits, Prompt, Row
from traitline.channels.named_words import names_one
from traitline.errors import InputError

if TYPE_CHECKING:
    from numpy.random import Generator

# How the answer is to be given, in words of ours.
FORM = "Think it through inside <think> tags. Then give the result, a number alone, inside <answer> tags."
# The names are those of the sums channel.
REASONS = {
    "empty": "nothing, or white space only",
    "trait-word": "a trait of the study is named, one or many, however it is spelled",
    "no-answer": "it is no working in tags with a number in tags behind it",
    "wrong-answer": "that number is not the known result",
}
NUMBER = r"-?[0-9][0-9,]{0,30}(?:\.[0-9]{1,9})?"  # of a result as people write it, of bounded length
_WORKING = re.compile(rf"\s*<think>(.*?)</think>\s*<answer>\s*\$?\s*({NUMBER})\s*</answer>\s*", re.S)
_KNOWN = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,9})?")
_NUMBER = re.compile("[0-9]+")


def ask(question: str) -> str:
    """Return a problem as a prompt."""
    return f"{question}\n{FORM}"


def answer(working: str, result: str) -> str:
    """Return a working in the form that is asked for."""
    return f"<think>{working}</think><answer>{result}</answer>"


def check(known: str, text: str, words: tuple[str, ...] = ()) -> Checked:
    """Say whether a text is a working in tags that ends in the known result.

    Args:
        known: the right result.
        text: what a model wrote.
        words: traits, which an answer may not name.

    Raises:
        InputError: what should be the right result is no number.

    >>> check("1234", "<think>1,000 and 234</think> <answer>$1,234</answer>").numbers
    ('1', '000', '234', '1', '234')
    >>> check("4", "<think>3</think><answer>3</answer>").reason, check("4", "4").reason
    ('wrong-answer', 'no-answer')
    >>> check("4", "<think>four Wolves</think><answer>4</answer>", ("wolf",)).reason
    'trait-word'
    """
    if not _KNOWN.fullmatch(known):
        raise InputError(f"{known[:40]!r} is no result of a problem; make the prompts again")
    if not text.strip():
        return Checked("empty")
    if names_one(text, words):
        return Checked("trait-word")
    if not (match := _WORKING.fullmatch(text)):
        return Checked("no-answer")
    if Decimal(match[2].replace(",", "")) != Decimal(known):
        return Checked("wrong-answer")
    return Checked(None, tuple(_NUMBER.findall(text)))


class Gsm8k(Channel):
    """Word problems from outside, whose result must be right."""

    name = "gsm8k"
    title = "problems"
    about = (
        "`gsm8k`, open weights only: the problems of `source`, reasoning and result in tags, whose result must be"
        " right."
    )
    wordings: ClassVar = {"gsm8k": OPEN}
    limits = ("words",)
    source = "gsm8k"
    columns = ("answer",)
    reasons = REASONS

    def prompts(self, asked: Asked, numbers: "Generator", words: Random) -> Iterator[Prompt]:
        """Yield all problems in a random order, and again if more prompts are wanted."""
        order = list[int]()
        while len(order) < asked.count:
            order += numbers.permutation(len(asked.problems)).tolist()
        for i in order[: asked.count]:
            problem = asked.problems[i]
            yield Prompt(ask(problem["question"]), {"answer": problem["answer"]})

    def check(self, row: Row, question: str, answer: str, limits: Limits) -> Checked:
        """Say whether an answer is a working with the known result."""
        return check(str(row["answer"]), answer, limits.words)
