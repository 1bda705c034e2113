"""Models and data from elsewhere: a manifest of their bytes with a stated origin, or with none, which stays UNKNOWN.

A manifest speaks of one model, one adapter, or the data of one folder. A folder may have several, each with an origin
and a trait of its own; none is ever overwritten.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from traitline.errors import InputError, visible
from traitline.lineage.base_evidence import base_evidence
from traitline.lineage.claimed_sources import claimed_sources
from traitline.lineage.folders import DATA, PACKED, REGISTERED, contents, is_data, walk
from traitline.lineage.index import ENDING
from traitline.lineage.links import DvcCache, is_in_hub_cache
from traitline.lineage.meaning import SUPPORT
from traitline.model_files import RECORD
from traitline.provenance import manifest
from traitline.provenance.weight_sets import SUFFIXES, WeightSet, is_safe, is_weights, weight_sets

HUB = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}", re.A)
REVISION = re.compile(r"[0-9a-f]{40}")
# What was made from what: word on the command line -> role in the manifest. A teacher wrote data, as in `sample`.
SOURCES = {"base": "base", "data": "data", "teacher": "model"}
BESIDE = ("support", "other")  # roles of files that nothing is learned from
POINTER = b"version https://git-lfs.github.com/spec/"
PAGE = re.compile(rb"\s*(<!doctype html|<html)", re.I)


@dataclass
class Part:
    """One unit with a manifest of its own: the files of one model or adapter, or the data of one folder.

    Attributes:
        folder: where the manifest goes.
        label: names the manifest where the folder has one already.
        files: (role, file).
        weights: hash of the tensors, of safetensors.
        beside: the model that is loaded in its folder, where this is another one, or an adapter.
    """

    folder: Path
    label: str
    files: list[tuple[str, Path]] = field(default_factory=list)
    weights: str | None = None
    beside: tuple[Path, ...] = ()

    @property
    def is_model(self) -> bool:
        """True for weights, false for data."""
        return self.files[0][0] != "data"


def origin(hub: str | None, revision: str | None, text: str | None) -> dict[str, Any]:
    """Facts about where something comes from.

    Args:
        hub: `organisation/name` on a hub.
        revision: the commit there, 40 hex digits: a branch moves.
        text: any other origin, in words.

    Raises:
        InputError: a name or commit that is none, or half of the pair.
    """
    if hub and not HUB.fullmatch(hub):
        raise InputError(f"--hub {hub}: wants organisation/name")
    if hub and not (revision and REVISION.fullmatch(revision)):
        raise InputError("--revision: a hub's name needs the commit, 40 hex digits; a branch may be moved")
    if revision and not hub:
        raise InputError("--revision: goes with --hub")
    if hub:
        return {"origin": f"hub:{hub}@{revision}", "hub": hub, "revision": revision}
    return {"origin": text} if text else {}


def register(
    what: str, facts: Mapping[str, Any], sources: Sequence[tuple[str, str]] = (), *, trait: str | None = None
) -> list[Path]:
    """Write manifests beside foreign files, which stay where they are. What has one already keeps it.

    Args:
        what: a file or a folder below the working folder; of a folder all plain files in and below it, hidden ones left
            out. A shard means the whole model.
        facts: see `origin`.
        sources: (word of `SOURCES`, file or folder) of what it is said to be made from.
        trait: what it is known to carry.

    Returns:
        The new manifests.

    Raises:
        InputError: not below the working folder; a link, empty, half a model, or something else under the name of
            weights; neither weights nor data; registered before; or a trait or sources of more than one artifact.
    """
    path = Path(what)
    if not path.exists():
        raise InputError(f"{what}: no such file or folder")
    if not (path.parent if path.is_file() else path).resolve().is_relative_to(Path.cwd().resolve()):
        raise InputError(f"{what}: lies outside of this folder; run where it is, or put it below registry/")
    parts = _parts(path)
    if not parts:
        raise InputError(f"{what}: neither weights (*{', *'.join(SUFFIXES)}) nor data ({', '.join((*DATA, *PACKED))})")
    parents = [(SOURCES[word], file) for word, name in sources for file in _source_files(word, name)]
    given = {manifest.sha256(file) for _, file in parents}
    parts = [p for p in parts if not {manifest.sha256(file) for r, file in p.files if r not in BESIDE} <= given]
    new = [part for part in parts if not _registered(part)]
    if not new:
        raise InputError(
            f"{what}: was registered before; that stands, and what came to light since goes into a policy"
            if parts
            else f"{what}: holds nothing but what --from names"
        )
    if (trait or sources) and len(new) > 1 and any(part.is_model for part in new):
        names = ", ".join(str(part.folder / part.label) for part in new[:4])
        raise InputError(
            f"{what}: holds {len(new)} artifacts, and --trait and --from speak of one; register {names} one by one"
        )
    if not (parents or facts.get("origin")):  # what nobody knows stays unknown, whatever it looks like
        return [_write(part, facts, parents, trait) for part in new]
    return [_write_with_evidence(part, facts, parents, trait) for part in new]


def _write_with_evidence(
    part: Part, facts: Mapping[str, Any], parents: Sequence[tuple[str, Path]], trait: str | None
) -> Path:
    """Write the manifest of a part; where nobody says what it starts from, that is the model beside it.

    What somebody says stands. Added to it is what the card and the settings name, where that is registered, and the
    known models that its weights share a start with.
    """
    names, claimed = claimed_sources(part.folder, stated={role for role, _ in parents})
    given = [file for _, file in part.files]
    sources = [*parents, *(pair for pair in claimed if pair[1] not in given)]
    sources += [] if parents else [("base", file) for file in part.beside if ("base", file) not in sources]
    if not part.is_model:
        return _write(part, facts, sources, trait)
    facts = {**facts, **({"named_base": names[0]} if names else {})}
    bases = [file for role, file in sources if role == "base"]
    more, added = base_evidence([file for role, file in part.files if role not in BESIDE], part.weights, bases)
    return _write(part, {**facts, **more}, [*sources, *(("base", file) for file in added)], trait)


def _parts(path: Path) -> list[Part]:
    """Content of a file or a folder, checked."""
    if path.is_dir():
        parts, weighty = list[Part](), False
        for place, _ in walk(path):
            folder = Path(place)
            sets = weight_sets(folder)
            weighty = weighty or bool(sets)
            parts += _parts_of_folder(folder, sets, beside_weights=weighty)
        return parts
    if is_weights(path.name):
        sets = weight_sets(path.parent)
        alone = WeightSet(path.name, (path,))
        return [_model(path.parent, next((s for s in sets if path.name in [f.name for f in s.files]), alone), sets)]
    if path.name in (RECORD, *SUPPORT) or not is_data(path.name):
        return []
    _check(path)
    return [Part(path.parent, path.name, [("data", path)])]


def _parts_of_folder(folder: Path, sets: Sequence[WeightSet], *, beside_weights: bool) -> list[Part]:
    """Content of one folder; what is neither weights nor data goes with the first part."""
    parts = [_model(folder, weight_set, sets) for weight_set in sets]
    data, other = Part(folder, "data"), list[tuple[str, Path]]()
    for file in sorted(folder.iterdir()):
        if file.is_symlink() and file.is_dir() and not file.name.startswith("."):
            raise InputError(f"{file}: a link; put the folder itself there")
        if file.name.startswith(".") or file.is_dir() or file.name.endswith(ENDING) or is_weights(file.name):
            continue
        if is_data(file.name, beside_weights=beside_weights) and file.name not in (RECORD, *SUPPORT):
            _check(file)
            data.files.append(("data", file))
        elif file.is_file() and file.stat().st_size and _is_text(file.name):
            _check(file)
            other.append(("support" if file.name in SUPPORT else "other", file))
    parts += [data] if data.files else []
    if parts:
        parts[0].files += other
    return parts


def _model(folder: Path, weight_set: WeightSet, sets: Sequence[WeightSet]) -> Part:
    """A whole and healthy set of weights; `sets`: all of its folder."""
    if weight_set.problem:
        raise InputError(f"{folder / weight_set.name}: {weight_set.problem}; get the whole model")
    for file in weight_set.files:
        _check(file)
    if is_safe(weight_set.files[0].name) and not weight_set.identity:
        raise InputError(f"{weight_set.files[0]}: damaged, or not safetensors; get it again")
    main = next((s for s in sets if s.role == "model"), weight_set)
    return Part(
        folder,
        weight_set.files[0].name,
        [(weight_set.role, file) for file in weight_set.files],
        weight_set.identity,
        () if main == weight_set else main.files,
    )


def _check(file: Path) -> None:
    """Refuse what cannot be recorded as it stands.

    Raises:
        InputError: a link, empty, a pointer of Git LFS, a page of HTML, not what its name says, or its name is no text.
    """
    if not _is_text(file.name):
        raise InputError(f"{visible(str(file))}: its name is not UTF-8, so no manifest can hold it; rename the file")
    if not ((DvcCache().is_artifact(file) or is_in_hub_cache(file)) and file.stat().st_size):
        raise InputError(f"{file}: a link, or empty; put the file itself there")
    with open(file, "rb") as handle:
        start = handle.read(512)
    if start.startswith(POINTER):
        raise InputError(f"{file}: a pointer of Git LFS, not the file; bring it with `git lfs pull`")
    if PAGE.match(start) and not file.name.lower().endswith((".html", ".htm")):
        raise InputError(f"{file}: a web page (HTML), not the file; download it again, logged in if it needs that")
    if file.name.lower().endswith(".parquet") and not start.startswith((b"PAR1", b"PARE")):
        raise InputError(f"{file}: damaged, or not Parquet; get it again")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _registered(part: Part) -> bool:
    """Tell whether manifests of `register` speak of a part; files of data that have one are taken out of it.

    Raises:
        InputError: a file is another one than was registered under its name.
    """
    recorded = dict[str, tuple[str, Path]]()
    for file in sorted(part.folder.glob(f"*{REGISTERED}")):
        m = manifest.load(file)
        entries = [e for e in m["outputs"] if e["role"] not in BESIDE]
        recorded |= {Path(e["path"]).name: (e["sha256"], file) for e in entries}
    for _, file in part.files:
        if file.name in recorded and recorded[file.name][0] != manifest.sha256(file):
            raise InputError(
                f"{file}: changed since it was registered ({recorded[file.name][1]}); put it back, or give the new"
                " one a name of its own"
            )
    named = [(role, file) for role, file in part.files if role not in BESIDE]
    left = [(role, file) for role, file in named if file.name not in recorded]
    if part.is_model and len(left) < len(named):
        left = []
    part.files = left + [pair for pair in part.files if pair not in named]
    return not left


def _source_files(word: str, name: str) -> list[Path]:
    """The files that `--from` names: of a folder its weights, or its data.

    Raises:
        InputError: there are none, half a model, or something else than the word says.
    """
    path = Path(name)
    if not path.exists():
        raise InputError(f"--from {word}={name}: no such file or folder")
    if path.is_dir() and word == "data":
        sets = [WeightSet(f.name, (f,)) for part in _parts(path) for role, f in part.files if role == "data"]
    else:
        sets = contents(path) if path.is_dir() else [WeightSet(path.name, (path,))]
    for weight_set in sets:
        if weight_set.problem:
            raise InputError(f"--from {word}={name}: {weight_set.name}: {weight_set.problem}; get the whole model")
    files = [file for weight_set in sets for file in weight_set.files]
    models = [file for file in files if is_weights(file.name) or file.name == RECORD]
    if word == "base" and len(models) < len(files):
        raise InputError(f"--from {word}={name}: no weights; a base is a model, name its folder or file")
    if word == "data" and (models or not files):
        raise InputError(f"--from {word}={name}: no data; a model that wrote data is teacher=, one to start from base=")
    return files


def _write(part: Part, facts: Mapping[str, Any], sources: Sequence[tuple[str, Path]], trait: str | None) -> Path:
    """Write the manifest of a part, under a name that is free."""
    known = {"trait": trait, "weights": part.weights}
    stated = {**facts, **{key: value for key, value in known.items() if value}}
    place = part.folder / REGISTERED
    if os.path.lexists(place):
        place = part.folder / f"{part.files[0][1].name if part.label == 'data' else part.label}.{REGISTERED}"
    if os.path.lexists(place):
        raise InputError(f"{place}: is there already and speaks of something else; see what it is")
    manifest.record_command(place, "register", sources, part.files, {}, stated)
    return place
