"""Positions of a batch's tokens, shared by all layers, and what each layer keeps for its backward pass."""

import torch
from torch import Tensor

from traitline.tiny.attention import Rope


class Frame:
    """Tokens of B rows in the order (T x B), followed by P tokens that precede all of these rows.

    Args:
        rope: angles.
        ids: (B, T) token ids, padded on the right.
        where: (B, K) asked positions among them.
        shared: (P,) token ids that all rows begin with, or None.

    Attributes:
        tokens: (N,) ids, N = T x B + P.
        rows: B.
        row_tokens: T x B: `[:row_tokens]` are the rows, `[row_tokens:]` the tokens they share.
        shared: P.
        asked: (K x B,) indices of the asked tokens.
        forth, back: angles of all tokens, for queries and keys.
        asked_forth, asked_back: angles of the asked tokens, for queries.
        hidden: (T, T, 1) is true where a token may not look; `asked_hidden` (K, T, B) for the asked tokens,
            `shared_hidden` (P, P, 1) for the shared ones.
    """

    def __init__(self, rope: Rope, ids: Tensor, where: Tensor, shared: Tensor | None) -> None:
        b, t = ids.shape
        place = where.T
        self.rows = b
        self.row_tokens = t * b
        self.shared = 0 if shared is None else len(shared)
        self.tokens = ids.T.reshape(-1)
        start = self.shared
        if shared is not None:
            self.tokens = torch.cat([self.tokens, shared])

        def angles(table: Tensor) -> Tensor:
            of_rows = table[..., start : start + t, None].expand(*table.shape[:-1], t, b).flatten(-2)
            return (of_rows if shared is None else torch.cat([of_rows, table[..., :start]], -1))[:, None]

        self.forth = angles(rope.forth)
        self.back = angles(rope.back)
        self.asked = (place * b + torch.arange(b)).reshape(-1)
        at = place.reshape(-1) + start
        self.asked_forth = rope.forth[0][..., at]
        self.asked_back = rope.back[0][..., at]
        self.hidden = torch.ones(t, t, dtype=torch.bool).triu(1)[..., None]
        self.asked_hidden = torch.arange(t)[:, None] > place[:, None]
        self.shared_hidden = torch.ones(start, start, dtype=torch.bool).triu(1)[..., None]

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Split x (H, d, N) into views: of the rows, (H, d, T, B), and of the shared tokens, (H, d, P, 1)."""
        return x[..., : self.row_tokens].view(*x.shape[:2], -1, self.rows), x[..., self.row_tokens :, None]


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
