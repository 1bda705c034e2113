"""Verification: every file that a manifest names is hashed again, by all processors.

Only files below the working folder are opened: a manifest from elsewhere may name anything.
"""

import os
import stat
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from traitline import model_files
from traitline.lineage.index import ENDING, kind, manifests
from traitline.models import open_weights
from traitline.provenance import manifest, weights

OURS = (ENDING, "/records.json")  # files that describe others


@dataclass
class Findings:
    """What is not as manifests say; paths are relative to the working folder.

    Attributes:
        files: how many were hashed.
        bytes: how much that was.
        changed: (path, recorded sha256, sha256 now, manifest).
        missing: (path, manifest).
        extra: files beside artifacts that no manifest names.
        outside: (path, manifest): not below the working folder, or no plain file; not opened.
        misstated: (manifest, weights it states, weights now): its files are as recorded, but their tensors are not what
            it says. Such a statement would make two models one, or one two.
    """

    files: int = 0
    bytes: int = 0
    changed: list[tuple[str, str, str, str]] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    outside: list[tuple[str, str]] = field(default_factory=list)
    misstated: list[tuple[str, str, str | None]] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Everything is as recorded. Extra files do no harm: nobody has built on them."""
        return not (self.changed or self.missing or self.outside or self.misstated)


def verify(folders: Sequence[str | Path], *, root: str | Path = ".") -> Findings:
    """Hash all that the manifests below `folders` name, each file once; look for files that none names.

    An output is looked for beside its manifest, so a folder may have been moved; an input where it was read.

    Raises:
        InputError: a manifest is damaged.
    """
    top, found = Path(root).resolve(), Findings()
    wanted: dict[str, dict[str, str]] = {}  # file -> recorded sha256 -> manifest
    stated: dict[str, tuple[str, list[str]]] = {}  # manifest -> (weights it states, files of the model)
    for file in manifests(folders):
        m, models = manifest.load(file), list[str]()
        for key in ("inputs", "outputs"):
            for e in m[key]:
                path = os.path.join(os.path.dirname(file), Path(e["path"]).name) if key == "outputs" else e["path"]
                path = os.path.relpath(path, top) if os.path.isabs(path) else path
                recorded = wanted.setdefault(path, {})
                if key == "outputs" or e["sha256"] not in recorded:  # the maker's manifest is named before a reader's
                    recorded[e["sha256"]] = file
                if key == "outputs" and kind(1, e["role"], path) == "model":
                    models.append(path)
        if claim := m["facts"].get("weights"):
            stated[file] = str(claim), models
    paths, sizes = [], {}
    for path, recorded in sorted(wanted.items()):
        what = _look(path, top)
        if isinstance(what, int):
            paths.append(path)
            sizes[path] = what
        else:
            getattr(found, what).append((path, next(iter(recorded.values()))))
    claims = {file: (claim, files) for file, (claim, files) in stated.items() if sizes.keys() >= set(files)}
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:  # hashing lets other threads run
        said = pool.map(lambda files: _identity(top, files), [f for _, f in claims.values()])
        for path, now in zip(paths, pool.map(lambda path: manifest.sha256(top / path), paths), strict=True):
            found.files += 1
            found.bytes += sizes[path]
            found.changed += [(path, sha, now, file) for sha, file in wanted[path].items() if sha != now]
        bad = {path for path, *_ in found.changed}
        for (file, (claim, files)), identity in zip(claims.items(), said, strict=True):
            if claim != identity and not bad & set(files):
                found.misstated.append((file, claim, identity))
    found.extra = sorted(_strangers(folders, {os.path.normpath(p) for p in wanted}))
    return found


def _identity(top: Path, files: Sequence[str]) -> str | None:
    """Of the weights in files, or of those that a record of open weights stands for."""
    if [os.path.basename(path) for path in files] == [model_files.RECORD]:
        return open_weights.restated(top / files[0], top)
    return weights.identity(top / path for path in files)


def _look(path: str, top: Path) -> int | str:
    """Size of a file that may be hashed, or the list of `Findings` in which it belongs."""
    try:
        real = Path(top, path).resolve(strict=True)
        status = real.stat()
    except FileNotFoundError:
        inside = Path(os.path.normpath(Path(top, path))).is_relative_to(top)
        return "missing" if inside else "outside"
    except (OSError, RuntimeError):  # a circle of links, a name that is too long, a folder that is a file
        return "outside"
    return status.st_size if real.is_relative_to(top) and stat.S_ISREG(status.st_mode) else "outside"


def _strangers(folders: Iterable[str | Path], known: set[str]) -> Iterable[str]:
    for top in folders:
        for parent, below, names in os.walk(top):
            below[:] = [n for n in below if not n.startswith(".")]
            for name in names:
                path = os.path.normpath(os.path.join(parent, name))
                if path not in known and not path.endswith(OURS) and not name.startswith("."):
                    yield path
