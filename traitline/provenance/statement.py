"""The form of a manifest's bytes, and what it states: all of it but when, where and by which code its job ran.

One content has one form: JSON as Python's `json` writes it with an indentation of 2, sorted keys, ASCII, and a final
line break. So two readers never see two things in one file, and a doubled key, which a parser would drop, is found.

The *statement* of a manifest is the sha256 of this form without the fields `code`, `ended`, `env` and `started`. A job
that is run again and makes the same bytes of the same inputs and settings states the same. Each input of a manifest
names the statement of the manifest that vouches for it. So a chain goes back to the sources, and a statement cannot be
changed without all that were built on it.
"""

import hashlib
import json
import re
from typing import Any

import orjson

VOLATILE = frozenset(("code", "ended", "env", "started"))
UNSTATED = tuple(f'{key}"'.encode() for key in VOLATILE)  # how their text begins
FINAL = b'started"'
LINK = "statement"  # key in an input's entry
FIELD = b'\n  "'  # in the canonical form only a field of the manifest itself stands behind two spaces
EXPONENT = re.compile(rb"e-?[0-9]+,?\n")  # at the end of a line, where strings have quotation marks


def canonical(m: dict[str, Any]) -> bytes:
    """The one form of a manifest.

    Raises:
        ValueError: NaN or an infinity is in it, which no JSON has.
    """
    return json.dumps(m, indent=2, sort_keys=True, allow_nan=False).encode() + b"\n"


def is_canonical(content: bytes, m: dict[str, Any]) -> bool:
    """Tell whether a manifest that was read from these bytes has the one form.

    orjson writes most contents alike, in a fraction of the time; `json` decides about letters beyond ASCII and about
    numbers with an exponent. Both break lines at the same places.
    """
    quick = _written(m)
    if quick == content and _is_plain(content):
        return True
    if quick.count(b"\n") != content.count(b"\n"):
        return False
    try:
        return canonical(json.loads(content)) == content
    except (ValueError, RecursionError):
        return False


def _written(m: dict[str, Any]) -> bytes:
    """A manifest that was read, as orjson writes it."""
    return orjson.dumps(m, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _is_plain(content: bytes) -> bool:
    """Tell whether `json` writes what orjson wrote with the same letters."""
    return content.isascii() and not (b"\x7f" in content or b"0.0000" in content or EXPONENT.search(content))


def statement(m: dict[str, Any]) -> str:
    """The hash of what a manifest states; NaN is in none that was read from a file."""
    stated = {key: m[key] for key in m.keys() - VOLATILE}
    try:
        content = _written(stated)
    except orjson.JSONEncodeError:  # a whole number of more than 64 bits
        content = canonical(stated)
    return hashlib.sha256(content if _is_plain(content) else canonical(stated)).hexdigest()


def statement_of(content: bytes) -> str:
    """The same of a manifest in canonical form: its text without the volatile fields.

    Its keys are sorted, so as a rule the volatile fields are the first three and the last one.
    """
    first, last, wide = len(b"{"), content.rfind(FIELD), len(FIELD)
    while first > 0 and content.startswith(UNSTATED, first + wide):
        first = content.find(FIELD, first + wide)
    key = content[first + wide : first + wide + len(b'env"')]
    if 0 < first < last and content.startswith(FINAL, last + wide) and key > b'env"':
        return hashlib.sha256(b"{" + content[first : last - len(b",")] + b"\n}\n").hexdigest()
    start, *fields = content[: -len(b"\n}\n")].split(FIELD)
    stated = [field.removesuffix(b",") for field in fields if not field.startswith(UNSTATED)]
    return hashlib.sha256(start + FIELD + (b"," + FIELD).join(stated) + b"\n}\n").hexdigest()


def statement_in(content: bytes, m: dict[str, Any]) -> str:
    """The same of a manifest that was read from these bytes, whatever their form."""
    return statement_of(content) if is_canonical(content, m) else statement(m)
