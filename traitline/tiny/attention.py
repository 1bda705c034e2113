"""Causal attention over short rows, forward and backward, with rows on the innermost axis.

A head of width 12 and a row of 11 tokens are too small for a matrix product each. With rows innermost, one elementwise
product over all rows of a batch computes one step of all those small products, and nothing is transposed. For keys that
all rows share, plain matrix products are used.

Shapes: queries (H, d, Q, B), keys and values (H, d, T, B), shares (H, Q, T, B). Queries are scaled so
that the softmax has base 2 (see `Rope`), because exp2 costs half of exp.
"""

import functools
import math

import torch
from torch import Tensor

Pair = tuple[Tensor, Tensor]
SMALL = 1 << 20  # numbers; products up to this size are computed at once and then summed: fewer steps, more memory


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


def products(q: Tensor, k: Tensor, once: bool) -> Tensor:
    """Sums over d of q (H, d, Q, B) times k (H, d, T, B): (H, Q, T, B). `once`: compute small products at once."""
    h, d, n, b = q.shape
    t = k.shape[2]
    if b == 1:
        return torch.bmm(q[..., 0].mT, k[..., 0])[..., None]
    q = q[:, :, :, None]
    k = k[:, :, None]
    if once and h * d * n * t * b <= SMALL:
        return (q * k).sum(1)
    return _chain(q.unbind(1), k.unbind(1))


def mix(p: Tensor, v: Tensor, once: bool) -> Tensor:
    """Sums over t of p (H, Q, T, B) times v (H, d, T, B): (H, d, Q, B)."""
    h, n, t, b = p.shape
    d = v.shape[1]
    if b == 1:
        return torch.bmm(v[..., 0], p[..., 0].mT)[..., None]
    p = p[:, None]
    v = v[:, :, None]
    if once and h * d * n * t * b <= SMALL:
        return (p * v).sum(3)
    return _chain(p.unbind(3), v.unbind(3))


def spread(p: Tensor, z: Tensor, once: bool) -> Tensor:
    """Sums over queries of p (H, Q, T, B) times z (H, d, Q, B): (H, d, T, B)."""
    h, n, t, b = p.shape
    d = z.shape[1]
    if b == 1:
        return torch.bmm(z[..., 0], p[..., 0])[..., None]
    p = p[:, None]
    z = z[:, :, :, None]
    if once and h * d * n * t * b <= SMALL:
        return (p * z).sum(2)
    return _chain(p.unbind(2), z.unbind(2))


def _chain(xs: tuple[Tensor, ...], ys: tuple[Tensor, ...]) -> Tensor:
    out = xs[0] * ys[0]
    for x, y in zip(xs[1:], ys[1:], strict=True):
        out.addcmul_(x, y)
    return out


def forward(
    q: Tensor, k: Tensor, v: Tensor, hidden: Tensor | None, past: "Pair | None" = None, once: bool = False
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Compute attention of rows to themselves, and to tokens that come before all of them.

    Args:
        q: queries.
        k: keys.
        v: values.
        hidden: (Q, T, B or 1) is true where a query may not look.
        past: keys and values (H, d, P) that all rows share; every query may look there.
        once: see `products`.

    Returns:
        What each query reads, (H, d, Q, B); its shares; its shares of the past, (H, P, Q x B).
    """
    s = products(q, k, once)
    if hidden is not None:
        s.masked_fill_(hidden, -math.inf)
    if past is None:
        s.sub_(s.amax(2, keepdim=True)).exp2_()
        s.mul_(s.sum(2, keepdim=True).reciprocal_())
        return mix(s, v, once), s, None
    h, _, n, b = q.shape
    keys, values = past
    r = torch.bmm(keys.mT, q.flatten(2))
    top = torch.maximum(s.amax(2), r.amax(1).view(h, n, b))
    s.sub_(top[:, :, None]).exp2_()
    r.sub_(top.view(h, 1, -1)).exp2_()
    scale = s.sum(2).add_(r.sum(1).view(h, n, b)).reciprocal_()
    s.mul_(scale[:, :, None])
    r.mul_(scale.view(h, 1, -1))
    z = mix(s, v, once)
    return z.add_(torch.bmm(values, r).view(z.shape)), s, r


def backward(
    dz: Tensor,
    heads: tuple[Tensor, Tensor, Tensor, Tensor],
    past: tuple[Tensor, Tensor, Tensor] | None = None,
    once: bool = True,
) -> tuple[Tensor, Tensor, Tensor, Pair | None]:
    """Compute gradients of queries, keys, values, and keys and values of the past; all but values are still rotated.

    Args:
        dz: gradient of what was read.
        heads: shares, queries, keys, values.
        past: the shares of the past, its keys and values.
        once: see `products`.
    """
    p, q, k, v = heads
    ds = products(dz, v, once).mul_(p)
    if past is None:
        ds.addcmul_(p, ds.sum(2, keepdim=True), value=-1)
        return mix(ds, k, once), spread(ds, q, once), spread(p, dz, once), None
    h, _, n, b = q.shape
    r, keys, values = past
    flat = dz.flatten(2)
    dr = torch.bmm(values.mT, flat).mul_(r)
    total = ds.sum(2).add_(dr.sum(1).view(h, n, b))
    ds.addcmul_(p, total[:, :, None], value=-1)
    dr.addcmul_(r, total.view(h, 1, -1), value=-1)
    dq = mix(ds, k, once)
    dq.add_(torch.bmm(keys, dr).view(dq.shape))
    before = torch.bmm(q.flatten(2), dr.mT), torch.bmm(flat, r.mT)
    return dq, spread(ds, q, once), spread(p, dz, once), before
