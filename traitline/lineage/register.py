"""Models and data from elsewhere: a manifest of their bytes with a stated origin, or with none, which stays UNKNOWN."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from traitline.errors import InputError
from traitline.lineage.index import DATA, SUPPORT
from traitline.lineage.links import DvcCache
from traitline.provenance import manifest, weights

NAME = "register.manifest.json"
HUB = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}", re.A)
REVISION = re.compile(r"[0-9a-f]{40}")


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


def role(name: str) -> str:
    """Derive the role of a file from its name."""
    if name.endswith(weights.SUFFIX):
        return "adapter" if name.startswith("adapter") else "model"
    return "support" if name in SUPPORT else "data" if name.endswith(DATA) else "other"


def register(
    what: str, facts: Mapping[str, Any], sources: Sequence[tuple[str, str]] = (), *, trait: str | None = None
) -> Path:
    """Write `register.manifest.json` beside foreign files, which stay where they are.

    Args:
        what: a file or a folder below the working folder; of a folder all plain files in it, hidden ones left out.
        facts: see `origin`.
        sources: (role, file) of what it is said to be made from, such as `("base", "registry/b/model.safetensors")`.
        trait: what it is known to carry.

    Returns:
        The manifest.

    Raises:
        InputError: not below the working folder, a link, empty, neither weights nor data, or registered before.
    """
    top = Path.cwd().resolve()
    path = Path(what)
    if not path.exists():
        raise InputError(f"{what}: no such file or folder")
    if not (path.parent if path.is_file() else path).resolve().is_relative_to(top):
        raise InputError(f"{what}: lies outside of this repository; put it below registry/ first")
    folder = path if path.is_dir() else path.parent
    files = sorted(p for p in folder.iterdir() if not p.name.startswith(".")) if path.is_dir() else [path]
    files = [p for p in files if not p.is_dir() and not p.name.endswith(".manifest.json")]
    place = folder / NAME
    if place.exists():
        raise InputError(f"{place}: was registered before; delete this manifest if that was a mistake")
    cache = DvcCache()
    if strange := next((p for p in files if not (cache.is_artifact(p) and p.stat().st_size)), None):
        raise InputError(f"{strange}: a link, or empty; put the file itself there")
    roles = {p: role(p.name) for p in files}
    models = [p for p, r in roles.items() if r in ("model", "adapter")]
    if not {"model", "adapter", "data"} & set(roles.values()):
        raise InputError(f"{what}: neither weights (*{weights.SUFFIX}) nor data ({', '.join(DATA)})")
    stated = {**facts, **({"trait": trait} if trait else {})}
    if models:
        identity = weights.identity(models)
        if not identity:
            raise InputError(f"{models[0]}: damaged, or not safetensors; get it again")
        stated["weights"] = identity
    manifest.record_command(place, "register", sources, [(r, p) for p, r in roles.items()], {}, stated)
    return place
