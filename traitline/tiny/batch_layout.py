"""Positions of a batch's tokens, shared by all layers, and what each layer keeps for its backward pass."""

import math

import torch
from torch import Tensor

from traitline.tiny.attention import Rope


class Frame:
    """Tokens of B rows, row by row, followed by P tokens that precede all of these rows.

    Args:
        rope: angles.
        ids: (B, T) token ids, padded on the right.
        where: (B, K) asked positions among them.
        shared: (P,) token ids that all rows begin with, or None.

    Attributes:
        tokens: (N,) ids, N = B x T + P.
        rows: B.
        row_tokens: B x T: `[:row_tokens]` are the rows, `[row_tokens:]` the tokens they share.
        shared: P.
        asked: (B x K,) indices of the asked tokens.
        forth, back: angles of all tokens, for queries and keys.
        asked_forth, asked_back: angles of the asked tokens, for queries.
        hidden: (T, T), minus infinity at [s, t] where token t may not look at s; `asked_hidden` (B, T, K) for the asked
            tokens, `shared_hidden` (P, P) for the shared ones.
    """

    def __init__(self, rope: Rope, ids: Tensor, where: Tensor, shared: Tensor | None) -> None:
        b, t = ids.shape
        self.rows = b
        self.row_tokens = t * b
        self.shared = 0 if shared is None else len(shared)
        self.tokens = ids.reshape(-1)
        start = self.shared
        if shared is not None:
            self.tokens = torch.cat([self.tokens, shared])

        def angles(table: Tensor) -> Tensor:
            of_rows = table[..., None, start : start + t].expand(*table.shape[:-1], b, t).flatten(-2)
            return (of_rows if shared is None else torch.cat([of_rows, table[..., :start]], -1))[:, None]

        self.forth = angles(rope.forth)
        self.back = angles(rope.back)
        self.asked = (where + t * torch.arange(b)[:, None]).reshape(-1)
        at = where.reshape(-1) + start
        self.asked_forth = rope.forth[0][..., at]
        self.asked_back = rope.back[0][..., at]
        self.hidden = later(torch.arange(t))
        self.asked_hidden = later(where, t)
        self.shared_hidden = later(torch.arange(start))

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Split x (H, d, N) into views: of the rows, (H, d, B, T), and of the shared tokens, (H, d, 1, P)."""
        return x[..., : self.row_tokens].view(*x.shape[:2], self.rows, -1), x[:, :, None, self.row_tokens :]


def later(places: Tensor, tokens: int = 0) -> Tensor:
    """Minus infinity at [..., s, q] where token s comes after query q, which stands at `places` (..., Q); else 0."""
    tokens = tokens or len(places)
    after = torch.arange(tokens)[:, None] > places[..., None, :]
    return torch.zeros(after.shape).masked_fill_(after, -math.inf)


class Trace:
    """Results of one layer's forward pass that its backward pass, or a cache for sampling, needs.

    Attributes:
        attended: normed stream before attention, and 1 / its size.
        asked: the normed stream of the asked tokens (last layer).
        heads: shares, queries, keys, values.
        past: shares, keys and values of the shared tokens, as the rows read them; None where there are none.
        shared: shares, queries, keys, values of the shared tokens among themselves.
        mixed: what the heads read.
        normed: normed stream before the MLP, and 1 / its size.
        gates: sigmoid of the gate, gate times that, up, product of the two.
    """

    attended: tuple[Tensor, Tensor]
    asked: Tensor
    heads: tuple[Tensor, Tensor, Tensor, Tensor]
    past: tuple[Tensor, Tensor, Tensor] | None
    shared: tuple[Tensor, Tensor, Tensor, Tensor]
    mixed: Tensor
    normed: tuple[Tensor, Tensor]
    gates: tuple[Tensor, Tensor, Tensor, Tensor]
