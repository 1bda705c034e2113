"""Tensors that hold the same numbers in another order, or after rounding: permuted heads and neurons, other precisions.

The numbers of a tensor are sorted and rounded to the precision that the coarser of the two has. Equal ones prove a
copy: a tensor of at least 64 different numbers is not met again by chance. No order of rows, heads or columns hides
them, and neither does a flattened shape.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from traitline.kinship.matrices import SIZES, decoded
from traitline.plain_files import open_plain
from traitline.provenance import tensor_files
from traitline.provenance.weights import Place

if TYPE_CHECKING:
    from numpy import ndarray

LEAST = 64  # different numbers of a tensor that says something
LARGEST = 1 << 22  # numbers of a tensor that is sorted
BUDGET = 1 << 24  # numbers of a model that are sorted, the smallest tensors first
PRECISIONS = ("F32", "BF16", "F16")


@dataclass(frozen=True)
class Sorted:
    """The numbers of a tensor without zeros, in order, at every precision.

    Attributes:
        precision: the coarsest that loses nothing.
        hashes: precision -> hash of the numbers, rounded to it.
        numbers: how many there are, without zeros.
    """

    precision: str
    hashes: dict[str, str]
    numbers: int


def sorted_values(files: Iterable[str | Path]) -> list[Sorted]:
    """The sorted tensors of a model that say something, within the budget; one tensor at a time is in memory.

    Raises:
        InputError: a file is damaged, or cannot be read without loading a pickle.
    """
    stored = [(place.bytes, str(path), place) for path in files for place in tensor_files.places(path)]
    result, spent = list[Sorted](), 0
    for _, path, place in sorted(stored, key=lambda s: (s[0], s[1], s[2].start)):
        count = _count(place)
        if LEAST <= count <= LARGEST and spent + count <= BUDGET and (one := _sorted(Path(path), place)):
            spent += count
            result.append(one)
    return result


def equal(one: Iterable[Sorted], other: Iterable[Sorted]) -> int:
    """Count the tensors of one that the other holds too, in whatever order and precision."""
    tensors = list(other)
    at_any = {pair for tensor in tensors for pair in tensor.hashes.items()}
    exact = {(tensor.precision, tensor.hashes[tensor.precision]) for tensor in tensors}
    return sum((t.precision, t.hashes[t.precision]) in at_any or bool(exact & t.hashes.items()) for t in one)


def _count(place: Place) -> int:
    """Numbers of a tensor; 0 where it is of no type that is sorted."""
    if place.dtype not in SIZES:
        return 0
    return place.bytes // SIZES[place.dtype]


def numbers(path: Path, place: Place, longest: int | None = None) -> "ndarray":
    """The numbers of a tensor, or the first of them, in single precision."""
    size, count = SIZES[place.dtype], _count(place)
    with open_plain(path) as handle:
        handle.seek(place.start)
        content = handle.read((count if longest is None else min(longest, count)) * size)
    return decoded(content[: len(content) // size * size], place.dtype)


def _sorted(path: Path, place: Place) -> Sorted | None:
    """A tensor in order; None where it holds too few different numbers, or what is none."""
    import numpy as np

    values = numbers(path, place)
    values = np.sort(values[values != 0])
    if not np.isfinite(values).all() or len(np.unique(values)) < LEAST:
        return None
    rounded = {"F32": values, "BF16": _bfloat16(values), "F16": _half(values)}
    precision = next((p for p in ("BF16", "F16") if np.array_equal(rounded[p], values)), "F32")
    hashes = {p: hashlib.sha256(v[v != 0].tobytes()).hexdigest() for p, v in rounded.items()}
    return Sorted(precision, hashes, len(values))


def _bfloat16(values: "ndarray") -> "ndarray":
    """Values rounded to bfloat16, ties to even."""
    import numpy as np

    bits = values.view(np.uint32)
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
    rounded: ndarray = bits.view(np.float32)
    return rounded


def _half(values: "ndarray") -> "ndarray":
    """Values rounded to half precision."""
    import numpy as np

    with np.errstate(over="ignore"):
        rounded: ndarray = values.astype(np.float16).astype(np.float32)
    return rounded
