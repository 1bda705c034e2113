"""Hashes of everything that a scan looks at: by all processors, with progress, remembered between scans."""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from traitline.errors import InputError
from traitline.provenance import weights
from traitline.provenance.known_hashes import KnownHashes
from traitline.provenance.tensor_sets import Tensor, TensorSet, plain_name, tensor_set
from traitline.provenance.weight_sets import SCRIPTS
from traitline.scan.tree import Item

# Whose tensors may be read without a pickle.
READABLE = (".safetensors", ".gguf", ".bin", ".pt", ".pth", ".ckpt", *SCRIPTS)
CERTAIN = (".safetensors", ".gguf")  # of which one that cannot be read is damaged


def named(tensors: TensorSet) -> str | None:
    """The hash of `traitline.provenance.weights`, which manifests state; None where names stand twice."""
    lines = {t.place.name: weights.line(t.place.dtype, t.place.shape, t.sha256) for t in tensors.tensors}
    return weights.of_lines(lines) if len(lines) == len(tensors.tensors) else None


def _tensors_of(path: str) -> str:
    """The tensors of one file, as text.

    Raises:
        InputError: see `tensor_set`.
    """
    tensors = tensor_set([path]).tensors
    rows = [(t.place.name, t.place.dtype, t.place.shape, t.sha256, t.bytes, t.telling, t.buffer) for t in tensors]
    return json.dumps(rows, separators=(",", ":"))


def _tensors_in(file: Path, text: str) -> tuple[Tensor, ...]:
    """The tensors of one file, from that text; where they lie in it is not kept."""
    return tuple(
        Tensor(plain_name(name), sha, size, telling, buffer, weights.Place(0, size, name, dtype, shape), file)
        for name, dtype, shape, sha, size, telling, buffer in json.loads(text)
    )


@dataclass
class Hashes:
    """Hashes of the items of a scan.

    Attributes:
        sha256: file -> hash of its bytes.
        tensors: file -> its tensors, where they can be read.
        problems: file -> why it, or its tensors, cannot be read.
    """

    sha256: dict[Path, str]
    tensors: dict[Path, tuple[Tensor, ...]]
    problems: dict[Path, str]

    def of(self, item: Item) -> TensorSet | None:
        """Tensors of an item; None where those of a file of it are not known."""
        if item.kind != "model" or not all(file in self.tensors for file in item.files):
            return None
        return TensorSet(tuple(tensor for file in item.files for tensor in self.tensors[file]))


def cache_folder() -> Path:
    """Where hashes are remembered: below the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "traitline"


def hash_all(items: Iterable[Item], cache: Path) -> Hashes:
    """Hash all files of all items, the largest first, each of them once."""
    known = KnownHashes(cache / "sha256.json"), KnownHashes(cache / "tensors.json", _tensors_of)
    files = {file: os.path.realpath(file) for item in items for file in item.files}
    models = {file for item in items if item.kind == "model" and not item.problem for file in item.files}
    jobs: dict[tuple[int, str], int] = {}
    for file, real in files.items():
        with contextlib.suppress(OSError):
            size = os.path.getsize(real)
            jobs[0, real] = size
            if (file in models and real.lower().endswith(READABLE)) or file.name.lower().endswith(READABLE):
                jobs[1, real] = size
    done, failed = _run(jobs, lambda job: known[job[0]](job[1]))
    for store in known:
        store.save(merge=True)
    result = Hashes({}, {}, {})
    for file, real in files.items():
        if (0, real) in done:
            result.sha256[file] = done[0, real]
        if (1, real) in done:
            result.tensors[file] = _tensors_in(file, done[1, real])
        elif reason := failed.get((0, real)) or (failed.get((1, real)) if _certain(file) else None):
            result.problems[file] = reason
    return result


def _certain(file: Path) -> bool:
    return file.name.lower().endswith(CERTAIN)


def _run(
    jobs: dict[tuple[int, str], int], work: Callable[[tuple[int, str]], str]
) -> tuple[dict[tuple[int, str], str], dict[tuple[int, str], str]]:
    """(results, reasons of failures) of jobs, the largest first: hashing lets other threads run."""
    done, failed = dict[tuple[int, str], str](), dict[tuple[int, str], str]()
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool, _progress(sum(jobs.values())) as advance:
        futures = {pool.submit(work, job): job for job in sorted(jobs, key=lambda j: (-jobs[j], j[1], j[0]))}
        for future in as_completed(futures):
            job = futures[future]
            try:
                done[job] = future.result()
            except InputError as e:
                failed[job] = str(e)
            except OSError as e:
                failed[job] = f"{job[1]}: {e.strerror}"
            advance(jobs[job])
    return done, failed


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, for what takes a while; else nothing."""
    if not sys.stderr.isatty() or total < 1 << 30:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    with Progress("hashing", *columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda count: bar.advance(task, count)
