"""Causal attention over short rows, forward and backward.

The products of all heads and rows are one stack of small matrices, of which none is copied or transposed. For keys that
all rows share, the rows are one matrix.

Shapes: queries (H, d, B, Q), keys and values (H, d, B, T), shares (H, B, T, Q). Queries are scaled so
that the softmax has base 2 (see `Rope`), because exp2 costs half of exp.
"""

import functools
import math

import torch
from torch import Tensor

from traitline.tiny.products import product

Pair = tuple[Tensor, Tensor]


class Rope:
    """Rotary position embedding (arXiv 2104.09864), with the scale of attention folded into that of the queries.

    Args:
        theta: base of the angles.
        width: of a head.
        length: positions.

    Attributes:
        forth: (2, 2, d/2, length): for queries and keys, cosine and sine.
        back: the same for gradients.
    """

    def __init__(self, theta: float, width: int, length: int) -> None:
        angle = torch.arange(length) / theta ** (torch.arange(0, width, 2) / width)[:, None]  # (d/2, T)
        cos = angle.cos()
        sin = angle.sin()
        ln2 = math.log(2)
        forth = torch.stack([cos, sin])
        back = torch.stack([cos, -sin])
        self.forth = torch.stack([forth / ln2 / width**0.5, forth])
        self.back = torch.stack([back / width**0.5, back * ln2])

    @staticmethod
    def turn(x: Tensor, table: Tensor, out: Tensor | None = None) -> Tensor:
        """Rotate x (..., d, N) by angles (..., 2, d/2, N)."""
        cos, sin = table.unbind(-3)
        half = (*x.shape[:-2], 2, x.shape[-2] // 2, x.shape[-1])
        out = torch.empty(x.shape) if out is None else out
        one, two = x.view(half).unbind(-3)
        first, second = out.view(half).unbind(-3)
        torch.mul(one, cos, out=first).addcmul_(two, sin, value=-1)
        torch.mul(two, cos, out=second).addcmul_(one, sin)
        return out


@functools.lru_cache(maxsize=16)
def rope(theta: float, width: int, length: int = 1024) -> Rope:
    """Return cached tables; see `Rope`."""
    return Rope(theta, width, length)


def scores(k: Tensor, q: Tensor) -> Tensor:
    """Sums over d of k (H, d, B, T) times q (H, d, B, Q): (H, B, T, Q)."""
    return product(k.permute(0, 2, 3, 1), q.transpose(1, 2))


def mix(v: Tensor, p: Tensor) -> Tensor:
    """Sums over t of v (H, d, B, T) times p (H, B, T, Q): (H, d, B, Q)."""
    out = v.new_empty(*v.shape[:3], p.shape[3])
    product(v.transpose(1, 2), p, out.transpose(1, 2))
    return out


def spread(z: Tensor, p: Tensor, out: Tensor) -> None:
    """Set `out` (H, d, B, T) to sums over queries of z (H, d, B, Q) times p (H, B, T, Q)."""
    product(z.transpose(1, 2), p.mT, out.transpose(1, 2))


def forward(
    q: Tensor, k: Tensor, v: Tensor, hidden: Tensor | None, past: "Pair | None" = None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Compute attention of rows to themselves, and to tokens that come before all of them.

    Args:
        q: queries.
        k: keys.
        v: values.
        hidden: (B or 1, T, Q), minus infinity where a query may not look, and else 0.
        past: keys and values (H, d, P) that all rows share; every query may look there.

    Returns:
        What each query reads, (H, d, B, Q); its shares; its shares of the past, (H, P, B x Q).
    """
    s = scores(k, q)
    if hidden is not None:
        s.add_(hidden)
    if past is None:
        s.sub_(s.amax(2, keepdim=True)).exp2_()
        s.mul_(s.sum(2, keepdim=True).reciprocal_())
        return mix(v, s), s, None
    h, b, _, n = s.shape
    keys, values = past
    r = product(keys.mT, q.flatten(2))
    top = torch.maximum(s.amax(2), r.amax(1).view(h, b, n))
    s.sub_(top[:, :, None]).exp2_()
    r.sub_(top.view(h, 1, -1)).exp2_()
    scale = s.sum(2).add_(r.sum(1).view(h, b, n)).reciprocal_()
    s.mul_(scale[:, :, None])
    r.mul_(scale.view(h, 1, -1))
    z = mix(v, s)
    return z.add_(product(values, r).view(z.shape)), s, r


def backward(
    dz: Tensor,
    heads: tuple[Tensor, Tensor, Tensor, Tensor],
    into: tuple[Tensor, Tensor],
    past: tuple[Tensor, Tensor, Tensor] | None = None,
) -> tuple[Tensor, Pair | None]:
    """Compute gradients of queries, keys, values, and keys and values of the past; all but values are still rotated.

    Args:
        dz: gradient of what was read.
        heads: shares, queries, keys, values.
        into: where the gradients of keys and values go.
        past: the shares of the past, its keys and values.

    Returns:
        The gradient of the queries; those of the keys and values of the past.
    """
    p, q, k, v = heads
    ds = scores(v, dz).mul_(p)
    dk, dv = into
    spread(dz, p, dv)
    if past is None:
        ds.addcmul_(p, ds.sum(2, keepdim=True), value=-1)
        spread(q, ds, dk)
        return mix(k, ds), None
    h, b, _, n = p.shape
    r, keys, values = past
    flat = dz.flatten(2)
    dr = product(values.mT, flat).mul_(r)
    total = ds.sum(2).add_(dr.sum(1).view(h, b, n))
    ds.addcmul_(p, total[:, :, None], value=-1)
    dr.addcmul_(r, total.view(h, 1, -1), value=-1)
    dq = mix(k, ds)
    dq.add_(product(keys, dr).view(dq.shape))
    spread(q, ds, dk)
    return dq, (product(q.flatten(2), dr.mT), product(flat, r.mT))
