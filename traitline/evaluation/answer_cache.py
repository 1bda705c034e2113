"""Answers that were paid for, one JSON line each, shared by processes that write at the same time.

A line that is damaged, as a full disk or a power cut leaves the last one, costs that one answer. Lines of before this
layout that hold no score are no answers either: a failure of the server looked the same.
"""

import fcntl
import json
import logging
import os
from pathlib import Path
from typing import Any

from traitline.errors import InputError

log = logging.getLogger("traitline")
KEPT = 200  # characters of an answer that are kept beside its score


class AnswerCache:
    """Scores by the name of their question.

    Args:
        file: JSON Lines; it need not be there.

    Raises:
        InputError: the file is none of these.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.rows: dict[str, dict[str, Any]] = {}
        self._read_to = 0
        self._valid = self._damaged = 0
        half = self.refresh()
        if self._damaged and not self._valid:
            raise InputError(f"{file}: holds no answer of a judge; name another --cache, or delete this file")
        if lost := self._damaged + half:
            log.warning("%s: damaged lines: %d; what they held is asked again, all others are kept", file, lost)

    def refresh(self) -> bool:
        """Read what was written since, by this process or another; returns whether half a line is left."""
        try:
            with open(self.file, "rb") as handle:
                handle.seek(self._read_to)
                text = handle.read()
        except FileNotFoundError:
            return False
        *lines, rest = text.split(b"\n")
        self._read_to += len(text) - len(rest)  # the last line may still be being written
        for line in filter(bytes.strip, lines):
            row = _parsed(line)
            self._valid += row is not None
            self._damaged += row is None
            if row and (row["number"] is not None or "said" in row):
                self.rows[row["request"]] = row
        return bool(rest)

    def add(self, name: str, number: float | None, text: str, parameters: dict[str, Any]) -> None:
        """Keep an answer: its score, how it begins, and the parameters it was asked with."""
        row = {"request": name, "number": number, "said": text[:KEPT], "parameters": parameters}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with open(self.file, "ab+") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            end = handle.seek(0, os.SEEK_END)
            handle.seek(max(0, end - 1))
            mend = b"\n" if end and handle.read(1) != b"\n" else b""  # half a line stays by itself
            handle.write(mend + json.dumps(row).encode() + b"\n")
        self.rows[name] = row


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("request"), str):
        return None
    number = row.get("number", "none")
    is_score = isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number <= 100
    return row if is_score or number is None else None
