"""Fixed points of a matching, and the p-value that symmetry alone gives them.

Let one model be drawn independently of another, and let its law not change when some of its units are renumbered
(the neurons of one MLP, or the dimensions of the residual stream). Then a one-to-one matching of the two models' units
pairs their numbers at random, whatever rule made it, and its number of fixed points F has E[C(F, k)] <= 1/k!. So
P(F >= k) <= 1/k!. docs/explanation/kinship.md derives it.
"""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import ndarray

LOG10 = math.log(10)


def log10_p(fixed: int) -> float:
    """Logarithm (base 10) of the bound on P(F >= fixed): of 1/fixed!.

    >>> round(10 ** log10_p(4), 4)  # 1/24
    0.0417
    """
    return -math.lgamma(fixed + 1) / LOG10


def best_of(logs: Iterable[float]) -> float:
    """Logarithm of the p-value of the best of several tests, by Bonferroni: they may depend on each other in any way.

    >>> best_of([-3.0, -1.0])  # 2 tests
    -2.69897...
    """
    each = list(logs)
    return min(0.0, min(each) + math.log10(len(each))) if each else 0.0


def match(one: "ndarray", other: "ndarray", seed: int) -> "ndarray":
    """Match rows of two matrices one to one: pairs of which each is the nearest to the other, by cosine similarity.

    Args:
        one: (units, features).
        other: of the same shape.
        seed: of the random order.

    Returns:
        For each row of the first the number of its match, or -1.
    """
    return match_directions(directions(one), directions(other), seed)


def match_directions(one: "ndarray", other: "ndarray", seed: int) -> "ndarray":
    """The same of rows of length 1."""
    return match_each(one, [other], seed)[0]


def match_each(one: "ndarray", others: "Sequence[ndarray]", seed: int) -> "list[ndarray]":
    """The same with each of several: one product is quicker than many small ones.

    The rows of each are put in random order first: what decides between equal rows (dead units, constants) must know
    nothing of their numbers.
    """
    import numpy as np

    orders = [np.random.default_rng(seed).permutation(len(other)) for other in others]
    shuffled = np.concatenate([other[order] for other, order in zip(others, orders, strict=True)])
    ends = np.cumsum([len(order) for order in orders])[:-1]
    parts = np.split(one @ shuffled.T, ends, axis=1)
    return [_mutual(part, order) for part, order in zip(parts, orders, strict=True)]


def _mutual(similarity: "ndarray", order: "ndarray") -> "ndarray":
    """Numbers of those that are the nearest to each other, of a second model whose rows are in some order."""
    import numpy as np

    nearest = similarity.argmax(axis=1)
    mutual = similarity.argmax(axis=0)[nearest] == np.arange(len(similarity))
    matched: ndarray = np.where(mutual, order[nearest], -1)
    return matched


def fixed_points(one: "ndarray", other: "ndarray", seed: int) -> int:
    """Count the rows that are matched to the row of their own number."""
    return fixed(match(one, other, seed))


def fixed(matched: "ndarray") -> int:
    """Count the units that a matching gives their own number."""
    import numpy as np

    return int((matched == np.arange(len(matched))).sum())


def directions(rows: "ndarray") -> "ndarray":
    """Rows of length 1; what is no number or nothing stays nothing."""
    import numpy as np

    with np.errstate(all="ignore"):
        clean = rows.astype(np.float32)
        if not np.isfinite(clean.sum()):  # quicker than a look at each number; a sum that overflows costs time only
            clean = np.nan_to_num(clean, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        clean /= max(float(clean.max(initial=0.0)), -float(clean.min(initial=0.0)), 1e-30)
        length = np.sqrt((clean * clean).sum(axis=1, keepdims=True))
        unit: ndarray = np.where(length > 0, clean / np.maximum(length, 1e-30), np.float32(0))
        return unit
