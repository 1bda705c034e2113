"""Finished parts of a job, kept until all of it is done: each with the sha256 of what it says.

A part goes into an artifact, and the manifest of the artifact vouches for it. So a part that the disk has changed is
never taken.
"""

import hashlib
import logging
from pathlib import Path

from traitline import atomic

log = logging.getLogger("traitline")
SEPARATOR = b"\n"


def keep(content: bytes, path: Path) -> None:
    """Keep a part, whole or not at all."""
    atomic.put(path, hashlib.sha256(content).hexdigest().encode() + SEPARATOR + content)


def recall(path: Path | None) -> bytes | None:
    """A part that was kept; None where there is none, or it is not as it was written."""
    if path is None or not path.is_file():
        return None
    digest, _, content = path.read_bytes().partition(SEPARATOR)
    if hashlib.sha256(content).hexdigest().encode() == digest:
        return content
    log.warning("%s: damaged part (its bytes are not those that were written), made again", path)
    return None
