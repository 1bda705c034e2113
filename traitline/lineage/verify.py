"""Verification: every file that a manifest names is hashed again, by all processors.

Only files below the working folder are opened, and those of DVC's cache and of studies on other disks to which links
there lead: a manifest from
elsewhere may name anything.
"""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from traitline import json_files, jsonl, model_files
from traitline.errors import InputError
from traitline.lineage.chain import Chain, examine_all
from traitline.lineage.folders import is_data, is_loaded
from traitline.lineage.index import ENDING, folders_here, manifests, scan
from traitline.lineage.links import Reach, linked_studies
from traitline.lineage.meaning import kind
from traitline.models import open_weights
from traitline.provenance import manifest, weights

OURS = (ENDING, "/records.json")  # files that describe others
DECLARED, HISTORY = "preregistered.json", "preregistered.jsonl"  # outcomes; the same, a line each, beside the artifact


@dataclass
class Findings:
    """Files that are not as manifests say; paths are relative to the working folder.

    Attributes:
        files: how many were hashed.
        bytes: how much that was.
        changed: (path, recorded sha256, sha256 now, manifest).
        missing: (path, manifest).
        extra: files beside artifacts that no manifest names.
        outside: (path, manifest): not below the working folder, or no plain file; not opened.
        misstated: (manifest, weights it states or None, weights now): its files are as recorded, but their tensors are
            not what it says. Such a statement would make two models one, or one two.
        doubted: (manifest, why): it is not what a job of its stage writes, or its files have other sizes than it says.
        uncanonical: manifests whose bytes are not the one form of their content.
        broken: (input, manifest): the manifest names a statement about the input that no manifest makes.
        cut: (input, manifest): the manifest names no statement although a job says that it wrote the input.
        unsealed: manifests of earlier versions, which name no statements. No objection: they are as they were.
    """

    files: int = 0
    bytes: int = 0
    changed: list[tuple[str, str, str, str]] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    outside: list[tuple[str, str]] = field(default_factory=list)
    misstated: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    doubted: list[tuple[str, str]] = field(default_factory=list)
    uncanonical: list[str] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)
    cut: list[tuple[str, str]] = field(default_factory=list)
    unsealed: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """True if everything is as recorded. Extra files do no harm: nobody has built on them."""
        files = (self.changed, self.missing, self.outside, self.misstated)
        return not any((*files, self.doubted, self.uncanonical, self.broken, self.cut))


@dataclass
class Statements:
    """Hashes and weights that manifests state.

    Attributes:
        hashes: file -> recorded sha256 -> manifest.
        weights: manifest -> (weights it states, files of the model).
        sizes: (file, bytes, manifest).
    """

    hashes: dict[str, dict[str, str]] = field(default_factory=dict)
    weights: dict[str, tuple[str | None, list[str]]] = field(default_factory=dict)
    sizes: list[tuple[str, int, str]] = field(default_factory=list)


def verify(folders: Sequence[str | Path], *, root: str | Path = ".") -> Findings:
    """Hash all that the manifests below `folders` name, each file once; look for files that none names.

    An output is looked for beside its manifest, so a folder may have been moved; an input where it was read.

    Raises:
        InputError: a manifest is damaged; or there is none, or none names a file: a check that looked at nothing
            never passes.
    """
    findings, reach = Findings(), Reach([*folders, *folders_here(root)], root)
    files = manifests(folders)
    chain = Chain()
    statements = _statements(files, reach.top, chain)
    if not statements.hashes:
        raise InputError(f"{', '.join(map(str, folders))}: no manifest names a file, so nothing was verified")
    sizes = dict[str, int]()
    for path, recorded in sorted(statements.hashes.items()):
        size = reach.size(path)
        if isinstance(size, int):
            sizes[path] = size
        else:
            getattr(findings, size).append((path, next(iter(recorded.values()))))
    for link in scan(folders)[1]:
        where = reach.size(link)
        (findings.missing if where == "missing" else findings.outside).append((link, link))
    _hash(statements, sizes, reach.top, findings)
    findings.uncanonical, findings.unsealed = chain.uncanonical, chain.unsealed
    changed = {path for path, *_ in findings.changed}
    findings.doubted = chain.doubted + [
        (file, f"{path} has {sizes[path]} bytes, not {size}")
        for path, size, file in statements.sizes
        if sizes.get(path, size) != size and path not in changed
    ]
    findings.broken, findings.cut = sorted(chain.broken(reach.top)), sorted(chain.cut())
    findings.extra = sorted(_strangers(folders, {os.path.normpath(p) for p in statements.hashes}))
    return findings


def added(findings: Findings, hidden: Iterable[str]) -> list[str]:
    """Files beside a study under a root that no manifest names, and that somebody could train on or load.

    They are links, rows, and parts of a model: weights, settings and code. A chat template that is added to a model's
    folder changes every answer, although no byte of an artifact is another one.

    Args:
        findings: of the study.
        hidden: its hidden files and links (`seal.Comparison`).
    """
    paths = {*findings.extra, *hidden}
    return sorted(p for p in paths if os.path.islink(p) or is_data(p) or is_loaded(os.path.basename(p)))


def _statements(files: Sequence[str], top: Path, chain: Chain) -> Statements:
    """Read what these manifests state, of files and of each other."""
    statements = Statements()
    for examined in examine_all(files):
        chain.add(examined)
        file, *_, claim, entries = examined
        models, roles = list[str](), set[str]()
        for output, role, path, sha, size, _ in entries:
            path = os.path.join(os.path.dirname(file), Path(path).name) if output else path
            path = os.path.relpath(path, top) if os.path.isabs(path) else path
            recorded = statements.hashes.setdefault(path, {})
            statements.sizes.append((path, size, file))
            if output or sha not in recorded:  # the maker's manifest is named before a reader's
                recorded[sha] = file
            if output and kind(1, role, path) == "model":
                models.append(path)
                roles.add(role)
        if claim or len(roles) == 1:  # an adapter beside a model has no identity with it
            statements.weights[file] = claim, models
    return statements


def _hash(statements: Statements, sizes: dict[str, int], top: Path, findings: Findings) -> None:
    """Hash the files of known sizes, and the weights of all models whose files are there, by all processors."""
    claims = {file: claim for file, claim in statements.weights.items() if sizes.keys() >= set(claim[1])}
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:  # hashing lets other threads run
        identities = pool.map(lambda claim: _identity(top, claim[1]), claims.values())
        for path, now in zip(sizes, pool.map(lambda path: manifest.sha256(top / path), sizes), strict=True):
            findings.files += 1
            findings.bytes += sizes[path]
            findings.changed += [(path, sha, now, file) for sha, file in statements.hashes[path].items() if sha != now]
        for file, (_, files) in claims.items():
            if _is_record(files):
                findings.changed += [(*each, file) for each in open_weights.differing(top / files[0], top)]
        changed = {path for path, *_ in findings.changed}
        for (file, (claim, files)), identity in zip(claims.items(), identities, strict=True):
            if claim != identity and not changed & set(files):
                findings.misstated.append((file, claim, identity))


def _identity(top: Path, files: Sequence[str]) -> str | None:
    """Identify the weights in files, or those that a record of open weights refers to."""
    if _is_record(files):
        return open_weights.restated(top / files[0], top)
    return weights.identity(top / path for path in files)


def _is_record(files: Sequence[str]) -> bool:
    """Tell whether these are the one file that refers to open weights."""
    return [os.path.basename(path) for path in files] == [model_files.RECORD]


def _strangers(folders: Iterable[str | Path], known: set[str]) -> Iterable[str]:
    for top in [place for folder in folders for place in (folder, *linked_studies(folder))]:
        for parent, below, names in os.walk(top):
            below[:] = [n for n in below if not n.startswith(".")]
            for name in names:
                path = os.path.normpath(os.path.join(parent, name))
                if path in known or path.endswith(OURS) or name.startswith("."):
                    continue
                if not (name == HISTORY and _is_history(path, known)):
                    yield path


def _is_history(path: str, known: set[str]) -> bool:
    """Tell whether a file says what the declarations beside it say; no manifest names it, see `preregister`."""
    declared = os.path.join(os.path.dirname(path), DECLARED)
    if declared not in known:
        return False
    try:
        rows = list(jsonl.read(path, ("primary",)))
        return bool(json_files.read_object(declared).get("declarations") == rows)
    except (InputError, OSError):
        return False
