"""Edited and exchanged artifacts are refused before anything is built on them.

Every job leaves a manifest with the sha256 of what it wrote, renamed into place after its outputs. So a file that
nothing has touched since that moment is as it was. Only the kernel's time of change (ctime) can say so: `mv`, `cp -p`
and `rsync -a` give any file the time of modification of another. Whatever was touched, a whole copied study for
instance, is hashed once, and the answer is kept in `.traitline/seen.json`. (A job hashes all of its inputs anyway:
`traitline.provenance.stage.record`.)
"""

import datetime
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from traitline.errors import InputError
from traitline.model_files import RECORD
from traitline.plain_files import refuse_unreadable
from traitline.provenance import manifest
from traitline.provenance.known_hashes import KnownHashes
from traitline.study.bases import Base
from traitline.study.config import Study
from traitline.study.expand import artifact_folders
from traitline.workflow import earlier_layout, requirements

CACHE = Path(".traitline/seen.json")
SHOWN = 3
PROMPT = 10_000_000_000  # nanoseconds from the end of a job to its manifest's place, which nothing touched since


@dataclass
class Artifacts:
    """Files below `results/`.

    Attributes:
        manifests: all of them, by path.
        hashes: file -> sha256 that its manifest vouches for.
        missing: files that a manifest names and that are gone.
    """

    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def check(study: Study) -> list[str]:
    """Look at every artifact below the study's `results/`; raises as `examine` does.

    Returns:
        Files that a manifest names, that the study would make again, and that are gone: asked for anew.
    """
    return lost(study, examine(study))


def lost(study: Study, artifacts: Artifacts) -> list[str]:
    """Files that are gone and that the study would make again."""
    folders = {folder for _, folder in artifact_folders(study)}
    return [file for file in artifacts.missing if os.path.dirname(file) in folders]


def examine(study: Study) -> Artifacts:
    """Look at every artifact below the study's `results/`.

    Raises:
        InputError: the bytes of a file are not those that its manifest vouches for; or a manifest is damaged; or data
            from outside are neither where the configuration says nor were read before; or a GGUF file cannot be
            converted; or `results/` is of a version that named its stages otherwise.
    """
    for label in study.used_sources:
        place = study.sources[label].path
        if place and not os.path.isfile(place) and not os.path.isfile(f"{study.results}/sources/{label}/rows.jsonl"):
            raise InputError(
                f"sources.{label}.path: {place}: no such file; put it there (docs/how-to/your-own-data.md)"
            )
    for label in requirements.open_bases(study):
        if study.bases[label].gguf and not os.path.isfile(f"{study.results}/bases/{label}/{RECORD}"):
            refuse_gguf(label, study.bases[label])
    artifacts, known = Artifacts(), KnownHashes(CACHE)
    edited, doubted = [], dict[str, str]()
    manifests = sorted(_manifests(Path(study.results)))
    earlier_layout.refuse(manifests)
    for path in manifests:
        m = manifest.load(path)
        artifacts.manifests[path.as_posix()] = m
        written = _placed(path, m)
        for entry in m["outputs"]:
            file = path.parent / Path(entry["path"]).name
            name = file.as_posix()
            artifacts.hashes[name] = entry["sha256"]
            try:
                status = file.stat()
            except FileNotFoundError:
                artifacts.missing.append(name)
                continue
            if status.st_size != entry["bytes"]:
                edited.append(name)
            elif written is None or max(status.st_mtime_ns, status.st_ctime_ns) > written:
                doubted[name] = entry["sha256"]
    edited += _differing(doubted, known)
    if edited:
        more = f" and {len(edited) - SHOWN} more" if len(edited) > SHOWN else ""
        raise InputError(
            f"{', '.join(edited[:SHOWN])}{more}: changed since made; delete to have rebuilt, nothing was run"
        )
    known.save()
    return artifacts


def refuse_gguf(label: str, base: Base) -> None:
    """Refuse a GGUF file that the stage `convert` would refuse, before anything runs.

    Raises:
        InputError: a part is missing, the package's file is another one, or it has no exact counterpart.
    """
    from traitline.models import gguf_file, gguf_tokenizer, packages

    path = Path(base.gguf_parts[0])
    try:
        if base.package:
            packages.describe(base.package, path, base.sha256)
        elif base.sha256:
            packages.checked_hash(path, base.sha256)
        gguf_tokenizer.build(gguf_file.Gguf(path))
    except InputError as e:
        raise InputError(f"bases.{label}: {e}") from None


def _placed(path: Path, m: Mapping[str, Any]) -> int | None:
    """Time at which a manifest was renamed into place, in nanoseconds; None if it was touched since."""
    changed = path.stat().st_ctime_ns
    try:
        ended = datetime.datetime.fromisoformat(m["ended"]).timestamp() * 1e9
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return changed if abs(changed - ended) <= PROMPT else None


def _differing(recorded: Mapping[str, str], known: KnownHashes) -> Sequence[str]:
    """Those files whose bytes are not the recorded ones. `recorded`: file -> sha256."""
    if not recorded:
        return []
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:  # hashing lets other threads run
        hashes = pool.map(known, recorded)
        return [file for file, sha in zip(recorded, hashes, strict=True) if sha != recorded[file]]


def _refuse_but_gone(error: OSError) -> None:
    """Pass over a folder that is not there, as before the first run; refuse one that may not be read."""
    if not isinstance(error, FileNotFoundError):
        refuse_unreadable(error)


def _manifests(folder: Path) -> list[Path]:
    paths = []
    for parent, _, names in os.walk(folder, onerror=_refuse_but_gone):
        paths += [Path(parent, name) for name in names if name.endswith(".manifest.json")]
    return paths
