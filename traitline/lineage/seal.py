"""The root of a study: one hash under which every manifest lies, and so every artifact.

The root is the sha256 of a list of all manifests below a folder, as `sha256sum` writes it, sorted by the bytes of their
paths. So the tools of every machine can compute it, in the folder:

    find . -type f -name '*.manifest.json' -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum

Hidden folders count, since something could be hidden there. The report prints a root before its pages and their
manifest exist, so there is a second root, over all manifests but that one.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traitline import atomic
from traitline.errors import InputError
from traitline.lineage import dsse
from traitline.lineage.index import ENDING
from traitline.lineage.links import DvcCache
from traitline.plain_files import refuse_unreadable
from traitline.provenance import manifest

LAST = "report.manifest.json"  # of the pages, which print a root before it is written
PREDICATE = "urn:traitline:seal:1"
LINE = re.compile(rb"(\\?)([0-9a-f]{64})  (.+)")
ESCAPES = {b"\\": b"\\\\", b"\n": b"\\n", b"\r": b"\\r"}
ESCAPED = re.compile(rb"[\\\n\r]")
LARGEST = 1 << 30  # bytes of a list

Rows = dict[bytes, str]  # path below the folder -> sha256


@dataclass(frozen=True)
class Trusted:
    """Trust of a reader: a root, and the list that it is the hash of where it is at hand."""

    root: str
    rows: Rows | None = None


@dataclass(frozen=True)
class Comparison:
    """A study beside a trusted root.

    Attributes:
        folder: of the study.
        root: trusted.
        now: over all manifests that are here.
        covers: `all`, `all but the pages`, or None where no root of this folder is the trusted one.
        differences: (`changed`, `added` or `lost`, path below the folder), where a list is at hand.
        manifests: how many there are.
        hidden: files of hidden folders or names, and links, which no other check looks at.
    """

    folder: str
    root: str
    now: str
    covers: str | None
    differences: list[tuple[str, str]]
    manifests: int
    hidden: list[str]

    def sealed(self, files: Iterable[tuple[int, str]]) -> set[int]:
        """Those of some (job, manifest) that lie under the root."""
        top = Path(os.path.abspath(self.folder))
        last = () if self.covers == "all" else (os.path.join(top, LAST),)
        paths = ((job, os.path.abspath(file)) for job, file in files if self.covers)
        return {job for job, path in paths if Path(path).is_relative_to(top) and path not in last}


def rows_of(folder: str | Path) -> tuple[Rows, list[str]]:
    """(every manifest below a folder with its sha256, hidden files and links that are no artifacts).

    Raises:
        InputError: there is no such folder, it holds no manifest, or one of them is no plain file.
    """
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder; name that of a study's results")
    rows, hidden, cache = Rows(), list[str](), DvcCache()
    for parent, below, names in os.walk(folder, onerror=refuse_unreadable):
        concealed = any(part.startswith(".") for part in Path(parent).relative_to(folder).parts)
        hidden += [os.path.join(parent, n) for n in below if os.path.islink(os.path.join(parent, n))]
        for name in names:
            path = os.path.join(parent, name)
            if not name.endswith(ENDING):
                if concealed or name.startswith(".") or not cache.is_artifact(path):
                    hidden.append(path)
                continue
            if not cache.is_artifact(path):
                raise InputError(f"{path}: a link or no plain file; a manifest is a file, so remove it")
            rows[os.fsencode(os.path.relpath(path, folder))] = manifest.sha256(path)
    if not rows:
        raise InputError(f"{folder}: no manifest is there, so there is nothing to seal; run the pipeline first")
    return rows, sorted(hidden)


def text(rows: Rows) -> bytes:
    """The list as `sha256sum` writes it, sorted by the bytes of the paths."""
    lines = []
    for path, sha in sorted(rows.items()):
        escaped = ESCAPED.sub(lambda character: ESCAPES[character[0]], path)
        lines.append(b"%s%s  %s\n" % (b"\\" if escaped != path else b"", sha.encode(), escaped))
    return b"".join(lines)


def root(rows: Rows) -> str:
    """The hash of the list."""
    return hashlib.sha256(text(rows)).hexdigest()


def without_pages(rows: Rows) -> Rows:
    """The same without the manifest of the pages."""
    return {path: sha for path, sha in rows.items() if path != LAST.encode()}


def statement(folder: str, rows: Rows) -> dict[str, Any]:
    """A seal as an in-toto statement, to be signed."""
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": folder, "digest": {"sha256": root(rows)}}],
        "predicateType": PREDICATE,
        "predicate": {"manifests": len(rows), "list": text(rows).decode("utf-8", "surrogateescape")},
    }


def envelope(folder: str | Path) -> Path:
    """Path of the signed seal of a folder: beside the folder, since it may not be below it."""
    spelled = Path(os.path.normpath(folder))
    return spelled.with_name(f"{spelled.name}.seal.json")


def sign(folder: str | Path, rows: Rows, key: str | Path) -> Path:
    """Write the signed seal of a folder.

    Raises:
        InputError: the key is none.
    """
    import json

    payload = json.dumps(statement(Path(os.path.normpath(folder)).name, rows), sort_keys=True).encode()
    place = envelope(folder)
    atomic.put(place, json.dumps(dsse.seal(payload, key), indent=1, sort_keys=True) + "\n")
    return place


def trusted(word: str) -> Trusted:
    """The root that somebody names: itself, or a file with the list that it is the hash of.

    Raises:
        InputError: neither.
    """
    if re.fullmatch(r"[0-9a-f]{64}", word):
        return Trusted(word)
    if not os.path.isfile(word) or os.path.getsize(word) > LARGEST:
        raise InputError(
            f"--root {word}: wants 64 hex digits, or the file of a list that `traitline seal --list` wrote"
        )
    content = Path(word).read_bytes()
    return Trusted(hashlib.sha256(content).hexdigest(), _parse(content, word))


def signed(folder: str | Path, key: str | Path) -> Trusted | None:
    """The root in the signed seal of a folder; None where no signature in it is good for the key.

    Raises:
        InputError: there is none, or what was signed is no seal.
    """
    place = envelope(folder)
    if not place.is_file():
        raise InputError(f"{place}: no such file; `traitline seal {folder} --key PEM` makes it")
    content = dsse.unseal(place, key)
    if content is None:
        return None
    try:
        if content["predicateType"] != PREDICATE:
            raise ValueError
        listed = content["predicate"]["list"].encode("utf-8", "surrogateescape")
        (subject,) = content["subject"]
        seal = Trusted(hashlib.sha256(listed).hexdigest(), _parse(listed, str(place)))
        if subject["digest"]["sha256"] != seal.root:
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(f"{place}: signed, but no seal of traitline") from None
    return seal


def _parse(content: bytes, place: str) -> Rows:
    """Read a list back.

    Raises:
        InputError: it is none.
    """
    rows, unescape = Rows(), {b"\\" + v[1:]: k for k, v in ESCAPES.items()}
    for line in content.split(b"\n")[:-1]:
        match = LINE.fullmatch(line)
        if not match:
            raise InputError(f"{place}: no list of manifests; `traitline seal --list` writes one")
        path = match[3]
        if match[1]:
            path = re.sub(rb"\\[\\nr]", lambda m: unescape[m[0]], path)
        rows[path] = match[2].decode()
    if text(rows) != content:
        raise InputError(f"{place}: no list of manifests in order; `traitline seal --list` writes one")
    return rows


def compare(folder: str | Path, seal: Trusted) -> Comparison:
    """Compare the manifests below a folder with a trusted root.

    Raises:
        InputError: see `rows_of`.
    """
    rows, hidden = rows_of(folder)
    now, covers = root(rows), None
    if now == seal.root:
        covers = "all"
    elif root(without_pages(rows)) == seal.root:
        covers = "all but the pages"
    differences = [] if covers or seal.rows is None else _differences(seal.rows, rows)
    return Comparison(os.fspath(folder), seal.root, now, covers, differences, len(rows), hidden)


def _differences(before: Rows, now: Rows) -> list[tuple[str, str]]:
    differences = [(("added" if p not in before else "changed"), p) for p, sha in now.items() if before.get(p) != sha]
    differences += [("lost", p) for p in before.keys() - now.keys()]
    return sorted((what, os.fsdecode(path)) for what, path in differences)


def folder_of(folders: Sequence[str] | None) -> str:
    """The one folder that a root is about: the one named, or `results`.

    Raises:
        InputError: more than one is named, or none and there is no `results`.
    """
    if folders and len(folders) > 1:
        raise InputError("a root is that of one folder; name one with --in")
    return folders[0] if folders else "results"
