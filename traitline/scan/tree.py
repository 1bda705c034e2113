"""The walk of a scan: models, data, claims and manifests below some folders. Everything there is hostile.

Links are followed where they lead to a plain file inside of the scanned folder, or of the repository of the hub's cache
that they lie in. What cannot be looked at is left out with one line, and the rest goes on.
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from traitline import model_files
from traitline.errors import InputError, visible
from traitline.lineage import cards
from traitline.lineage.folders import is_data
from traitline.lineage.index import ENDING
from traitline.lineage.meaning import SUPPORT
from traitline.lineage.register import PAGE, POINTER
from traitline.plain_files import open_plain
from traitline.provenance.weight_sets import is_weights, weight_sets
from traitline.scan import foreign_records

DEEPEST = 64  # folders within each other
MOST = 2_000_000  # entries of a scan
CACHED = ("models--", "datasets--")  # how repositories are called in the hub's cache
BLOBS = ("blobs", "refs")
SETTINGS = (model_files.ADAPTER_CONFIG, "config.json")
CLAIMS = (cards.CARD, *cards.MERGE, *SETTINGS, foreign_records.CRATE, foreign_records.MLFLOW)
NO_DATA = {*SUPPORT, *model_files.OTHERS, model_files.RECORD, *CLAIMS, "manifest.json", "dataset_info.json",
           "trainer_state.json", "all_results.json", "train_results.json", "eval_results.json", "lineage.json",
           "croissant.json", "package.json"}  # fmt: skip


@dataclass
class Item:
    """A model, an adapter or a data set.

    Attributes:
        label: its path, for people.
        kind: `model` or `data`.
        role: `model`, `adapter` or `data`.
        files: that it consists of.
        problem: why it is no whole; None where it is one.
        hub: (name, commit) where the hub's cache holds it.
    """

    label: str
    kind: str
    role: str
    files: tuple[Path, ...]
    problem: str | None = None
    hub: tuple[str, str] | None = None

    @property
    def folder(self) -> Path:
        """Folder of its files."""
        return self.files[0].parent if self.files else Path(self.label).parent


@dataclass
class Tree:
    """Content of the scanned folders.

    Attributes:
        items: models and data, in order.
        claims: files that may hold claims.
        manifests: of traitline.
        left_out: (path, why) of what could not be looked at.
    """

    items: list[Item] = field(default_factory=list)
    claims: list[Path] = field(default_factory=list)
    manifests: list[Path] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)

    def leave_out(self, path: str | Path, reason: str) -> None:
        """Name what is not looked at, with the first reason."""
        name = visible(os.path.normpath(path))
        if name not in dict(self.left_out):
            self.left_out.append((name, reason))


def walk(folders: list[str]) -> Tree:
    """Walk some folders.

    Raises:
        InputError: one of them is none.
    """
    tree, seen = Tree(), set[str]()
    for name in folders:
        if not os.path.isdir(name):
            raise InputError(f"{visible(name)}: no such folder; name one that holds models or data")
        top = os.path.realpath(name)
        todo, count = [(os.path.normpath(name), 0)], 0
        while todo:
            place, depth = todo.pop()
            if (real := os.path.realpath(place)) in seen:
                continue
            seen.add(real)
            files, below = _entries(tree, place, top)
            count += len(files) + len(below)
            if count > MOST:
                tree.leave_out(place, f"more than {MOST:,} files are before it; scan it by itself")
                break
            if depth >= DEEPEST and below:
                tree.leave_out(place, f"folders within each other more than {DEEPEST} times")
                below = []
            todo += [(os.path.normpath(os.path.join(place, folder)), depth + 1) for folder in reversed(below)]
            _take(tree, place, files)
    tree.items.sort(key=lambda item: item.label)
    return tree


def _entries(tree: Tree, place: str, top: str) -> tuple[list[str], list[str]]:
    """(names of plain files, names of folders to enter) of one folder; hidden ones are passed over."""
    files, below = list[str](), list[str]()
    try:
        with os.scandir(place) as entries:
            listed = sorted(entries, key=lambda e: e.name)
    except OSError as error:
        tree.leave_out(place, f"may not be read ({error.strerror})")
        return [], []
    cached = os.path.basename(place).startswith(CACHED) and any(e.name == "snapshots" for e in listed)
    for e in listed:
        if e.name.startswith(".") or (cached and e.name in BLOBS):
            continue
        if e.is_symlink():
            if reason := _stray(e.path, top):
                tree.leave_out(e.path, reason)
            elif os.path.isfile(e.path):
                files.append(e.name)
        elif e.is_dir(follow_symlinks=False):
            below.append(e.name)
        elif e.is_file(follow_symlinks=False):
            files.append(e.name)
        else:
            tree.leave_out(e.path, "a pipe, a socket or a device")
    return files, below


def _stray(link: str, top: str) -> str | None:
    """Why a link is not followed; None where it may be. One to a folder inside is looked at where that folder is."""
    try:
        real = os.path.realpath(link, strict=True)
        mode = os.stat(real).st_mode
    except (OSError, RuntimeError):
        return "a link to nothing, or in a circle"
    if not any(Path(real).is_relative_to(place) for place in (top, *_repository(link))):
        return "a link out of the scanned folder"
    return None if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else "a link to a pipe or a device"


def _repository(path: str) -> list[str]:
    """Real path of the repository in the hub's cache that a path lies in; none elsewhere."""
    parents = Path(os.path.abspath(path)).parents
    return [os.path.realpath(p.parent) for p in parents if p.name == "snapshots" and p.parent.name.startswith(CACHED)]


def hub_identity(folder: str | Path) -> tuple[str, str] | None:
    """(name, commit) of a folder in the hub's cache: `models--org--name/snapshots/COMMIT/...`."""
    parts = Path(os.path.abspath(folder)).parts
    for i, part in enumerate(parts[:-2]):
        if part.startswith(CACHED) and parts[i + 1] == "snapshots":
            return part.split("--", 1)[1].replace("--", "/", 1), parts[i + 2]
    return None


def _take(tree: Tree, place: str, files: list[str]) -> None:
    """Sort the files of one folder into the tree."""
    known, hub = set(files), hub_identity(place)
    try:
        sets = weight_sets(place) if any(is_weights(f) or f.endswith(".index.json") for f in files) else []
    except OSError as e:
        tree.leave_out(place, f"may not be read ({e.strerror})")
        return
    for weight_set in sets:
        inside = tuple(file for file in weight_set.files if file.name in known)
        lacking = "a part of it is not looked at" if len(inside) < len(weight_set.files) else None
        problem = weight_set.problem or lacking or next(filter(None, map(_impostor, inside)), None)
        label = os.path.normpath(os.path.join(place, weight_set.name))
        if problem:
            tree.leave_out(label, problem)
        if inside:
            tree.items.append(Item(label, "model", weight_set.role, inside, problem, hub))
    for name in files:
        path = Path(place, name)
        if name.endswith(ENDING):
            tree.manifests.append(path)
        elif name in CLAIMS or name.endswith((*foreign_records.STATEMENTS, ".gguf")) or _is_wandb(path):
            tree.claims.append(path)
        elif is_data(name, beside_weights=bool(sets)) and name not in NO_DATA and not is_weights(name):
            if problem := _impostor(path):
                tree.leave_out(path, problem)
            tree.items.append(Item(os.fspath(path), "data", "data", (path,), problem, hub))


def _is_wandb(path: Path) -> bool:
    return path.name == "manifest.json" or (path.name == "config.yaml" and "wandb" in path.parts[-4:-1])


def _impostor(path: Path) -> str | None:
    """Why a file is not what its name says; None where its first bytes may be."""
    try:
        with open_plain(path) as handle:
            start = handle.read(512)
            parquet = not path.name.lower().endswith(".parquet") or _is_parquet(handle)
    except (InputError, OSError):
        return "may not be read"
    if not start:
        return "empty"
    if start.startswith(POINTER):
        return "a pointer of Git LFS, not the file"
    if PAGE.match(start):
        return "a web page, not the file"
    return None if parquet else "damaged, or not Parquet"


def _is_parquet(handle: BinaryIO) -> bool:
    """Whether a file begins and ends as Parquet, plain or encrypted, with room for the footer that it states."""
    handle.seek(0)
    magic = handle.read(4)
    room = handle.seek(0, os.SEEK_END) - 2 * len(magic) - 4  # for data and footer
    handle.seek(max(0, room + len(magic)))
    footer, end = int.from_bytes(handle.read(4), "little"), handle.read()
    return magic == end in (b"PAR1", b"PARE") and 0 < footer <= room
