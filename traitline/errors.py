"""The one exception that users are meant to read, and the words that such messages share."""

import difflib
import errno
import unicodedata
from collections.abc import Iterable

LONGEST = 320  # characters of a text that others wrote
LONGEST_LINE = 4000  # of an error line
# What a full or read-only disk, a quota, a permission or a wrong kind of file says: nothing that a program could mend.
USERS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.EEXIST),
    *(errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO),
)


def visible(text: str, longest: int = LONGEST) -> str:
    """Text that shows what is in it: bounded, with control, direction and other invisible characters spelled out.

    >>> visible("a\\u202eb\\n")
    'a\\\\u202eb\\\\n'
    """
    shown = text[:longest]
    if not shown.isprintable():  # which asks for the same categories, many times as quickly
        shown = "".join(
            c if c == " " or unicodedata.category(c)[0] not in "CZ" else c.encode("unicode_escape").decode()
            for c in shown
        )
    return shown + (f" … ({len(text):,} characters)" if len(text) > longest else "")


class InputError(ValueError):
    """Bad use or bad input. The text is one line: file, line or key, what is wrong, what to do about it.

    The line may quote names and text of others. So it is made visible here, wherever it is printed.
    """

    def __str__(self) -> str:
        return visible(super().__str__(), LONGEST_LINE)


def disk_complaint(error: OSError, place: str = "output") -> str | None:
    """Describe an error of the disk that users can mend; None for any other.

    Args:
        error: what went wrong.
        place: named where the error names no file, as when a disk fills up under an open one.
    """
    if error.errno not in USERS:
        return None
    name = error.filename if isinstance(error.filename, str) else place
    return visible(f"{name}: {error.strerror}; nothing was written, mend it and run again", LONGEST_LINE)


def nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean x? known: ...`, or only what is known where nothing is near."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, 1, 0.5)
    return (f"did you mean {near[0]}? " if near else "") + f"known: {', '.join(names) or 'none yet'}"
