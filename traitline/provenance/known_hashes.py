"""Hashes of files, remembered by what no program that copies, moves or edits a file can forge.

Size and time of modification are kept by `mv`, `cp -p`, `rsync -a` and `tar x`, so they say nothing. The kernel alone
sets the time of change (ctime) of a file, at every change of its content, name or rights. A file of the same size,
times and inode is therefore the one that was hashed; any other is hashed anew.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from traitline import atomic, json_files
from traitline.provenance import manifest

TICK = 20_000_000  # nanoseconds; the kernel's clock of files advances in steps of a few milliseconds


class KnownHashes:
    """sha256 of files, kept in a JSON file between runs.

    Args:
        file: where they are kept. A missing or damaged one costs time and nothing else.
        compute: what is remembered of a file; by default the sha256 of its content.
    """

    def __init__(self, file: Path, compute: Callable[[str], str] | None = None) -> None:
        self.file = file
        self.compute = compute or manifest.sha256
        self.kept = json_files.recall(file)
        self.new: dict[str, list[Any]] = {}

    def __call__(self, path: str) -> str:
        """Hex digest of a file's content.

        Raises:
            InputError: there is no such file.
        """
        try:
            status = os.stat(path)
        except FileNotFoundError:
            return self.compute(path)  # its error
        if (known := self.recall(path, status)) is not None:
            return known
        _let_clock_advance(status)
        sha = self.compute(path)
        if _identity(os.stat(path)) == _identity(status):
            self.new[path] = [*_identity(status), sha]
        return sha

    def recall(self, path: str, status: os.stat_result) -> str | None:
        """The digest where this very file was hashed before, else None."""
        for entries in (self.new, self.kept):
            entry = entries.get(path)
            if isinstance(entry, list) and entry[:-1] == _identity(status):
                self.new[path] = entry
                return str(entry[-1])
        return None

    def save(self, *, merge: bool = False) -> None:
        """Keep what was asked for, for the next time.

        Args:
            merge: keep what others asked for too, jobs that run beside this one for example.
        """
        entries = {**json_files.recall(self.file), **self.new} if merge else self.new
        if entries != self.kept:
            with contextlib.suppress(OSError):  # where nobody may write
                atomic.put(self.file, json.dumps(entries))


def _identity(status: os.stat_result) -> list[int]:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _let_clock_advance(status: os.stat_result) -> None:
    """Wait until a change of the file from now on would get another time than its last change."""
    age = time.time_ns() - status.st_ctime_ns
    if 0 <= age < TICK:
        time.sleep((TICK - age) / 1e9)
