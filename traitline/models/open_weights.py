"""Open weights: locate a published model folder, check it, and describe it in a record.

The record (`base.json`) takes the place of the folder in a study: it holds the hash of every file that is read, and a
hash of the tensors that does not depend on how they are split into files. Weights are never copied. Files that could
run code are refused: pickles, and models with custom classes.
"""

import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from traitline import json_files
from traitline.errors import InputError
from traitline.model_files import ADAPTER_CONFIG, RECORD
from traitline.models import chat_files
from traitline.provenance import manifest, weights
from traitline.provenance.known_hashes import KnownHashes
from traitline.provenance.weight_sets import PICKLES, index_names, is_safe

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
NEEDED = ("config.json", "tokenizer.json", "tokenizer_config.json")
OPTIONAL = ("generation_config.json", *chat_files.OPTIONAL)
KNOWN = Path(".traitline/weights.json")  # hashes of files that jobs have read
PICKLED = [f"*{suffix}" for suffix in PICKLES]


def find(source: dict[str, Any], *, download: bool = False) -> Path:
    """Return the folder of open weights on this machine.

    Args:
        source: `path`, or `hub` and `revision`.
        download: get from the hub what the cache does not have.

    Raises:
        InputError: it is not here, or the hub does not give it.
    """
    if source.get("path"):
        folder = Path(source["path"])
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; put a model in Hugging Face layout there, or correct `path`")
        return folder
    named = f"{chat_files.NAMED}/*.jinja"
    wanted = [*NEEDED, *OPTIONAL, named, INDEX, "*.safetensors"]
    return hub(source["hub"], source["revision"], wanted, download=download)


def hub(name: str, revision: str, files: list[str], *, data: bool = False, download: bool = False) -> Path:
    """Return the folder of files from the hub on this machine.

    Args:
        name: `owner/name`.
        revision: the commit there.
        files: names or patterns; of data all must be there.
        data: it is a data set, not a model.
        download: get what the cache does not have.

    Raises:
        InputError: it is not here, or the hub does not give it.
    """
    from huggingface_hub import errors, snapshot_download

    at = f"{name} at {revision[:12]}"
    page = f"https://huggingface.co/{'datasets/' * data}{name}"
    wanted: dict[str, Any] = {"revision": revision, "allow_patterns": files} | (
        {"repo_type": "dataset"} if data else {}
    )
    try:
        folder = Path(snapshot_download(name, **wanted, local_files_only=True))
        if not data or all((folder / file).is_file() for file in files):
            return folder
    except errors.LocalEntryNotFoundError:
        pass
    if not download:
        stage = "source" if data else "pretrain"
        raise InputError(f"{at}: not in the cache of this machine (HF_HOME); the stage `{stage}` gets it")
    try:
        folder = Path(snapshot_download(name, **wanted))
    except errors.GatedRepoError:
        raise InputError(f"{at}: gated; accept its terms on {page}, then `hf auth login`") from None
    except errors.RevisionNotFoundError:
        raise InputError(f"{at}: no such commit; take one of {page}/commits/main") from None
    except errors.RepositoryNotFoundError:
        what = "data set" if data else "model"
        raise InputError(f"{at}: no such {what}, or a private one; correct `hub`, or `hf auth login`") from None
    except OSError as e:  # no network, a broken connection, and what is left of the hub's own errors
        kind = "--repo-type dataset " * data
        raise InputError(
            f"{at}: not in the cache of this machine (HF_HOME), and the hub does not answer ({type(e).__name__});"
            f" on a machine with a network: hf download {kind}{name} --revision {revision}"
        ) from None
    if data and (missing := [file for file in files if not (folder / file).is_file()]):
        raise InputError(f"{at}: has no file {missing[0]}; take one of {page}/tree/{revision}")
    return folder


def describe(folder: Path) -> dict[str, Any]:
    """Describe a folder for a record: `files` (name -> sha256 and bytes), `weights`, `parameters`, `architecture`.

    Raises:
        InputError: a file is missing or damaged, or the model could run code.
    """
    others = (name for name in (*NEEDED, "generation_config.json", INDEX) if (folder / name).is_file())
    files = [*shards(folder), *others, *chat_files.names_of(folder)]
    for name in NEEDED:
        if name not in files:
            raise InputError(f"{folder}: lacks {name}; get the whole model, with its fast tokenizer")
    if (folder / ADAPTER_CONFIG).exists():
        raise InputError(
            f"{folder}: {ADAPTER_CONFIG} asks for an adapter on top of the weights; take a folder without it"
        )
    config, tokenizer = (_object(folder / name) for name in ("config.json", "tokenizer_config.json"))
    for name, content in (("config.json", config), ("tokenizer_config.json", tokenizer)):
        if chat_files.asks_for_code(content):
            raise InputError(f"{folder}/{name}: asks for code of its own (auto_map), which is never run; take another")
    chat_files.template(folder, tokenizer)
    identity = weights.identity([folder / name for name in shards(folder)])
    if identity is None:
        raise InputError(f"{folder}: damaged weights, or not safetensors; get them again")
    return {
        "files": {n: {"sha256": h, "bytes": (folder / n).stat().st_size} for n, h in hash_files(folder, files).items()},
        "weights": identity,
        "parameters": sum(_parameters(folder / name) for name in shards(folder)),
        "architecture": config.get("model_type"),
    }


def shards(folder: Path) -> list[str]:
    """Return the names of the weight files.

    Raises:
        InputError: there are none, one of them is missing, or there are pickles only.
    """
    if (folder / SINGLE).is_file():
        return [SINGLE]
    if not (folder / INDEX).is_file():
        if any(file for pattern in PICKLED for file in folder.glob(pattern)):
            raise InputError(f"{folder}: its weights are pickles, which are never opened; get them as safetensors")
        raise InputError(f"{folder}: lacks {SINGLE} and {INDEX}; get the whole model")
    names = index_names(folder / INDEX)
    if not names or not all(map(is_safe, names)):
        raise InputError(f"{folder}/{INDEX}: damaged; get the model again")
    for name in names:
        if not (folder / name).is_file():
            raise InputError(f"{folder}: lacks {name}, which {INDEX} names; get the whole model")
    return names


def opened(base: str | Path) -> tuple[dict[str, Any], Path]:
    """Read the record of a base and locate its weights: (record, folder). Nothing is downloaded.

    Every file is known by its content: what was hashed before and was not touched since is not hashed again.

    Raises:
        InputError: the folder is gone, or its files are not those that were recorded.
    """
    path = Path(base, RECORD)
    record = _object(path)
    if not {"source", "files", "weights"} <= record.keys():
        raise InputError(f"{path}: damaged; delete the file to have it rebuilt")
    folder = find(record["source"])
    recorded = {name: str(about["sha256"]) for name, about in record["files"].items()}
    for name in recorded:
        if not (folder / name).is_file():
            raise InputError(f"{folder / name}: gone since {path} was made; put it back")
    hashes = hash_files(folder, recorded)
    for name in recorded:
        if hashes[name] != recorded[name]:
            raise InputError(f"{folder / name}: changed since {path} was made; put it back, or delete the record")
    for name in (SINGLE, INDEX, *OPTIONAL, *chat_files.names_of(folder)):
        if name not in recorded and (folder / name).is_file():  # it would be read before what was recorded
            raise InputError(f"{folder / name}: was not there when {path} was made; remove it, or delete the record")
    return record, folder


def tokenizer_hash(base: str | Path) -> str:
    """Hash of the tokenizer of a recorded base.

    Raises:
        InputError: the weights or the tokenizer are not as they were recorded.
    """
    return str(opened(base)[0]["files"]["tokenizer.json"]["sha256"])


def hash_files(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """sha256 of files in a folder, by name; remembered for the jobs that follow."""
    known = KnownHashes(KNOWN)
    hashes = {name: known(os.path.abspath(folder / name)) for name in names}
    known.save(merge=True)
    return hashes


def restated(path: Path, top: Path) -> str | None:
    """Hash of the weights that a record states, recomputed where the files may be opened: see `_allowed`."""
    stated = None
    try:
        record = _object(path)
        stated = str(record["weights"])
        place = _allowed(record, top)
        files = [place / name for name in shards(place)] if place else []
        return weights.identity(files) if place and _inside(files, record, top) else stated
    except InputError:  # the weights are not on this machine
        return stated
    except (KeyError, TypeError, AttributeError, ValueError, OSError):  # OSError: a name that no folder can have
        return None


def differing(path: Path, top: Path) -> list[tuple[str, str, str]]:
    """Files of a record's folder that are not as recorded, where they may be opened: (path, recorded, sha256 now).

    Weights are left out: `restated` compares their tensors. A file that is gone is none of these: the whole folder may
    be on another machine.
    """
    try:
        record = _object(path)
        place = _allowed(record, top)
        named = {str(name): str(about["sha256"]) for name, about in record["files"].items()} if place else {}
        kept = [name for name in named if not name.endswith(weights.SUFFIX) and (Path(str(place), name)).is_file()]
        files = {name: Path(str(place), name) for name in kept}
        if not _inside(files.values(), record, top):
            return []
        hashes = {name: manifest.sha256(file) for name, file in files.items()}
        differs = [(n, sha) for n, sha in hashes.items() if sha != named[n]]
        return [(str(files[n]).removeprefix(f"{top}/"), named[n], sha) for n, sha in differs]
    except (InputError, KeyError, TypeError, AttributeError, ValueError, OSError):
        return []


def _allowed(record: Mapping[str, Any], top: Path) -> Path | None:
    """The folder of a record. One from elsewhere may name any; only those below `top` and in the hub's cache count."""
    source = record["source"]
    if not source.get("path"):
        return find(source)
    place = Path(top, source["path"])
    return place if place.resolve().is_relative_to(top) else None


def _inside(files: Iterable[Path], record: Mapping[str, Any], top: Path) -> bool:
    """Tell whether files that a record names stay where they may be opened."""
    inside = top if record["source"].get("path") else Path("/")
    return all(file.resolve().is_relative_to(inside) for file in files)


def is_open(base: str | Path) -> bool:
    """Tell whether a base's folder holds a record of open weights rather than a tiny model."""
    return Path(base, RECORD).is_file()


def _parameters(path: Path) -> int:
    from safetensors import safe_open

    with safe_open(path, "pt") as tensors:
        return sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118


def _object(path: Path) -> dict[str, Any]:
    return json_files.read_object(path, remedy="get the model again")
