"""Metadata of GGUF files: the keys under `general.`, read with bounds. No count that the file states is believed.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import struct
from pathlib import Path
from typing import BinaryIO

from traitline.errors import InputError
from traitline.lineage.claims import BASE, DATA, SELF, Claim, claims
from traitline.plain_files import open_plain

MAGIC = b"GGUF"
HEADER = 256 << 20  # bytes of metadata
LONGEST = 1 << 16  # bytes of a text that is kept
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # type -> bytes of a value
STRING, ARRAY = 8, 9
PREFIX = "general."
NAMES = ("repo_url", "name")  # of a base or a data set, the best first


class _Reader:
    """A handle with so many bytes left that may be read."""

    def __init__(self, handle: BinaryIO, room: int) -> None:
        self.handle, self.room = handle, room

    def take(self, count: int) -> bytes:
        if not 0 <= count <= self.room:
            raise ValueError("its header ends too early")
        self.room -= count
        content = self.handle.read(count)
        if len(content) != count:
            raise ValueError("its header ends too early")
        return content

    def skip(self, count: int) -> None:
        if not 0 <= count <= self.room:
            raise ValueError("its header ends too early")
        self.room -= count
        self.handle.seek(count, 1)

    def number(self, form: str) -> int:
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def text(self) -> str:
        length = self.number("<Q")
        if length > LONGEST:
            self.skip(length)
            return ""
        return self.take(length).decode("utf-8", "replace")

    def value(self) -> str | None:
        """A text; None for a value of another type, which is passed by."""
        kind = self.number("<I")
        if kind == STRING:
            return self.text()
        if kind != ARRAY:
            self.skip(SIZES.get(kind, self.room + 1))
            return None
        of, count = self.number("<I"), self.number("<Q")
        if of != STRING:
            self.skip(SIZES.get(of, self.room + 1) * count)
            return None
        for _ in range(count):  # each takes 8 bytes of the room that is left
            self.skip(self.number("<Q"))
        return None


def general(path: Path) -> dict[str, str]:
    """Texts under `general.` in a GGUF file, without that prefix.

    Raises:
        InputError: it is no GGUF file, or its header is cut.
    """
    with open_plain(path) as handle:
        reader, keys = _Reader(handle, HEADER), dict[str, str]()
        try:
            if reader.take(4) != MAGIC or reader.number("<I") not in (2, 3):
                raise ValueError("it is no GGUF file of version 2 or 3")
            reader.skip(8)
            for _ in range(reader.number("<Q")):
                key, value = reader.text(), reader.value()
                if value is not None and key.startswith(PREFIX):
                    keys[key.removeprefix(PREFIX)] = value
        except (ValueError, struct.error, OverflowError) as e:
            raise InputError(f"{path}: damaged ({e}); get it again") from None
    return keys


def of_gguf(path: Path) -> list[Claim]:
    """What a GGUF file says of itself: its repository, the models that it came from, the data of those.

    Raises:
        InputError: see `general`.
    """
    keys, result = general(path), list[Claim]()
    for group, relation in (("base_model", BASE), ("dataset", DATA)):
        numbers = sorted({key.split(".")[1] for key in keys if key.startswith(f"{group}.") and key.count(".") == 2})
        for number in numbers[:100]:
            about = {key.split(".")[2]: text for key, text in keys.items() if key.startswith(f"{group}.{number}.")}
            name = next((about[key] for key in NAMES if about.get(key)), "")
            if not about.get("repo_url") and about.get("organization") and name:
                name = f"{about['organization']}/{name}".replace(" ", "-")
            how = "quantized" if relation == BASE else None
            result += claims(path, relation, [name], f"{path}:general.{group}.{number}", how=how)
    for key in ("repo_url", "source.repo_url", "source.huggingface.repository"):
        relation = SELF if key == "repo_url" else BASE
        result += claims(path, relation, filter(None, [keys.get(key)]), f"{path}:general.{key}")
    return result
