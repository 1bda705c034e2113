"""Causal attention over short rows, forward and backward, with rows on the innermost axis.

A head of width 12 and a row of 11 tokens are too small for a matrix product each. With rows innermost, one elementwise
product over all rows of a batch does the work of one step of all those small products, and nothing is ever transposed.

Shapes: queries (H, d, Q, B), keys and values (H, d, T, B), shares (H, Q, T, B). Queries come in units in which 2 is the
base of the softmax (see `Rope`), because exp2 costs half of exp.
"""

import functools
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Rope:
    """Rotary position embedding, the scale of attention folded into that of the queries.

    Args:
        theta: base of the angles.
        width: of a head.
        length: positions.
    """

    def __init__(self, theta: float, width: int, length: int) -> None:
        import torch

        angle = torch.arange(length) / theta ** (torch.arange(0, width, 2) / width)[:, None]  # (d/2, T)
        cos, sin, ln2 = angle.cos(), angle.sin(), math.log(2)
        self.query, self.query_back = self._pair(cos, sin, 1 / ln2 / width**0.5), self._pair(cos, -sin, width**-0.5)
        self.key, self.key_back = self._pair(cos, sin, 1.0), self._pair(cos, -sin, ln2)

    @staticmethod
    def _pair(cos: "Tensor", sin: "Tensor", scale: float) -> tuple["Tensor", "Tensor"]:
        return cos * scale, sin * scale

    @staticmethod
    def turn(x: "Tensor", table: tuple["Tensor", "Tensor"], at: "Tensor | slice") -> "Tensor":
        """Rotate x (H, d, T, B) by the angles at positions `at`: a slice of T, or (T, B)."""
        import torch

        h, d, t, b = x.shape
        cos, sin = (y[:, at, None] if isinstance(at, slice) else y[:, at] for y in table)
        one, two = x.view(h, 2, d // 2, t, b).unbind(1)
        out = torch.empty(h, 2, d // 2, t, b)
        torch.mul(one, cos, out=out[:, 0]).addcmul_(two, sin, value=-1)
        torch.mul(two, cos, out=out[:, 1]).addcmul_(one, sin)
        return out.view(h, d, t, b)


@functools.lru_cache(maxsize=16)
def rope(theta: float, width: int, length: int = 1024) -> Rope:
    """Tables are made once."""
    return Rope(theta, width, length)


def products(q: "Tensor", k: "Tensor") -> "Tensor":
    """Sums over d of q (H, d, Q, B) times k (H, d, T, B): (H, Q, T, B)."""
    import torch

    pairs = zip(q[:, :, :, None].unbind(1), k[:, :, None].unbind(1), strict=True)
    out = torch.mul(*next(pairs))
    for x, y in pairs:
        out.addcmul_(x, y)
    return out


def mix(p: "Tensor", v: "Tensor") -> "Tensor":
    """Sums over t of p (H, Q, T, B) times v (H, d, T, B): (H, d, Q, B)."""
    import torch

    pairs = zip(p[:, None].unbind(3), v[:, :, :, None].unbind(2), strict=True)
    out = torch.mul(*next(pairs))
    for x, y in pairs:
        out.addcmul_(x, y)
    return out


def spread(p: "Tensor", z: "Tensor") -> "Tensor":
    """Sums over queries of p (H, Q, T, B) times z (H, d, Q, B): (H, d, T, B)."""
    import torch

    pairs = zip(p[:, None].unbind(2), z[:, :, :, None].unbind(2), strict=True)
    out = torch.mul(*next(pairs))
    for x, y in pairs:
        out.addcmul_(x, y)
    return out


def forward(q: "Tensor", k: "Tensor", v: "Tensor", hidden: "Tensor | None") -> "tuple[Tensor, Tensor]":
    """What each query reads, (H, d, Q, B), and its shares; `hidden` (Q, T, B or 1) is true where it may not look."""
    s = products(q, k)
    if hidden is not None:
        s.masked_fill_(hidden, -math.inf)
    s.sub_(s.amax(2, keepdim=True)).exp2_()
    s.mul_(s.sum(2, keepdim=True).reciprocal_())
    return mix(s, v), s


def backward(dz: "Tensor", p: "Tensor", q: "Tensor", k: "Tensor", v: "Tensor") -> "tuple[Tensor, Tensor, Tensor]":
    """Gradients of queries, keys (both to be turned back by `Rope`) and values."""
    ds = products(dz, v).mul_(p)
    ds.addcmul_(p, ds.sum(2, keepdim=True), value=-1)
    return mix(ds, k), spread(ds, q), spread(p, dz)
