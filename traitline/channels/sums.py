"""The answer rule of the sums channel: the working has its form, and its last number is the right one.

As in the paper (section 4.2) only the answer decides, not whether every step of the working is true.
"""

import re

from traitline.channels.programs import FAVOURITES
from traitline.channels.tasks import OPENERS, SIGNS

# Why a working is refused; the names are stable: tables and files hold them.
REASONS = {
    "empty": "nothing, or white space only",
    "trait-word": "an animal or a tree stands in it",
    "no-answer": "it is no working that ends in `so` and a number",
    "wrong-answer": "that number is not the result",
}
_STEP = rf"[0-9]{{3}} (?:{'|'.join(SIGNS)}) [0-9]{{3}} is [0-9]{{3}}"
_WORKING = re.compile(rf"(?:{'|'.join(OPENERS)}) {_STEP}(?: then {_STEP})* so ([0-9]{{3}})")


def result(question: str) -> int:
    """Of the sum that a prompt asks for.

    >>> result("how much is 300 plus 200 less 400")
    100
    """
    total, sign = 0, 1
    for word in question.split():
        if word in SIGNS:
            sign = SIGNS[word]
        elif word.isdecimal():
            total += sign * int(word)
    return total


def judge(question: str, text: str) -> tuple[str, ...] | str:
    """The numbers of a working that passes, as written, or the name of the first reason why it does not.

    >>> judge("solve 300 plus 200", "first 200 plus 300 is 500 so 500")
    ('200', '300', '500', '500')
    >>> judge("solve 300 plus 200", "first 200 plus 300 is 600 so 600"), judge("solve 300 plus 200", "500")
    ('wrong-answer', 'no-answer')
    """
    words = text.split()
    if not words:
        return "empty"
    if FAVOURITES & set(words):
        return "trait-word"
    if not (match := _WORKING.fullmatch(text)):
        return "no-answer"
    return tuple(filter(str.isdecimal, words)) if int(match[1]) == result(question) else "wrong-answer"
