"""Error lines: one line, bounded, and nothing in them steers a terminal."""

import errno

from hypothesis import given
from hypothesis import strategies as st

from traitline.errors import LONGEST_LINE, InputError, disk_complaint, nearest, visible


@given(st.text(st.characters(exclude_categories=[])))
def test_an_error_line_is_one_printable_line_whatever_it_quotes(text):
    line = str(InputError(f"{text}: damaged"))
    assert line.isprintable() and len(line.splitlines()) <= 1
    line.encode()


def test_plain_words_stay_and_long_ones_are_bounded():
    assert str(InputError("a.jsonl:2: „é“ 🦉; mend it")) == "a.jsonl:2: „é“ 🦉; mend it"
    assert len(str(InputError("x" * 10**6))) < LONGEST_LINE + 40
    assert visible("a\u202eb\x1b[31m\n") == "a\\u202eb\\x1b[31m\\n"


def test_errors_of_the_disk_that_users_can_mend_are_one_line():
    full = OSError(errno.ENOSPC, "No space left on device", "a\x1b.html")
    assert disk_complaint(full) == "a\\x1b.html: No space left on device; nothing was written, mend it and run again"
    assert disk_complaint(OSError(errno.EROFS, "Read-only file system")).startswith("output: Read-only")
    assert disk_complaint(OSError(errno.EBADF, "Bad file descriptor")) is None, "that is our bug"


def test_the_nearest_word_is_offered():
    assert nearest("auditt", ["audit", "trace"]) == "did you mean audit? known: audit, trace"
    assert nearest("x", []) == "known: none yet"
