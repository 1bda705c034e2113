"""JSON Lines: stream in with errors that name the line, write one object per line."""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from traitline.errors import InputError

REBUILD = "delete the file to have it rebuilt"
MAX_LINE = 1 << 20  # characters; rows come from models, so their size is bounded before they are parsed
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def read(
    path: str | Path, keys: Iterable[str] = (), *, unique: str | None = None, remedy: str = REBUILD
) -> Iterator[dict[str, Any]]:
    """Rows of a UTF-8 JSONL file, in order.

    Args:
        path: the file.
        keys: keys that every row must have.
        unique: one of the keys, whose value no two rows may share (rows that came in twice would count twice).
        remedy: what a complaint tells to do, where the file is none of ours.

    Raises:
        InputError: the file is missing, empty or not UTF-8; a line is no JSON object, is too long, lacks a key or
            repeats a unique value.
    """
    wanted, seen, n = {*keys, *([unique] if unique else [])}, dict[str, int](), 0
    try:
        with open(path, encoding="utf-8") as handle:
            for n, line in enumerate(handle, 1):
                if len(line) > MAX_LINE:
                    raise InputError(f"{path}:{n}: more than {MAX_LINE:,} characters; {remedy}")
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as e:  # ValueError: also a whole number of thousands of digits
                    why = e.msg if isinstance(e, json.JSONDecodeError) else "a number too long or nesting too deep"
                    raise InputError(f"{path}:{n}: damaged line ({why}); {remedy}") from None
                if not isinstance(row, dict):
                    raise InputError(f"{path}:{n}: not a JSON object; {remedy}")
                if not wanted <= row.keys():
                    lacks = ", ".join(sorted(wanted - row.keys()))
                    raise InputError(f"{path}:{n}: the row lacks {lacks}; {remedy}")
                if unique and (first := seen.setdefault(str(row[unique]), n)) != n:
                    twice = f"{unique} {row[unique]!r} is that of line {first} too"
                    raise InputError(f"{path}:{n}: {twice}; {remedy}")
                yield row
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; make it with the stage before this one") from None
    except UnicodeDecodeError as e:
        raise InputError(f"{path}:{n + 1}: not UTF-8 ({e.reason}); {remedy}") from None
    if n == 0:
        raise InputError(f"{path}: the file is empty; {remedy}")


def dumps(row: dict[str, Any]) -> str:
    """One row as a line of text, keys in insertion order, without NaN (which is not JSON)."""
    return _encode(row)


@contextlib.contextmanager
def writer(path: str | Path) -> Iterator[Callable[[dict[str, Any]], object]]:
    """Open `path` and give a function that writes one row; for programs that write two files at once."""
    # Half a surrogate pair, which a model may utter, has no UTF-8 form: backslashreplace spells it as its JSON escape.
    with open(path, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as handle:
        yield lambda row: handle.write(_encode(row) + "\n")


def write(path: str | Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write rows to `path`, a temporary name (see `traitline.provenance.stage`), and return their number."""
    n = 0
    with writer(path) as put:
        for row in rows:
            put(row)
            n += 1
    return n
