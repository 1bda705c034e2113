"""Read CSV files with a head: every row has the columns of the head, and errors name file and line."""

import csv
from collections.abc import Iterable, Iterator
from io import TextIOWrapper
from pathlib import Path

from traitline.errors import InputError
from traitline.plain_files import MISSING, REBUILD, open_plain

Row = dict[str, str]


def read(
    path: str | Path, columns: Iterable[str] = (), *, missing: str = MISSING, remedy: str = REBUILD
) -> Iterator[tuple[int, Row]]:
    """Yield (line, row) of a UTF-8 CSV file; all values are text. A byte order mark at its head is skipped.

    Args:
        path: of the file.
        columns: columns that the head must have.
        missing: what to do where the file is not there.
        remedy: what to do where it is damaged.

    Raises:
        InputError: it is no plain file or not UTF-8, its head lacks a column or says one twice, or a row has another
            number of columns.
    """
    line = 1
    try:
        with TextIOWrapper(open_plain(path, missing=missing), encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle, strict=True)
            head = list(reader.fieldnames or ())
            if lacking := [name for name in columns if name not in head]:
                raise InputError(f"{path}: lacks {', '.join(lacking)}; {remedy}")
            if twice := next((name for name in head if head.count(name) > 1), None):
                raise InputError(f"{path}:1: the column {twice[:60]!r} stands twice; {remedy}")
            while (row := next(reader, None)) is not None:
                line = reader.line_num
                if None in row or None in row.values():
                    raise InputError(f"{path}:{line}: another number of columns than the head has; {remedy}")
                yield line, row
    except (csv.Error, UnicodeDecodeError) as e:
        raise InputError(f"{path}:{line + 1}: damaged ({e}); {remedy}") from None


def number(path: str | Path, line: int, row: Row, column: str) -> float:
    """Return a number of a row.

    Raises:
        InputError: the text is none.
    """
    try:
        return float(row[column])
    except ValueError:
        raise InputError(f"{path}:{line}: {row[column]} is no number, in the column {column}; {REBUILD}") from None
