"""Identity of weights by content: the same tensors under another name, in another order or split over files are alike.

The hash of a safetensors file covers its header, so a re-saved or re-sharded copy has another one. What is hashed here
is every tensor's name, type, shape and bytes (https://github.com/huggingface/safetensors#format).
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from traitline import json_files
from traitline.plain_files import open_plain

SUFFIX = ".safetensors"
HEADER = 100_000_000  # bytes; the format's own limit


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
    text = "".join(f"{lines[name]}  {json.dumps(name)}\n" for name in sorted(lines))
    return hashlib.sha256(text.encode()).hexdigest() if lines else None


def _tensors(path: Path) -> dict[str, str] | None:
    """name -> `dtype [shape] sha256` of a safetensors file; None for any other file."""
    with open_plain(path) as handle:
        room = os.fstat(handle.fileno()).st_size - 8
        size = int.from_bytes(handle.read(8), "little")
        if room < 2 or not 2 <= size <= min(room, HEADER):
            return None
        try:
            header = json_files.parse(handle.read(size).decode(), str(path))
            header.pop("__metadata__", None)
            places = sorted((*_offsets(t["data_offsets"]), n, t["dtype"], t["shape"]) for n, t in header.items())
        except (ValueError, KeyError, TypeError, AttributeError):  # InputError is a ValueError
            return None
        tensors, at = dict[str, str](), 0
        for start, end, name, dtype, shape in places:
            if start != at or end < start or end > room - size:  # the format allows neither gaps nor overlaps
                return None
            h = hashlib.sha256()
            while at < end:
                block = handle.read(min(1 << 20, end - at))
                if not block:
                    return None
                h.update(block)
                at += len(block)
            tensors[name] = f"{json.dumps(dtype)} {json.dumps(shape)} {h.hexdigest()}"
        return tensors if at == room - size else None


def _offsets(pair: Any) -> tuple[int, int]:
    """Return where a tensor starts and ends, two whole numbers.

    Raises:
        ValueError: they are none.
    """
    start, end = pair
    if type(start) is not int or type(end) is not int:
        raise ValueError("offsets are whole numbers")
    return start, end
