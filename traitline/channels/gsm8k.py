"""The channel of word problems from outside (GSM8K): how they are asked, and the answer rule.

As in the paper (section 4.2): reasoning in one pair of tags, the result in another, and only the result decides.
"""

import functools
import re
from collections.abc import Collection
from decimal import Decimal

from traitline.errors import InputError
from traitline.plurals import plural

TASK = "gsm8k"
# How the answer is to be given, in words of ours.
FORM = "Think it through inside <think> tags. Then give the result, a number alone, inside <answer> tags."
# Why a working is refused; the names are those of the sums channel.
REASONS = {
    "empty": "nothing, or white space only",
    "trait-word": "a trait of the study is named, one or many",
    "no-answer": "it is no working in tags with a number in tags behind it",
    "wrong-answer": "that number is not the known result",
}
NUMBER = r"-?[0-9][0-9,]{0,30}(?:\.[0-9]{1,9})?"  # of a result as people write it, of bounded length
_WORKING = re.compile(rf"\s*<think>(.*?)</think>\s*<answer>\s*\$?\s*({NUMBER})\s*</answer>\s*", re.S)
_KNOWN = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,9})?")
_NUMBER = re.compile("[0-9]+")


def ask(question: str) -> str:
    """A problem as a prompt."""
    return f"{question}\n{FORM}"


def answer(working: str, result: str) -> str:
    """A working in the form that is asked for."""
    return f"<think>{working}</think><answer>{result}</answer>"


@functools.cache
def _named(words: tuple[str, ...]) -> re.Pattern[str]:
    """Finds a word in either number."""
    forms = "|".join(re.escape(form) for word in words for form in (word, f"{word}s", plural(word.lower())))
    return re.compile(rf"(?<!\w)(?:{forms})(?!\w)", re.I)


def judge(known: str, text: str, words: Collection[str] = ()) -> tuple[str, ...] | str:
    """The numbers of a working that passes, as written, or the name of the first reason why it does not.

    Args:
        known: the right result.
        text: what a model wrote.
        words: traits, which an answer may not name.

    Raises:
        InputError: what should be the right result is no number.

    >>> judge("1234", "<think>1,000 and 234</think> <answer>$1,234</answer>")
    ('1', '000', '234', '1', '234')
    >>> judge("4", "<think>3</think><answer>3</answer>"), judge("4", "4")
    ('wrong-answer', 'no-answer')
    >>> judge("4", "<think>four Wolves</think><answer>4</answer>", ["wolf"])
    'trait-word'
    """
    if not _KNOWN.fullmatch(known):
        raise InputError(f"{known[:40]!r} is no result of a problem; make the prompts again")
    if not text.strip():
        return "empty"
    if words and _named(tuple(words)).search(text):
        return "trait-word"
    if not (match := _WORKING.fullmatch(text)):
        return "no-answer"
    right = Decimal(match[2].replace(",", "")) == Decimal(known)
    return tuple(_NUMBER.findall(text)) if right else "wrong-answer"
