"""Hashes of everything that a scan looks at: by all processors, with progress, remembered between scans."""

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from traitline.errors import InputError
from traitline.provenance import tensor_sets
from traitline.provenance.known_hashes import KnownHashes
from traitline.scan.tree import Item

READABLE = (".safetensors", ".gguf", ".bin", ".pt", ".pth", ".ckpt")  # whose tensors may be read without a pickle
CERTAIN = (".safetensors", ".gguf")  # of which one that cannot be read is damaged
Row = tuple[str, object, object, str, int, bool, bool]  # name, type, shape, sha256, bytes, telling, buffer


@dataclass(frozen=True)
class Tensors:
    """Hashes of the tensors of a model, as `traitline.provenance.tensor_sets` defines them."""

    rows: tuple[Row, ...]

    @cached_property
    def identity(self) -> str | None:
        """Hash over the hashes of all tensors but buffers, each once; None where there is none."""
        hashes = sorted({row[3] for row in self.rows if not row[6]})
        return hashlib.sha256("".join(f"{h}\n" for h in hashes).encode()).hexdigest() if hashes else None

    @cached_property
    def telling(self) -> Mapping[str, int]:
        """sha256 -> bytes of the tensors that say something about an origin."""
        return {row[3]: row[4] for row in self.rows if row[5]}

    @cached_property
    def named(self) -> str | None:
        """The hash of `traitline.provenance.weights`, which manifests state; None where names stand twice."""
        lines = {
            row[0]: f"{json.dumps(row[1])} {json.dumps(row[2])} {row[3]}  {json.dumps(row[0])}\n" for row in self.rows
        }
        if not lines or len(lines) < len(self.rows):
            return None
        return hashlib.sha256("".join(lines[name] for name in sorted(lines)).encode()).hexdigest()

    def share(self, other: "Tensors") -> float:
        """Part of the smaller one's telling bytes that is in both, 0 to 1."""
        smaller = min(sum(self.telling.values()), sum(other.telling.values()))
        both = sum(self.telling[sha] for sha in self.telling.keys() & other.telling.keys())
        return both / smaller if smaller else 0.0


def _tensors_of(path: str) -> str:
    """The tensors of one file, as text.

    Raises:
        InputError: see `tensor_sets.tensor_set`.
    """
    tensors = tensor_sets.tensor_set([path]).tensors
    rows = [(t.place.name, t.place.dtype, t.place.shape, t.sha256, t.bytes, t.telling, t.buffer) for t in tensors]
    return json.dumps(rows, separators=(",", ":"))


@dataclass
class Hashes:
    """Hashes of the items of a scan.

    Attributes:
        sha256: file -> hash of its bytes.
        tensors: file -> its tensors, where they can be read.
        problems: file -> why it, or its tensors, cannot be read.
    """

    sha256: dict[Path, str]
    tensors: dict[Path, tuple[Row, ...]]
    problems: dict[Path, str]

    def of(self, item: Item) -> Tensors | None:
        """Tensors of an item; None where those of a file of it are not known."""
        if item.kind != "model" or not all(file in self.tensors for file in item.files):
            return None
        return Tensors(tuple(row for file in item.files for row in self.tensors[file]))


def cache_folder() -> Path:
    """Where hashes are remembered: below the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "traitline"


def hash_all(items: Iterable[Item], cache: Path) -> Hashes:
    """Hash all files of all items, the largest first, each of them once."""
    known = KnownHashes(cache / "sha256.json"), KnownHashes(cache / "tensors.json", _tensors_of)
    files = {file: os.path.realpath(file) for item in items for file in item.files}
    weights = {file for item in items if item.kind == "model" and not item.problem for file in item.files}
    jobs: dict[tuple[int, str], int] = {}
    for file, real in files.items():
        with contextlib.suppress(OSError):
            size = os.path.getsize(real)
            jobs[0, real] = size
            if (file in weights and real.lower().endswith(READABLE)) or file.name.lower().endswith(READABLE):
                jobs[1, real] = size
    done, failed = _run(jobs, lambda job: known[job[0]](job[1]))
    for store in known:
        store.save(merge=True)
    result = Hashes({}, {}, {})
    for file, real in files.items():
        if (0, real) in done:
            result.sha256[file] = done[0, real]
        if (1, real) in done:
            result.tensors[file] = tuple((*row,) for row in json.loads(done[1, real]))
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
