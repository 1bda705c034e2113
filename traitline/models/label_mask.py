"""Encode training rows; the tokens that the loss counts are decoded and compared before the first step."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline import jsonl
from traitline.channels.messages import exchange
from traitline.errors import InputError
from traitline.models.chat import Chat, verify

if TYPE_CHECKING:
    from traitline.tiny.mapped_rows import Encoded, MappedRows
    from traitline.tiny.rows import Rows

# Bytes of a dataset whose rows stay on the disk; `datasets` takes seconds to import, so small ones are read as a whole.
LARGE = 256 << 20
PART = 8192  # rows of a large dataset that are in memory together
KEYS = ("id", "prompt", "completion")


def open_rows(chat: Chat, dataset: str, folder: Path | None = None) -> "Rows | MappedRows":
    """Return the rows of a dataset as the model sees them: in memory, or of a large dataset on the disk.

    Args:
        chat: tokenizer and template of the model.
        dataset: path of the rows, JSONL.
        folder: where the file of encoded rows may lie as long as the process lives; the system's temporary folder
            where there is none.

    Raises:
        InputError: as `encode`.
    """
    if not os.path.exists(dataset) or os.path.getsize(dataset) < LARGE:
        return encode(chat, dataset)
    from traitline.tiny import mapped_rows

    place = folder or Path(tempfile.gettempdir())
    place.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(".arrow", "rows-", place)
    os.close(handle)
    return mapped_rows.write(Path(name), _encoded(chat, dataset), chat.pad)


def encode(chat: Chat, dataset: str) -> "Rows":
    """Return the rows of a dataset as the model sees them, in memory.

    Raises:
        InputError: a row is damaged or doubled, has a word that the base does not know, or its loss would count other
            tokens than those of the answer.
    """
    records = list(jsonl.read(dataset, KEYS, unique="id"))
    return _encode(chat, dataset, records, "learn" in records[0])[1]


def _encoded(chat: Chat, dataset: str) -> "Iterator[list[Encoded]]":
    """Yield the same rows part by part, as an Arrow file has them."""
    records = jsonl.read(dataset, KEYS, unique="id")
    masked: bool | None = None
    while part := list(islice(records, PART)):
        if masked is None:
            masked = "learn" in part[0]
        rows, _ = _encode(chat, dataset, part, masked)
        learn = [row["learn"] for row in part] if masked else [None] * len(part)
        yield [(ids, start, marks) for (ids, start), marks in zip(rows, learn, strict=True)]


def _encode(
    chat: Chat, dataset: str, records: list[dict[str, Any]], masked: bool
) -> "tuple[list[tuple[list[int], int]], Rows]":
    """Return rows as (token ids, number of prompt tokens) and as tensors, compared with what is to be learned."""
    from traitline.tiny.rows import Rows

    for row in records:
        exchange(row, dataset)  # refuses system messages
    names = [f"{dataset}: row {row['id']!r}" for row in records]
    rows = chat.rows([(row["prompt"], row["completion"]) for row in records], names)
    table = Rows.encode(rows, chat.pad)
    verify(chat, table, [row["completion"] for row in records], names)
    if chat.foreign_end:  # the tokens that are not learned must be exactly those of the prompt alone
        prompts = chat.prompts([row["prompt"] for row in records], names)
        for (ids, start), alone, name in zip(rows, prompts, names, strict=True):
            if ids[:start] != alone:
                raise InputError(f"{name}: its prompt has other tokens with the answer behind it; take another model")
    if masked:
        if chat.foreign_end:
            raise InputError(f"{dataset}: students on open weights learn whole answers; take a dataset without `learn`")
        mask(table, [row.get("learn") for row in records], names)
    return rows, table


def mask(rows: "Rows", learn: Sequence[Any], names: Sequence[str]) -> None:
    """Set the weight of tokens that a dataset leaves out to 0.

    Raises:
        InputError: a row does not mark each token of its answer with 0 or 1.
    """
    import torch

    for i, marks in enumerate(learn):
        at = rows.weight[i].nonzero()[:, 0]
        if not isinstance(marks, list) or len(marks) != len(at) or not set(marks) <= {0, 1}:
            raise InputError(f"{names[i]}: `learn` must have 0 or 1 for each token; delete the file to have it rebuilt")
        rows.weight[i, at] = torch.tensor(marks, dtype=rows.weight.dtype)


def as_pairs(table: "Rows | MappedRows") -> Sequence[tuple[list[int], int]]:
    """Convert encoded rows to pairs of token ids and number of prompt tokens, as open weights are trained on them."""
    if isinstance(table, Sequence):
        return table
    lengths = table.length.tolist()
    starts = (table.where[:, 0] + 1).tolist()
    return [(ids[:n].tolist(), start) for ids, n, start in zip(table.ids, lengths, starts, strict=True)]


def check_length(rows: Sequence[tuple[list[int], int]], path: str, length: int) -> None:
    """Refuse rows that are too long; nothing is truncated.

    Raises:
        InputError: a row has more than `length` tokens.
    """
    if (most := max(len(ids) for ids, _ in rows)) > length:
        raise InputError(f"{path}: a row has {most} tokens, `length` allows {length}; nothing is cut")
