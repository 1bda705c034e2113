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
    numbers with an exponent.
    """
    quick = orjson.dumps(m, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE) == content
    if quick and content.isascii() and not (b"\x7f" in content or b"0.0000" in content or EXPONENT.search(content)):
        return True
    try:
        return canonical(json.loads(content)) == content
    except (ValueError, RecursionError):
        return False


def statement(m: dict[str, Any]) -> str:
    """The hash of what a manifest states."""
    return hashlib.sha256(canonical({key: m[key] for key in m.keys() - VOLATILE})).hexdigest()


def statement_of(content: bytes) -> str:
    """The same of a manifest in canonical form: its text without the volatile fields."""
    start, *fields = content[: -len(b"\n}\n")].split(FIELD)
    stated = [field.removesuffix(b",") for field in fields if not field.startswith(UNSTATED)]
    return hashlib.sha256(start + FIELD + (b"," + FIELD).join(stated) + b"\n}\n").hexdigest()


def statement_in(content: bytes, m: dict[str, Any]) -> str:
    """The same of a manifest that was read from these bytes, whatever their form."""
    return statement_of(content) if is_canonical(content, m) else statement(m)
