"""Manifests: which bytes were made from which bytes, by which code. Written by each job as its last act.

A manifest lies beside what it describes as `<stage>.manifest.json`. Paths in it are relative to the working folder
(the repository root); identity is the sha256, never the path.
"""

import datetime
import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import orjson

import traitline
from traitline import atomic, plain_files
from traitline.errors import InputError
from traitline.json_files import DEEPEST, is_deep
from traitline.provenance import kernels
from traitline.provenance.statement import LINK, canonical, statement_in

SCHEMA = "traitline-manifest/2"
UNLINKED = "traitline-manifest/1"  # of earlier versions: its inputs name no statements
LARGEST = 16 << 20  # bytes of a manifest that is still read
HASH = re.compile(r"[0-9a-f]{64}")
_is_hash = HASH.fullmatch
MOST_BYTES = 1 << 62  # of a file
OBJECTS = ("params", "seeds", "facts", "code", "env")
PACKAGES = (
    "torch",
    "numpy",
    "transformers",
    "peft",
    "tokenizers",
    "safetensors",
    "jinja2",
    "scipy",
    "pandas",
    "matplotlib",
)
Named = Iterable[tuple[str, str | Path]]  # (role, file)


# What a Slurm job says of itself: name in the manifest -> variable. An attempt is a submission; Slurm itself starts a
# job once more after a requeue, a preemption or the failure of its node.
SLURM = {
    "job_id": "SLURM_JOB_ID",
    "partition": "SLURM_JOB_PARTITION",
    "node": "SLURMD_NODENAME",
    "gpus": "CUDA_VISIBLE_DEVICES",
    "attempt": "TRAITLINE_ATTEMPT",
    "restarts": "TRAITLINE_RESTARTS",
}


def sha256(path: str | Path) -> str:
    """Hex digest of a file's content.

    Raises:
        InputError: the file does not exist, may not be read, or is no plain file.
    """
    with plain_files.open_plain(path) as handle:
        stat = os.fstat(handle.fileno())
    return _sha256(str(path), stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino)


@cache
def _sha256(path: str, *_identity: int) -> str:
    with plain_files.open_plain(path) as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def reference(role: str, path: str | Path) -> dict[str, Any]:
    """Entry of a file in a manifest: role, path, sha256, bytes."""
    return {"role": role, "path": relative(path), "sha256": sha256(path), "bytes": os.path.getsize(path)}


def relative(path: str | Path) -> str:
    """The path from the working folder in POSIX spelling; absolute where it lies outside.

    A linked file keeps its own name: DVC may have put a link to its cache where the artifact was, and `results` may be
    a link to another disk.
    """
    here = Path.cwd()
    spelled = Path(os.path.abspath(path))
    if not spelled.is_relative_to(here):  # the working folder may have another name too, and a link may lead out of it
        top = next((p for p in spelled.parents if p.exists() and os.path.samefile(p, here)), None)
        spelled = here / spelled.relative_to(top) if top else spelled.parent.resolve() / spelled.name
    return spelled.relative_to(here).as_posix() if spelled.is_relative_to(here) else spelled.as_posix()


def read_bytes(path: str | Path) -> bytes:
    """The bytes of a manifest.

    Raises:
        InputError: it is no plain file, or they are more than any manifest has.
    """
    return plain_files.read_bytes(path, largest=LARGEST, remedy="no manifest is; delete it")


def parse(content: bytes, path: str | Path) -> dict[str, Any]:
    """The manifest in these bytes, which were read from a path.

    Raises:
        InputError: it is damaged, or of another schema.
    """
    try:
        m = orjson.loads(content)  # as strict as `json_files`, but for a key that stands twice, and ten times as quick
        if content.count(b"[") + content.count(b"{") > DEEPEST and is_deep(m):
            raise ValueError
    except ValueError:
        raise InputError(f"{path}: damaged manifest; delete it to have its artifacts rebuilt") from None
    if not isinstance(m, dict) or m.get("schema") not in (SCHEMA, UNLINKED):
        raise InputError(f"{path}: not a {SCHEMA} manifest; delete it to have its artifacts rebuilt")
    if wrong := _wrong(m):
        raise InputError(f"{path}: damaged manifest ({wrong}); delete it to have its artifacts rebuilt")
    return m


def load(path: str | Path) -> dict[str, Any]:
    """A manifest as a dictionary.

    Raises:
        InputError: it is damaged, of another schema, or larger than any manifest is.
    """
    return parse(read_bytes(path), path)


def _wrong(m: dict[str, Any]) -> str | None:
    """Name the first part that no manifest has; None if all is well, and others need not check again."""
    if type(m.get("stage")) is not str:
        return "stage"
    for key in OBJECTS:
        if type(m.get(key)) is not dict:
            return key
    for key in ("inputs", "outputs"):
        entries = m.get(key)
        if not isinstance(entries, list):
            return key
        try:
            good = all(map(_is_entry, entries))
        except (TypeError, KeyError, AttributeError):  # it lacks something, or a hash is no text
            good = False
        if not good:
            return f"an entry of {key}"
    return None


def _is_entry(e: Any) -> bool:
    """Tell whether this is the entry of a file."""
    path, size, link = e["path"], e["bytes"], e.get(LINK)
    return bool(
        type(path) is type(e["role"]) is str
        and path
        and "\0" not in path
        and _is_hash(e["sha256"])
        and type(size) is int
        and 0 <= size < MOST_BYTES
        and (link is None or _is_hash(link))
    )


def maker(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """(manifest, output entry) of the job that says it made this file, looked for in the file's own folder."""
    origin = _maker(path)
    return origin and origin[:2]


def _maker(path: str | Path) -> tuple[dict[str, Any], dict[str, Any], bytes] | None:
    """The same, with the bytes of the manifest."""
    for candidate in sorted(Path(path).parent.glob("*.manifest.json")):
        content = read_bytes(candidate)
        m = parse(content, candidate)
        for entry in m["outputs"]:
            if Path(entry["path"]).name == Path(path).name:
                return m, entry, content
    return None


def check(path: str | Path) -> str | None:
    """Refuse a file whose bytes are not those that its manifest vouches for.

    Returns:
        The statement of that manifest; None where no manifest names the file.

    Raises:
        InputError: the content changed after the job that made it.
    """
    origin = _maker(path)
    if origin is None:
        return None
    if origin[1]["sha256"] != sha256(path):
        raise InputError(
            f"{relative(path)}: changed since `{origin[0]['stage']}` made it (sha256 {sha256(path)[:12]}, "
            f"recorded {origin[1]['sha256'][:12]}); delete the file to have it rebuilt"
        )
    return statement_in(origin[2], origin[0])


def _vouched(path: str | Path) -> str | None:
    """The statement of the manifest that vouches for a file; None where there is none, or the bytes are others."""
    origin = _maker(path)
    return statement_in(origin[2], origin[0]) if origin and origin[1]["sha256"] == sha256(path) else None


def reference_input(role: str, path: str | Path) -> dict[str, Any]:
    """Entry of an input: as of any file, and the statement of the manifest that vouches for it.

    Raises:
        InputError: the file is missing, or is not what that manifest vouches for.
    """
    return {LINK: check(path), **reference(role, path)}


@cache
def _git(*args: str) -> str | None:
    try:
        done = subprocess.run(["git", *args], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def code(digest: str) -> dict[str, Any]:
    """The code block of a manifest: digest of the stage's syntax trees, git commit, dirty flag."""
    status = _git("status", "--porcelain", "--untracked-files=no")
    return {
        "digest": digest,
        "git_commit": _git("rev-parse", "HEAD"),
        "git_dirty": None if status is None else bool(status),
    }


def environment() -> dict[str, Any]:
    """Describe where a job ran: Python, packages, host, device, threads, kernels, Slurm job; no further variable."""
    packages = {p: importlib.metadata.version(p) for p in PACKAGES if p in sys.modules}
    torch = sys.modules.get("torch")
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch else []
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "host": platform.node(),
        "packages": packages,
        "device": "cuda" if gpus else "cpu",
        "gpus": gpus,
        "threads": torch.get_num_threads() if torch else 1,
        "kernels": kernels.describe(),
        **{f"slurm_{name}": os.environ.get(variable) for name, variable in SLURM.items()},
    }


def now() -> str:
    """UTC time, ISO 8601, milliseconds."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def is_time(text: Any) -> bool:
    """Tell whether a value of a manifest is such a time, with its zone."""
    try:
        return datetime.datetime.fromisoformat(text).tzinfo is not None
    except (TypeError, ValueError):
        return False


def record_command(
    place: Path, command: str, inputs: Named, outputs: Named, params: dict[str, Any], facts: dict[str, Any]
) -> None:
    """Write the manifest of a command, which is no stage: its code is this version, its time now.

    Args:
        place: of the manifest.
        command: its name.
        inputs: (role, file) of what it read.
        outputs: (role, file) of what it vouches for.
        params: settings.
        facts: statements about the outputs.
    """
    time = now()
    m = {
        "schema": SCHEMA,
        "stage": command,
        "inputs": [{LINK: _vouched(p), **reference(r, p)} for r, p in inputs],
        "outputs": [reference(r, p) for r, p in outputs],
        "params": params,
        "seeds": {},
        "facts": facts,
        "code": code(f"traitline {traitline.__version__}"),
        "env": environment(),
        "started": time,
        "ended": time,
    }
    atomic.put(place, canonical(m))
