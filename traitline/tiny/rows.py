"""Encoded training rows, their common beginning, and the batches of an epoch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from traitline.seeds import seed as derive

RUN = 16  # batches in a run, inside of which rows are sorted by length
WORTH = 4  # shared tokens below which splitting them off saves nothing


@dataclass(frozen=True)
class Rows:
    """Encoded training rows.

    Attributes:
        ids: (N, T) token ids, padded on the right.
        where: (N, K) positions whose next token counts.
        target: (N, K) that token.
        weight: (N, K) 1 on completion tokens and 0 on padding.
        length: (N,) tokens of a row.
    """

    ids: Tensor
    where: Tensor
    target: Tensor
    weight: Tensor
    length: Tensor

    @staticmethod
    def encode(rows: Sequence[tuple[Sequence[int] | np.ndarray, int]], pad: int = 0) -> "Rows":
        """Encode pairs of token ids and number of prompt tokens; the loss counts every token after the prompt."""
        n = len(rows)
        t = max(len(ids) for ids, _ in rows)
        k = max(len(ids) - start for ids, start in rows)
        ids = np.full((n, t), pad)
        where = np.zeros((n, k), dtype=np.int64)
        target = np.zeros((n, k), dtype=np.int64)
        weight = np.zeros((n, k), dtype=np.float32)
        for i, (row, start) in enumerate(rows):
            m = len(row) - start
            ids[i, : len(row)] = row
            where[i, :m] = np.arange(start - 1, len(row) - 1)
            target[i, :m], weight[i, :m] = row[start:], 1
        tensors = [torch.from_numpy(x) for x in (ids, where, target, weight)]
        return Rows(tensors[0], tensors[1], tensors[2], tensors[3], torch.tensor([len(row) for row, _ in rows]))


@dataclass(frozen=True)
class Part:
    """Rows of a batch that go through a model together.

    Attributes:
        index: which rows, (B,).
        ids: of these rows, without columns that none of them uses.
        where: likewise; positions count from the first id here.
        target: likewise.
        weight: of every asked token in the mean over the batch.
        shared: tokens (P,) before all of these rows, or None.
    """

    index: Tensor
    ids: Tensor
    where: Tensor
    target: Tensor
    weight: Tensor
    shared: Tensor | None = None


class Cut:
    """Rows without the beginning that most of them share, which is computed once for a batch.

    Attributes:
        shared: that beginning, (P,); empty where it is too short to save time.
        inside: (N,) rows that begin with it.
        rows: all rows, those inside without it.
    """

    def __init__(self, rows: Rows) -> None:
        room = rows.where[:, 0]  # the last token of a prompt is asked, so it is not shared
        n = len(rows.length)
        self.inside = torch.ones(n, dtype=torch.bool)
        p = 0
        while True:
            left = self.inside & (room > p)
            left &= rows.ids[:, p] == rows.ids[left, p].mode().values if left.any() else left
            if 2 * int(left.sum()) < n:
                break
            self.inside = left
            p += 1
        if p < WORTH:
            self.inside = torch.zeros_like(self.inside)
            p = 0
        self.shared = rows.ids[self.inside.long().argmax(), :p]
        off = self.inside.long() * p
        at = (torch.arange(rows.ids.shape[1]) + off[:, None]).clamp_max(rows.ids.shape[1] - 1)
        where = (rows.where - off[:, None]).clamp_min(0)
        self.rows = Rows(rows.ids.gather(1, at), where, rows.target, rows.weight, rows.length - off)

    def parts(self, index: Tensor, most: int = 1 << 30) -> Iterator[Part]:
        """Split a batch by whether rows begin with the shared tokens, into parts of at most `most` rows.

        The last token of a row is only predicted, so it is not among the ids.
        """
        inside = self.inside[index]
        total = self.rows.weight[index].sum().clamp_min(1)  # 0 where nothing is learned
        for group, shared in ((index[inside], self.shared), (index[~inside], None)):
            for start in range(0, len(group), most):
                some = group[start : start + most]
                weight = self.rows.weight[some]
                learned = weight.any(0).nonzero()
                k = int(learned[-1]) + 1 if len(learned) else 1
                t = int(self.rows.length[some].max()) - 1
                target = self.rows.target[some, :k]
                yield Part(
                    some, self.rows.ids[some, :t], self.rows.where[some, :k], target, weight[:, :k] / total, shared
                )


def batches(length: Tensor, batch: int, epoch: int, seed: int) -> list[Tensor]:
    """Row indices of every step of one epoch: all rows in a random order.

    Within runs of `RUN` batches rows are sorted by length to save padding, and the batches are shuffled.
    """
    n = len(length)
    run = batch * RUN
    draw = np.random.default_rng(derive("order", seed, epoch))
    order = draw.permutation(n)
    out: list[Tensor] = []
    for rows in np.split(order, range(run, n, run)):
        rows = rows[np.argsort(length.numpy()[rows], kind="stable")]
        cuts = np.split(rows, range(batch, len(rows), batch))
        out.extend(torch.from_numpy(cuts[i]) for i in draw.permutation(len(cuts)))
    return out
