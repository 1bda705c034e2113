"""Read many manifests, by all processors where that pays."""

import contextlib
import gc
import marshal
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

PARALLEL = 4000  # manifests from which on several processes read
CHUNK = 500  # manifests that a process reads at a time

T = TypeVar("T")


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Garbage collection put off: it would look at millions of small lists again and again, and none is in a circle."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def read_all(read_one: Callable[[str], T], files: Sequence[str]) -> Iterator[T]:
    """What a function returns of each file, in order.

    Args:
        read_one: a function of a module, so that other processes find it; it returns tuples, lists, text and numbers.
        files: manifests.
    """
    if len(files) < PARALLEL:
        yield from map(read_one, files)
        return
    from concurrent.futures import ProcessPoolExecutor

    chunks = [list(files[i : i + CHUNK]) for i in range(0, len(files), CHUNK)]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for part in pool.map(partial(_read_chunk, read_one), chunks):
            yield from marshal.loads(part)  # several times as quick as the pool's own pickle


def _read_chunk(read_one: Callable[[str], T], files: list[str]) -> bytes:
    with uncollected():
        return marshal.dumps([read_one(file) for file in files])
