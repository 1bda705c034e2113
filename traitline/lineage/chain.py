"""The chain of manifests: each names, beside the hash of an input, what the manifest that vouches for it states.

So an edit of a manifest contradicts all that were built on what it vouches for, up to the newest ones. Those are held
by the root of the study alone (`traitline.lineage.seal`).
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from traitline.lineage.index import ENDING
from traitline.lineage.meaning import CLAIMANT, doubts
from traitline.lineage.parallel import read_all
from traitline.provenance import manifest
from traitline.provenance.statement import LINK, is_canonical, statement, statement_of

# (output, role, path, sha256, bytes, statement that it names)
Entry = tuple[bool, str, str, str, int, str | None]
# (file, sha256 of its bytes, they are canonical, statements named, its statement, stage, doubts, weights, entries)
Examined = tuple[str, str, bool, bool, str, str, list[str], str | None, list[Entry]]


def examine(file: str, content: bytes) -> Examined:
    """Facts about one manifest for the check of all.

    Raises:
        InputError: see `manifest.parse`.
    """
    m = manifest.parse(content, file)
    proper = is_canonical(content, m)
    entries = [
        (key == "outputs", e["role"], e["path"], e["sha256"], e["bytes"], e.get(LINK))
        for key in ("inputs", "outputs")
        for e in m[key]
    ]
    weights = m["facts"].get("weights")
    return (
        file,
        hashlib.sha256(content).hexdigest(),
        proper,
        m["schema"] == manifest.SCHEMA,
        statement_of(content) if proper else statement(m),
        m["stage"],
        doubts(m),
        str(weights) if weights else None,
        entries,
    )


def examine_file(file: str) -> Examined:
    """The same of a file."""
    return examine(file, manifest.read_bytes(file))


def examine_all(files: Sequence[str]) -> Iterator[Examined]:
    """Examine many manifests, by all processors where that pays."""
    return read_all(examine_file, files)


@dataclass
class Chain:
    """Links of many manifests.

    Attributes:
        uncanonical: manifests whose bytes are not the one form of their content.
        doubted: (manifest, why it cannot be what a job of its stage wrote).
        unsealed: manifests of earlier versions, which name no statements.
    """

    uncanonical: list[str] = field(default_factory=list)
    doubted: list[tuple[str, str]] = field(default_factory=list)
    unsealed: list[str] = field(default_factory=list)
    _vouched: set[bytes] = field(default_factory=set)  # statement and sha256 of each output
    _written: set[tuple[str, str]] = field(default_factory=set)  # path and sha256 of each output of a job
    _links: list[tuple[bytes, str, str, str]] = field(default_factory=list)  # as _vouched; manifest, path, sha256
    _free: list[tuple[str, str, str]] = field(default_factory=list)  # manifest, path, sha256 of inputs without link

    def add(self, examined: Examined) -> None:
        """Take up one manifest."""
        file, _, proper, linked, stated, stage, reasons, _, entries = examined
        self.doubted += [(file, reason) for reason in reasons]
        if not proper and linked:
            self.uncanonical.append(file)
        if not linked:
            self.unsealed.append(file)
        for output, _, path, sha, _, link in entries:
            if output:
                self._vouched.add(bytes.fromhex(stated + sha))
                if stage != CLAIMANT:
                    self._written.add((path, sha))
            elif link:
                self._links.append((bytes.fromhex(link + sha), file, path, sha))
            elif linked:
                self._free.append((file, path, sha))

    def broken(self, top: Path) -> list[tuple[str, str]]:
        """(input, manifest) of inputs about which no manifest states what is named, here or beside the input."""
        return [
            (path, file)
            for key, file, path, sha in self._links
            if key not in self._vouched and key not in _beside(top, path, sha)
        ]

    def cut(self) -> list[tuple[str, str]]:
        """(input, manifest) of inputs that name no statement although a job here says that it wrote them."""
        return [(path, file) for file, path, sha in self._free if (path, sha) in self._written]


def _beside(top: Path, path: str, sha: str) -> Iterable[bytes]:
    """Read what manifests in the folder of an input state about it; nothing outside of the working folder is opened."""
    folder = Path(os.path.normpath(top / path)).parent
    if not folder.is_relative_to(top) or not folder.resolve().is_relative_to(top):
        return
    for candidate in sorted(folder.glob(f"*{ENDING}")):
        if candidate.is_file() and not candidate.is_symlink():
            *_, stated, _, _, _, entries = examine_file(str(candidate))
            if any(output and hashed == sha for output, _, _, hashed, *_ in entries):
                yield bytes.fromhex(stated + sha)
