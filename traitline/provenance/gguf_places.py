"""Places of the tensors in a GGUF file: its header is walked and never trusted.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The library `gguf` believes the counts that a file
states; a count of 2^60 keeps it busy for years. Here every count is bounded by the bytes that are there.
"""

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from traitline.provenance.weights import Place

MAGIC = b"GGUF"
HEADER = 256 << 20  # bytes of metadata; a vocabulary of a million tokens has 40 MB
LONGEST = 1 << 16  # bytes of a name, and of a text that is kept
DIMENSIONS = 8
FIXED = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # type of a value -> its bytes
STRING, ARRAY = 8, 9
# Type of a tensor -> (name, numbers of a block, bytes of a block).
TYPES = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 40), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
}  # fmt: skip


class Damaged(ValueError):
    """The file is no whole GGUF file; the text is why."""


class Header:
    """The header of a GGUF file that is open at its start.

    Attributes:
        tensors: how many the file states.
        alignment: of its tensors in bytes, known behind `pairs`.

    Raises:
        Damaged: it is none, or states more than it has room for.
    """

    def __init__(self, handle: BinaryIO, size: int) -> None:
        self.handle = handle
        self.room = min(size, HEADER)
        self.alignment = 32
        if self.take(4) != MAGIC or self.number("<I") not in (2, 3):
            raise Damaged("it is no GGUF file of version 2 or 3")
        self.tensors, self._keys = self.number(), self.number()
        if 24 * self.tensors + 12 * self._keys > self.room:
            raise Damaged("it states more tensors than it has room for")

    def take(self, count: int) -> bytes:
        """The next bytes."""
        content = self.handle.read(count) if 0 <= count <= self.room else b""
        if len(content) != count:
            raise Damaged("its header ends too early")
        self.room -= count
        return content

    def skip(self, count: int) -> None:
        """Pass bytes by."""
        if not 0 <= count <= self.room:
            raise Damaged("its header ends too early")
        self.room -= count
        self.handle.seek(count, 1)

    def number(self, form: str = "<Q") -> int:
        """The next number."""
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def text(self) -> str:
        """The next name."""
        length = self.number()
        if length > LONGEST:
            raise Damaged("a name is too long")
        return self.take(length).decode("utf-8", "replace")

    def pairs(self) -> Iterator[tuple[str, str | None]]:
        """Keys and their texts; None for a text that is too long, and for a value of another type, which is passed by.

        Raises:
            Damaged: the header is cut, or of no known form.
        """
        for _ in range(self._keys):
            key = self.text()
            yield key, self._value(key)

    def _value(self, key: str) -> str | None:
        kind = self.number("<I")
        if kind == STRING:
            length = self.number()
            if length <= LONGEST:
                return self.take(length).decode("utf-8", "replace")
            self.skip(length)
        elif kind == ARRAY:
            of, count = self.number("<I"), self.number()
            if of == STRING:
                for _ in range(count):  # each takes 8 bytes of the room that is left
                    self.skip(self.number())
            else:
                self.skip(FIXED.get(of, self.room + 1) * count)
        elif key == "general.alignment" and kind == 4:
            self.alignment = self.number("<I")
        else:
            self.skip(FIXED.get(kind, self.room + 1))
        return None

    def tensor(self) -> tuple[int, int, str, str, tuple[int, ...]]:
        """(offset, bytes, name, type, shape) of the next tensor; the slowest dimension first, as others write it."""
        name, count = self.text(), self.number("<I")
        if count > DIMENSIONS:
            raise Damaged("a tensor has too many dimensions")
        shape = tuple(self.number() for _ in range(count))[::-1]
        kind, offset = self.number("<I"), self.number()
        if kind not in TYPES:
            raise Damaged(f"a tensor of type {kind}, which is not known here")
        label, block, size = TYPES[kind]
        numbers = math.prod(shape)
        if numbers % block:
            raise Damaged("a tensor is no whole number of blocks")
        return offset, numbers // block * size, name, label, shape


def gguf_places(handle: BinaryIO, path: Path, size: int) -> list[Place]:
    """Places of the tensors in a GGUF file of `size` bytes that is open at its start, in the order of the file.

    Raises:
        Damaged: it is none, or cut, or two tensors overlap.
    """
    header = Header(handle, size)
    for _ in header.pairs():
        pass
    tensors_stated = sorted(header.tensor() for _ in range(header.tensors))
    alignment = header.alignment
    if not 0 < alignment <= 1 << 20:
        raise Damaged("its alignment is no number that fits")
    start = -(-handle.tell() // alignment) * alignment
    at, result = 0, list[Place]()
    for offset, count, name, kind, shape in tensors_stated:
        if offset < at or start + offset + count > size:
            raise Damaged("its tensors overlap, or the file is cut")
        at = offset + count
        result.append(Place(start + offset, count, name, kind, list(shape)))
    return result
