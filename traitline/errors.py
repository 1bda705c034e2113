"""The one exception that users are meant to read, and the words that such messages share."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad use or bad input. The text is one line: file, line or key, what is wrong, what to do about it."""


def nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean x? known: ...`, or only what is known where nothing is near."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, 1, 0.5)
    return (f"did you mean {near[0]}? " if near else "") + f"known: {', '.join(names) or 'none yet'}"
