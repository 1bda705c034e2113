"""Read and write JSON Lines: one object per line, streamed, with errors that name the line."""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from traitline import json_files
from traitline.errors import InputError
from traitline.plain_files import MISSING, REBUILD, open_plain

MAX_LINE = 1 << 20  # characters; rows come from models, so their size is bounded before they are parsed
BOM = "\ufeff"  # before the first line of files that some editors save
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def read(
    path: str | Path,
    keys: Iterable[str] = (),
    *,
    unique: str | None = None,
    missing: str = MISSING,
    remedy: str = REBUILD,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a UTF-8 JSONL file, in order. A byte order mark before the first row is skipped.

    Args:
        path: the file.
        keys: keys that every row must have.
        unique: one of the keys, whose value no two rows may share (rows that came in twice would count twice). As long
            as values rise, as ids of this project do, this needs no memory.
        missing: what to do where the file is not there.
        remedy: what to do where it is damaged and none of ours.

    Raises:
        InputError: the file is no plain file, empty or not UTF-8; a line is too long, no JSON object by the rule of
            `json_files`, lacks a key or repeats a unique value.
    """
    required = {*keys, *([unique] if unique else [])}
    last = (-1, "")
    lines: dict[str, int] | None = None  # value of `unique` -> its line, once values do not rise
    n = 0
    for n, row in _objects(path, missing, remedy):
        if not required <= row.keys():
            absent = ", ".join(sorted(required - row.keys()))
            raise InputError(f"{path}:{n}: the row lacks {absent}; {remedy}")
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
    if n == 0:
        raise InputError(f"{path}: the file is empty; {remedy}")


def _objects(path: str | Path, missing: str, remedy: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line, object) of a file. Blank lines at its end are skipped; elsewhere rows may be lost."""
    n, blank = 0, ""
    with open_plain(path, missing=missing) as handle:
        while content := handle.readline(4 * MAX_LINE + 2):  # a character takes four bytes at most
            n += 1
            place = f"{path}:{n}"
            try:
                line = content.decode()
            except UnicodeDecodeError as e:
                if len(content) > 4 * MAX_LINE:
                    raise InputError(f"{place}: more than {MAX_LINE:,} characters; {remedy}") from None
                raise InputError(f"{place}: not UTF-8 ({e.reason}); {remedy}") from None
            if n == 1:
                line = line.removeprefix(BOM)
            if not line.strip(" \t\r\n"):
                blank = blank or place
                continue
            if blank:
                raise InputError(f"{blank}: damaged line (Expecting value: it is blank, rows follow); {remedy}")
            yield n, _parse(line, place, remedy)


def _parse(line: str, place: str, remedy: str) -> dict[str, Any]:
    """Return the object of a line; `place` is its file and number."""
    if len(line) > MAX_LINE:
        raise InputError(f"{place}: more than {MAX_LINE:,} characters; {remedy}")
    try:
        row = orjson.loads(line)
        # Spelled as we spell it, it says no key twice. Any other line is for the strict reader.
        if type(row) is dict and _has_text_only(row) and orjson.dumps(row).decode() == line.rstrip("\r\n"):
            return row
    except ValueError:
        pass  # it is the other one that decides, and that says why not
    row = json_files.parse(line, place, remedy, what="damaged line")
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
    # Half a surrogate pair has no UTF-8 form. No tokenizer makes one, and `read` takes none: it is refused here too.
    with open(path, "w", encoding="utf-8", newline="\n") as handle:
        yield lambda row: handle.write(dumps(row) + "\n")


def write(path: str | Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write rows to `path`, a temporary name (see `traitline.provenance.stage`), and return their number."""
    n = 0
    with writer(path) as put:
        for row in rows:
            put(row)
            n += 1
    return n
