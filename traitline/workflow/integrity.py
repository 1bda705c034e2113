"""Edited artifacts are refused before anything is built on them.

Every job leaves a manifest with the sha256 of what it wrote, renamed into place after its outputs. So a file that has
the size it had and is no newer than its manifest is taken to be as it was; only what looks different is hashed, and the
answer is kept in `.traitline/seen.json`. (A job hashes all of its inputs anyway: `traitline.provenance.stage.record`.)
"""

import json
import os
from pathlib import Path
from typing import Any

from traitline import atomic
from traitline.errors import InputError
from traitline.provenance import manifest
from traitline.study.config import Study
from traitline.study.expand import artifact_folders
from traitline.workflow import earlier_layout

CACHE = Path(".traitline/seen.json")
SHOWN = 3


def check(study: Study) -> list[str]:
    """Look at every artifact below the study's `results/`.

    Returns:
        Files that a manifest names, that the study would make again, and that are gone: asked for anew.

    Raises:
        InputError: the bytes of a file are not those that its manifest vouches for; or a manifest is damaged; or data
            from outside are neither where the configuration says nor were read before; or `results/` is of a version
            that named its stages otherwise.
    """
    for label in study.used_sources:
        place = study.sources[label].path
        if place and not os.path.isfile(place) and not os.path.isfile(f"{study.results}/sources/{label}/rows.jsonl"):
            raise InputError(
                f"sources.{label}.path: {place}: no such file; put it there (docs/how-to/your-own-data.md)"
            )
    cache = _load()
    seen: dict[str, Any] = {}
    edited, missing = [], []
    manifests = sorted(_manifests(Path(study.results)))
    earlier_layout.refuse(manifests)
    for path in manifests:
        written = path.stat().st_mtime_ns
        for entry in manifest.load(path)["outputs"]:
            file = path.parent / Path(entry["path"]).name
            try:
                stat = file.stat()
            except FileNotFoundError:
                missing.append(file.as_posix())
                continue
            if stat.st_size == entry["bytes"] and stat.st_mtime_ns <= written:
                continue
            known = [stat.st_size, stat.st_mtime_ns, stat.st_ino, entry["sha256"]]
            if stat.st_size == entry["bytes"] and (
                cache.get(file.as_posix()) == known or manifest.sha256(file) == entry["sha256"]
            ):
                seen[file.as_posix()] = known
            else:
                edited.append(file.as_posix())
    if edited:
        more = f" and {len(edited) - SHOWN} more" if len(edited) > SHOWN else ""
        raise InputError(
            f"{', '.join(edited[:SHOWN])}{more}: changed since made; delete to have rebuilt, nothing was run"
        )
    if seen != cache:
        atomic.put(CACHE, json.dumps(seen))
    folders = {folder for _, folder in artifact_folders(study)}
    return [file for file in missing if os.path.dirname(file) in folders]


def _load() -> dict[str, Any]:
    """Read what was hashed before; nothing if the file is missing or damaged, since it only saves time."""
    try:
        cache = json.loads(CACHE.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return cache if isinstance(cache, dict) else {}


def _manifests(folder: Path) -> list[Path]:
    paths = []
    for parent, _, names in os.walk(folder):
        paths += [Path(parent, name) for name in names if name.endswith(".manifest.json")]
    return paths
