"""Read JSON by one strict rule: what is read here, every program can write and every tokenizer can take.

Refused are what JSON has no word for (NaN, infinities) or two readers would take in two ways (a key that stands twice),
half a surrogate pair, which has no UTF-8 form, whole numbers of thousands of digits, and deep nesting.
"""

import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from traitline.errors import InputError
from traitline.plain_files import LARGEST, MISSING, REBUILD, read_text

DEEPEST = 100  # objects and lists within each other
HALF = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")  # of a surrogate pair, perhaps with the other half


class _Refused(ValueError):
    """A rule beyond the grammar of JSON; the text is why."""


def _constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _finite(text: str) -> float:
    """Return a number, or refuse one that a float cannot hold (1e999)."""
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is infinite")
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object, or refuse one that says a key twice."""
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _Refused(f"the key {twice[:60]!r} stands twice in one object")
    return values


_decode = json.JSONDecoder(parse_constant=_constant, parse_float=_finite, object_pairs_hook=_distinct).decode


def parse(text: str, place: str, remedy: str = REBUILD, *, what: str = "damaged JSON") -> Any:
    """Return the value of a JSON text.

    Args:
        text: of a file, a line or an option.
        place: where it stands, for the error line.
        remedy: what to do where it is damaged.
        what: how the error line calls the damage.

    Raises:
        InputError: it is no JSON, or breaks the rule of this module.
    """
    try:
        value = _decode(text)
        why = fault(text, value)
    except _Refused as e:
        why = str(e)
    except json.JSONDecodeError as e:
        why = e.msg
    except (ValueError, RecursionError):  # ValueError: also a whole number of thousands of digits
        why = "a number too long, NaN, or nesting too deep"
    if why:
        raise InputError(f"{place}: {what} ({why}); {remedy}")
    return value


def fault(text: str, value: Any) -> str | None:
    """State what of a parsed text could not be written again; None where all could."""
    if HALF.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return "half a surrogate pair, which is no character"
    if text.count("[") + text.count("{") > DEEPEST and is_deep(value):
        return f"nested more than {DEEPEST} times"
    return None


def is_deep(value: Any, deepest: int = DEEPEST) -> bool:
    """Tell whether objects and lists stand within each other more than so many times."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(deepest):
        if not level:
            return False
        level = [
            part
            for outer in level
            for part in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(part, dict | list)
        ]
    return bool(level)


def read(path: str | Path, *, largest: int = LARGEST, missing: str = MISSING, remedy: str = REBUILD) -> Any:
    """Return the value in a JSON file; for the arguments see `plain_files.read_bytes`.

    Raises:
        InputError: it is no plain file, or its text is damaged; see `parse`.
    """
    return parse(read_text(path, largest=largest, missing=missing, remedy=remedy), str(path), remedy)


def read_object(
    path: str | Path,
    keys: Iterable[str] = (),
    *,
    largest: int = LARGEST,
    missing: str = MISSING,
    remedy: str = REBUILD,
) -> dict[str, Any]:
    """Return the object in a JSON file, which has at least these keys.

    Raises:
        InputError: see `read`; or it is no object, or lacks a key.
    """
    value = read(path, largest=largest, missing=missing, remedy=remedy)
    if not isinstance(value, dict):
        raise InputError(f"{path}: damaged, not a JSON object; {remedy}")
    if lacking := sorted(set(keys) - value.keys()):
        raise InputError(f"{path}: damaged, it lacks {', '.join(lacking)}; {remedy}")
    return value


def recall(path: str | Path) -> dict[str, Any]:
    """Return what a program of ours remembered in a file that only saves time; nothing where it is gone or damaged."""
    try:
        return read_object(path)
    except InputError:
        return {}
