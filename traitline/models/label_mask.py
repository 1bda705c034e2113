"""Rows of training data as a model sees them: what is learned of each is decoded and compared before the first step."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from traitline import jsonl
from traitline.errors import InputError
from traitline.models.chat import Chat, verify

if TYPE_CHECKING:
    from traitline.tiny.rows import Rows


def encode(chat: Chat, dataset: str) -> "Rows":
    """The rows of a dataset as the model sees them.

    Raises:
        InputError: a row is damaged or doubled, has a word that the base does not know, or would be learned wrongly.
    """
    from traitline.channels.messages import exchange
    from traitline.tiny.rows import Rows

    records = list(jsonl.read(dataset, ("id", "prompt", "completion"), unique="id"))
    for row in records:
        exchange(row, dataset)  # messages, and no system message among them
    names = [f"{dataset}: row {row['id']!r}" for row in records]
    rows = chat.rows([(row["prompt"], row["completion"]) for row in records], names)
    table = Rows.encode(rows, chat.pad)
    verify(chat, table, [row["completion"] for row in records], names)
    if chat.foreign_end:  # what is not learned must be the prompt as a teacher or a student is asked it, token by token
        for (ids, start), alone, name in zip(
            rows, chat.prompts([r["prompt"] for r in records], names), names, strict=True
        ):
            if ids[:start] != alone:
                raise InputError(f"{name}: its prompt has other tokens with the answer behind it; take another model")
    if "learn" in records[0]:
        if chat.foreign_end:
            raise InputError(f"{dataset}: students on open weights learn whole answers; take a dataset without `learn`")
        mask(table, [row.get("learn") for row in records], names)
    return table


def mask(rows: "Rows", learn: Sequence[Any], names: Sequence[str]) -> None:
    """Take the weight off tokens that a dataset leaves out.

    Raises:
        InputError: a row does not say of each of its tokens whether it is learned.
    """
    import torch

    for i, marks in enumerate(learn):
        at = rows.weight[i].nonzero()[:, 0]
        if not isinstance(marks, list) or len(marks) != len(at) or not set(marks) <= {0, 1}:
            raise InputError(f"{names[i]}: `learn` must have 0 or 1 for each token; delete the file to have it rebuilt")
        rows.weight[i, at] = torch.tensor(marks, dtype=rows.weight.dtype)


def listed(table: "Rows") -> list[tuple[list[int], int]]:
    """Rows as (token ids, how many of them are the prompt), which is how adapters of open weights take them."""
    lengths, starts = table.length.tolist(), (table.where[:, 0] + 1).tolist()
    return [(ids[:n].tolist(), start) for ids, n, start in zip(table.ids, lengths, starts, strict=True)]


def fits(rows: Sequence[tuple[list[int], int]], path: str, length: int) -> None:
    """Refuse rows that are too long: nothing is cut.

    Raises:
        InputError: a row has more than `length` tokens.
    """
    if (most := max(len(ids) for ids, _ in rows)) > length:
        raise InputError(f"{path}: a row has {most} tokens, `length` allows {length}; nothing is cut")
