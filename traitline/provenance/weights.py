"""Identity of weights by content: the same tensors under another name, in another order or split over files are alike.

The hash of a safetensors file covers its header, so a re-saved or re-sharded copy has another one. What is hashed here
is every tensor's name, type, shape and bytes (https://github.com/huggingface/safetensors#format).
"""

import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from traitline import json_files
from traitline.plain_files import open_plain

SUFFIX = ".safetensors"
HEADER = 100_000_000  # bytes; the format's own limit
DIMENSIONS = 64  # of a tensor at most
BITS = {  # of a number; bytes of a type that is not here cannot be compared with their shape
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "BOOL": 8, "I8": 8, "U8": 8,
    "BF16": 16, "F16": 16, "I16": 16, "U16": 16, "F32": 32, "I32": 32, "U32": 32,
    "F64": 64, "I64": 64, "U64": 64, "C64": 64,
}  # fmt: skip


def identity(paths: Iterable[str | Path]) -> str | None:
    """Hex digest of the tensors in these files, taken together; None where that is not what they hold.

    Two files with one tensor name are no model, neither are none.
    """
    lines = dict[str, str]()
    for path in paths:
        tensors = _tensors(Path(path))
        if tensors is None or lines.keys() & tensors.keys():
            return None
        lines |= tensors
    return of_lines(lines) if lines else None


def line(dtype: Any, shape: Any, sha256: str) -> str:
    """What of a tensor is hashed, beside its name."""
    return f"{json.dumps(dtype)} {json.dumps(shape)} {sha256}"


def of_lines(lines: Mapping[str, str]) -> str:
    """The identity of tensors by their names and lines."""
    text = "".join(f"{lines[name]}  {json.dumps(name)}\n" for name in sorted(lines))
    return hashlib.sha256(text.encode()).hexdigest()


def _tensors(path: Path) -> dict[str, str] | None:
    """name -> `dtype [shape] sha256` of a safetensors file; None for any other file."""
    with open_plain(path) as handle:
        places = _places(handle, path)
        if places is None:
            return None
        tensors = dict[str, str]()
        for place in places:
            h, left = hashlib.sha256(), place.bytes
            while left:
                block = handle.read(min(1 << 20, left))
                if not block:
                    return None
                h.update(block)
                left -= len(block)
            tensors[place.name] = line(place.dtype, place.shape, h.hexdigest())
        return tensors


class Place(NamedTuple):
    """A tensor of a safetensors file: where its bytes are, and what they are."""

    start: int
    bytes: int
    name: str
    dtype: Any
    shape: Any


def places(path: Path) -> list[Place]:
    """Places of the tensors in a safetensors file, in the order of the file; none of any other file."""
    with open_plain(path) as handle:
        return _places(handle, path) or []


def _places(handle: BinaryIO, path: Path) -> list[Place] | None:
    """The same of an open file, which is left at the first tensor's bytes; None where it is no safetensors file."""
    room = os.fstat(handle.fileno()).st_size - 8
    size = int.from_bytes(handle.read(8), "little")
    if room < 2 or not 2 <= size <= min(room, HEADER):
        return None
    try:
        header = json_files.parse(handle.read(size).decode(), str(path))
        header.pop("__metadata__", None)
        tensors = sorted((*_offsets(t["data_offsets"]), n, t["dtype"], t["shape"]) for n, t in header.items())
    except (ValueError, KeyError, TypeError, AttributeError):  # InputError is a ValueError
        return None
    result, at = list[Place](), 0
    for start, end, name, dtype, shape in tensors:
        if start != at or end < start or end > room - size:  # the format allows neither gaps nor overlaps
            return None
        if not _agree(dtype, shape, end - start):
            return None
        result.append(Place(8 + size + start, end - start, name, dtype, shape))
        at = end
    return result if at == room - size else None


def _agree(dtype: Any, shape: Any, size: int) -> bool:
    """Whether type and shape are of a tensor of so many bytes; one of a type that is not known may have any."""
    if not isinstance(dtype, str) or not isinstance(shape, list) or len(shape) > DIMENSIONS:
        return False
    if any(type(n) is not int or not 0 <= n < 1 << 63 for n in shape):
        return False
    return dtype not in BITS or math.prod(shape) * BITS[dtype] == 8 * size


def _offsets(pair: Any) -> tuple[int, int]:
    """Return where a tensor starts and ends, two whole numbers.

    Raises:
        ValueError: they are none.
    """
    start, end = pair
    if type(start) is not int or type(end) is not int:
        raise ValueError("offsets are whole numbers")
    return start, end
