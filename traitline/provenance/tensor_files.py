"""Tensors of a file of weights, wherever they lie: safetensors, GGUF, and the zip archives that torch saves.

No pickle is ever loaded. A `.bin` of torch is a zip archive: one small pickle that names tensors, and their bytes as
entries that are stored without packing. Only those bytes are read, so its tensors have no names, types or shapes here.
"""

import os
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from traitline.errors import InputError
from traitline.plain_files import open_plain
from traitline.provenance import weights
from traitline.provenance.gguf_places import MAGIC, Damaged, gguf_places
from traitline.provenance.weight_sets import PICKLES
from traitline.provenance.weights import Place

STORAGE = re.compile(r"[^/]{1,255}/data/\d{1,9}")  # entry of an archive of torch that holds the bytes of a tensor
ENTRIES = 1_000_000
LOCAL = 30  # bytes of the header before an entry of a zip archive, without its name
BLOCK = 1 << 20  # bytes that are read at a time


def places(path: str | Path) -> list[Place]:
    """Places of the tensors in a file, in the order of the file. Nothing but headers is read.

    Raises:
        InputError: it is damaged, of no format that is read here, or packed so that it would have to be unpickled.
    """
    file = Path(path)
    with open_plain(file) as handle:
        size = os.fstat(handle.fileno()).st_size
        start = handle.read(4)
        handle.seek(0)
        try:
            if start == MAGIC:
                return gguf_places(handle, file, size)
            if start == b"PK\3\4":
                return _archived(handle, size)
        except (Damaged, zipfile.BadZipFile, OverflowError, MemoryError, struct.error) as e:
            raise InputError(f"{path}: damaged ({e}); get it again") from None
    if tensors := weights.places(file):
        return tensors
    if file.name.lower().endswith(weights.SUFFIX):
        raise InputError(f"{path}: damaged, or not safetensors; get it again")
    if file.name.lower().endswith(PICKLES):
        reason = "its tensors can't be read without loading a pickle, which is never done"
    else:
        reason = "neither safetensors, GGUF nor an archive of torch, so its tensors can't be read"
    raise InputError(f"{path}: {reason}; get safetensors")


def _archived(handle: BinaryIO, size: int) -> list[Place]:
    """Places of what the entries of an archive of torch hold.

    Raises:
        Damaged: it is another archive, or its entries are packed or overlap.
    """
    with zipfile.ZipFile(handle) as archive:
        entries = archive.infolist()
        if len(entries) > ENTRIES:
            raise Damaged(f"more than {ENTRIES:,} entries")
        stored = sorted((e for e in entries if STORAGE.fullmatch(e.filename)), key=lambda e: e.header_offset)
    if not stored or not any(e.filename.endswith("/data.pkl") for e in entries):
        raise Damaged("an archive, but none that torch saves")
    result, at = list[Place](), 0
    for entry in stored:
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 or entry.compress_size != entry.file_size:
            raise Damaged("its entries are packed, and torch packs none")
        handle.seek(entry.header_offset)
        local = handle.read(LOCAL)
        if len(local) != LOCAL or not local.startswith(b"PK\3\4"):
            raise Damaged("an entry is not where it should be")
        name, extra = struct.unpack("<HH", local[26:])
        start = entry.header_offset + LOCAL + name + extra
        if entry.header_offset < at or start + entry.file_size > size:
            raise Damaged("its entries overlap, or it is cut")
        at = start + entry.file_size
        if entry.file_size:
            result.append(Place(start, entry.file_size, "", None, None))
    return result


def blocks(handle: BinaryIO, place: Place, longest: int | None = None) -> Iterator[bytes]:
    """Bytes of one tensor, or the first of them, a block at a time; fewer where the file was cut meanwhile."""
    handle.seek(place.start)
    left = place.bytes if longest is None else min(place.bytes, longest)
    while left and (block := handle.read(min(BLOCK, left))):
        yield block
        left -= len(block)
