"""Read and write JSON Lines: one object per line, streamed, with errors that name the line."""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import orjson

from traitline.errors import InputError

REBUILD = "delete the file to have it rebuilt"
MAX_LINE = 1 << 20  # characters; rows come from models, so their size is bounded before they are parsed
BOM = "\ufeff"  # before the first line of files that some editors save
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_decode = json.JSONDecoder(parse_constant=_refuse).decode


def read(
    path: str | Path, keys: Iterable[str] = (), *, unique: str | None = None, remedy: str = REBUILD
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a UTF-8 JSONL file, in order. A byte order mark before the first row is skipped.

    Args:
        path: the file.
        keys: keys that every row must have.
        unique: one of the keys, whose value no two rows may share (rows that came in twice would count twice). As long
            as values rise, as ids of this project do, this needs no memory.
        remedy: what an error tells to do, where the file is none of ours.

    Raises:
        InputError: the file is missing, empty or not UTF-8; a line is no JSON object, is too long, lacks a key, repeats
            a unique value, or has NaN, an infinity or a whole number of thousands of digits.
    """
    required = {*keys, *([unique] if unique else [])}
    last = (-1, "")
    lines: dict[str, int] | None = None  # value of `unique` -> its line, once values do not rise
    n = 0
    try:
        with open(path, encoding="utf-8") as handle:
            for n, line in enumerate(handle, 1):
                row = _parse(line.removeprefix(BOM) if n == 1 else line, f"{path}:{n}", remedy)
                if not required <= row.keys():
                    missing = ", ".join(sorted(required - row.keys()))
                    raise InputError(f"{path}:{n}: the row lacks {missing}; {remedy}")
                if unique:
                    value = str(row[unique])
                    if lines is None and (len(value), value) > last:
                        last = (len(value), value)
                    else:
                        lines = _values_before(path, n, unique) if lines is None else lines
                        if (first := lines.setdefault(value, n)) != n:
                            same = f"{unique} {row[unique]!r} is that of line {first} too"
                            raise InputError(f"{path}:{n}: {same}; {remedy}")
                yield row
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; make it with the stage before this one") from None
    except UnicodeDecodeError as e:
        raise InputError(f"{path}:{n + 1}: not UTF-8 ({e.reason}); {remedy}") from None
    if n == 0:
        raise InputError(f"{path}: the file is empty; {remedy}")


def _parse(line: str, place: str, remedy: str) -> dict[str, Any]:
    """Return the object of a line; `place` is its file and number."""
    if len(line) > MAX_LINE:
        raise InputError(f"{place}: more than {MAX_LINE:,} characters; {remedy}")
    try:
        row = orjson.loads(line)
        if type(row) is dict and _has_text_only(row):
            return row
    except ValueError:
        pass  # it is the other one that decides, and that says why not
    try:
        row = _decode(line)
    except (ValueError, RecursionError) as e:  # ValueError: also a whole number of thousands of digits
        why = "a number too long, NaN, or nesting too deep"
        if isinstance(e, json.JSONDecodeError):
            why = e.msg
        raise InputError(f"{place}: damaged line ({why}); {remedy}") from None
    if not isinstance(row, dict):
        raise InputError(f"{place}: not a JSON object; {remedy}")
    return row


def _values_before(path: str | Path, line: int, key: str) -> dict[str, int]:
    """Return value -> line of what was read before a line."""
    values = dict[str, int]()
    for n, row in enumerate(read(path), 1):
        if n == line:
            break
        values[str(row[key])] = n
    return values


def _has_text_only(row: dict[str, Any]) -> bool:
    """Tell whether a row has text and messages only, as nearly all rows have.

    orjson reads and writes these as `json` does, in a fraction of the time. It rounds long whole numbers and spells
    floating-point numbers in another way, so any other row is for `json`.
    """
    for value in row.values():
        if type(value) is str:
            continue
        if type(value) is not list:
            return False
        for message in value:
            if type(message) is not dict:
                return False
            for text in message.values():
                if type(text) is not str:
                    return False
    return True


def dumps(row: dict[str, Any]) -> str:
    """Return one row as a line of text, keys in insertion order, without NaN (which is not JSON)."""
    if _has_text_only(row):
        with contextlib.suppress(TypeError):  # keys that are no text, half a surrogate pair
            return orjson.dumps(row).decode()
    return _encode(row)


@contextlib.contextmanager
def writer(path: str | Path) -> Iterator[Callable[[dict[str, Any]], object]]:
    """Open `path` and give a function that writes one row; for programs that write two files at once."""
    # Half a surrogate pair, which a model may utter, has no UTF-8 form: backslashreplace spells it as its JSON escape.
    with open(path, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as handle:
        yield lambda row: handle.write(dumps(row) + "\n")


def write(path: str | Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write rows to `path`, a temporary name (see `traitline.provenance.stage`), and return their number."""
    n = 0
    with writer(path) as put:
        for row in rows:
            put(row)
            n += 1
    return n
