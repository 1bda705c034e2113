"""Training rows that stay on the disk: an Arrow file, of which a batch at a time comes into memory.

A batch has the same tensors as one of rows in memory (`traitline.tiny.rows`), so a model is trained to the same bytes.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from traitline.tiny.rows import WORTH, Cut, Part, Rows

SAMPLE = 1 << 16  # rows in which the shared beginning is looked for; then it is counted in all
Encoded = tuple[list[int], int, list[int] | None]  # token ids, number of prompt tokens, what is learned of the others


class MappedRows(Sequence[tuple[list[int], int]]):
    """Encoded training rows in an Arrow file; as a sequence, (token ids, number of prompt tokens).

    Args:
        path: the file, as `write` made it.
        pad: token that fills rows up.

    Attributes:
        length: (N,) tokens of a row.
    """

    def __init__(self, path: Path, pad: int) -> None:
        import datasets

        table = datasets.Dataset.from_file(str(path)).data.table
        self.pad = pad
        self._ids = _views(table, "ids")
        self._learn = _views(table, "learn") if "learn" in table.column_names else []
        self._first = np.cumsum([0, *(len(offsets) - 1 for offsets, _ in self._ids)])
        self.starts = table.column("start").to_numpy()
        self.length = torch.from_numpy(np.concatenate([np.diff(o).astype(np.int64) for o, _ in self._ids]))

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        return self.ids(range(len(self))[i]).tolist(), int(self.starts[i])

    def ids(self, i: int) -> np.ndarray:
        """Return the token ids of a row, a view of the file."""
        return self._view(self._ids, i)

    def weights(self, i: int) -> np.ndarray:
        """Return the weight of each token behind the prompt: 1 where it is learned."""
        if self._learn:
            return self._view(self._learn, i)
        return np.ones(int(self.length[i]) - int(self.starts[i]), dtype=np.uint8)

    def _view(self, views: list[tuple[np.ndarray, np.ndarray]], i: int) -> np.ndarray:
        chunk = int(self._first.searchsorted(i, side="right")) - 1
        offsets, values = views[chunk]
        at = i - int(self._first[chunk])
        return values[offsets[at] : offsets[at + 1]]

    def take(self, index: Tensor, shared: int) -> Rows:
        """Return rows in memory, without the first `shared` tokens of each."""
        wanted = index.tolist()
        rows = Rows.encode([(self.ids(i)[shared:], int(self.starts[i]) - shared) for i in wanted], self.pad)
        for n, i in enumerate(wanted if self._learn else ()):
            weights = self.weights(i)
            rows.weight[n, : len(weights)] = torch.tensor(weights, dtype=rows.weight.dtype)
        return rows

    def chunks(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield (offsets, values, starts) of the ids, part after part of the file."""
        for (offsets, values), first in zip(self._ids, self._first[:-1], strict=True):
            yield offsets, values, self.starts[first : first + len(offsets) - 1]


class MappedCut(Cut):
    """Mapped rows, with the beginning that most of them share taken off; see `Cut`."""

    def __init__(self, rows: MappedRows) -> None:

        self.mapped = rows
        n = len(rows)
        sample = torch.from_numpy(np.unique(np.linspace(0, n - 1, min(n, SAMPLE)).astype(np.int64)))
        likely = _likeliest(rows.take(sample, 0))
        common = np.concatenate([_common(*chunk, likely) for chunk in rows.chunks()])
        counts = n - np.searchsorted(np.sort(common), np.arange(len(likely) + 1))  # rows that share so many tokens
        shared = int((2 * counts >= n).sum()) - 1
        self.inside = torch.from_numpy(common >= shared)
        if shared < WORTH:
            shared = 0
            self.inside = torch.zeros(n, dtype=torch.bool)
        self.shared = torch.from_numpy(likely[:shared].astype(np.int64))
        self.rows = _Lengths(rows.length - self.inside.long() * shared)

    def parts(self, index: Tensor, most: int = 1 << 30) -> Iterator[Part]:
        """Yield a batch as one or two parts, or more; see `Cut.parts`."""
        inside = self.inside[index]
        total = torch.tensor(float(sum(int(self.mapped.weights(i).sum()) for i in index.tolist()))).clamp_min(1)
        for group, shared in ((index[inside], self.shared), (index[~inside], None)):
            for start in range(0, len(group), most):
                some = group[start : start + most]
                rows = self.mapped.take(some, 0 if shared is None else len(shared))
                learned = rows.weight.any(0).nonzero()
                k = int(learned[-1]) + 1 if len(learned) else 1
                t = int(rows.length.max()) - 1
                weight = rows.weight[:, :k] / total
                yield Part(some, rows.ids[:, :t], rows.where[:, :k], rows.target[:, :k], weight, shared)


class _Lengths(Rows):
    """Rows of which only the lengths are in memory."""

    def __init__(self, length: Tensor) -> None:
        object.__setattr__(self, "length", length)


def cut(rows: Rows | MappedRows) -> Cut:
    """Take off what most rows share, in memory or on the disk."""
    return MappedCut(rows) if isinstance(rows, MappedRows) else Cut(rows)


def write(path: Path, parts: Iterable[list[Encoded]], pad: int) -> MappedRows:
    """Write encoded rows, part by part, and open them.

    The file has no name any more when this returns: what is left of it goes with the process.
    """
    import pyarrow as pa
    from datasets.arrow_writer import ArrowWriter

    writer = None
    try:
        for rows in parts:
            columns = {
                "ids": pa.array([ids for ids, _, _ in rows], pa.list_(pa.int32())),
                "start": pa.array([start for _, start, _ in rows], pa.int32()),
            }
            if rows[0][2] is not None:
                columns["learn"] = pa.array([learn for _, _, learn in rows], pa.list_(pa.uint8()))
            table = pa.table(columns)
            writer = writer or ArrowWriter(path=str(path), schema=table.schema)
            writer.write_table(table)
        if writer is not None:
            writer.finalize()
        return MappedRows(path, pad)
    finally:
        if path.exists():
            os.unlink(path)


def _views(table: Any, column: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (offsets, values) of every part of a column of lists, without a copy."""
    chunks = [chunk for chunk in table.column(column).chunks if len(chunk)]
    return [(chunk.offsets.to_numpy(), chunk.values.to_numpy()) for chunk in chunks]


def _likeliest(rows: Rows) -> np.ndarray:
    """Return the beginning that is commonest token by token, as far as prompts go."""
    room = rows.where[:, 0]  # the last token of a prompt is asked, so it is not shared
    left = torch.ones(len(room), dtype=torch.bool)
    tokens = list[int]()
    while True:
        p = len(tokens)
        left &= room > p
        if not left.any():
            return np.array(tokens, dtype=np.int64)
        tokens.append(int(rows.ids[left, p].mode().values))
        left &= rows.ids[:, p] == tokens[-1]


def _common(offsets: np.ndarray, values: np.ndarray, starts: np.ndarray, likely: np.ndarray) -> np.ndarray:
    """Return how many tokens of `likely` each row of a part begins with, the last of its prompt left out: (rows,)."""
    common = np.zeros(len(starts), dtype=np.int32)
    alive = np.arange(len(starts))
    for p, token in enumerate(likely):
        alive = alive[starts[alive] - 1 > p]
        alive = alive[values[offsets[alive] + p] == token]
        common[alive] = p + 1
    return common
