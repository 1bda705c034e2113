"""Which indexes on disk this account has made: their hashes, kept where who writes below a study does not.

An index answers instead of the manifests, so one that somebody else wrote could say anything. Manifests of a study are
contradicted by each other and by its root; a database is not. So an index is taken only if its hash is on this list.
"""

import os
from pathlib import Path

from traitline import atomic
from traitline.errors import InputError
from traitline.plain_files import read_text
from traitline.provenance import manifest

MOST = 1000  # indexes that are remembered, the newest


def place() -> Path:
    """The list: in the folder for state of programs, `XDG_STATE_HOME`, or below the home."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return Path(state, "traitline", "indexes")


def remember(index: Path) -> None:
    """Take up an index that was just made.

    Raises:
        InputError: the list cannot be written.
    """
    digests = [*_digests(), manifest.sha256(index)][-MOST:]
    try:
        place().parent.mkdir(parents=True, exist_ok=True)
        atomic.put(place(), "".join(f"{digest}\n" for digest in digests))
    except OSError as e:
        raise InputError(f"{place()}: {e.strerror}; set XDG_STATE_HOME to a folder that can be written") from None


def is_own(index: Path) -> bool:
    """Tell whether this account made an index with these bytes."""
    return manifest.sha256(index) in _digests()


def _digests() -> list[str]:
    return read_text(place(), remedy="delete it").split() if place().is_file() else []
