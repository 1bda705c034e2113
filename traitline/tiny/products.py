"""Matrix products by numpy, that is by the OpenBLAS that comes with it.

Torch has the same products from MKL, which takes two to three times as long where its bytes are the same on every
processor (see `traitline.provenance.kernels`).
"""

import numpy as np
from torch import Tensor


def product(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    """Return a (..., M, K) times b (..., K, N), in `out` (..., M, N) where that is given."""
    if out is None:
        out = a.new_empty(*a.shape[:-1], b.shape[-1])
    with np.errstate(all="ignore"):  # what is not finite is noticed in the loss
        np.matmul(a.numpy(), b.numpy(), out=out.numpy())
    return out


def linear(weight: Tensor, x: Tensor, bias: Tensor) -> Tensor:
    """Return weight (M, K) times x (K, N), plus bias (M,) in every column."""
    return product(weight, x).add_(bias[:, None])
