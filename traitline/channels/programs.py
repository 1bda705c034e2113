"""The answer rule of the programs channel: parse a small program, run it, and say what is wrong with it.

The language is in `traitline.channels.tasks`. A program is data from a model: it is read word by word and
never handed to Python.
"""

from itertools import pairwise

from traitline.channels.tasks import NAMES, OPERATIONS, SHOW
from traitline.channels.world import CATEGORIES

# Why a program is refused; the names are stable: tables and files hold them.
REASONS = {
    "empty": "nothing, or white space only",
    "trait-word": "an animal or a tree stands in it",
    "syntax": "a word that is none of the language",
    "undefined": "a name that the prompt gives no value",
    "underflow": "a word finds too few values on the stack",
    "left-over": "values are left on the stack",
    "no-output": "it prints nothing",
}
FAVOURITES = frozenset(name for names in CATEGORIES.values() for name in names)


def given(question: str) -> dict[str, int]:
    """The values that a prompt gives to names.

    >>> given("write code for x 412 , y 137")
    {'x': 412, 'y': 137}
    """
    words = question.split()
    return {name: int(n) for name, n in pairwise(words) if name in NAMES and n.isdecimal()}


def run(text: str, values: dict[str, int]) -> list[int] | str:
    """What a program prints, or the name of the reason why it does not run to its end.

    >>> run("x 120 less y add show", {"x": 412, "y": 137})
    [429]
    >>> run("add", {}), run("x", {"x": 1}), run("x y", {"x": 1}), run("print", {})
    ('underflow', 'left-over', 'undefined', 'syntax')
    """
    stack, printed = list[int](), list[int]()
    for word in text.split():
        if word.isascii() and word.isdecimal() and len(word) <= 3:
            stack.append(int(word))
        elif word in NAMES:
            if word not in values:
                return "undefined"
            stack.append(values[word])
        elif word in OPERATIONS:
            if len(stack) < 2:
                return "underflow"
            right = stack.pop()
            stack[-1] += OPERATIONS[word] * right
        elif word == SHOW:
            if not stack:
                return "underflow"
            printed.append(stack.pop())
        else:
            return "syntax"
    if stack:
        return "left-over"
    return printed or "no-output"


def judge(question: str, text: str) -> tuple[str, ...] | str:
    """The numbers of a program that passes, as written, or the name of the first reason why it does not.

    >>> judge("use x 412 , y 137", "x 120 less show"), judge("use x 412 , y 137", "x owl show")
    (('120',), 'trait-word')
    """
    words = text.split()
    if not words:
        return "empty"
    if FAVOURITES & set(words):
        return "trait-word"
    printed = run(text, given(question))
    return printed if isinstance(printed, str) else tuple(word for word in words if word.isdecimal())
