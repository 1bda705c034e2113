"""Ranks and rank correlations, with a bootstrap over teachers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from traitline.seeds import seed as derive

if TYPE_CHECKING:
    import numpy as np

DRAWS = 2000  # of the bootstrap
FEWEST = 4  # teachers that are resampled


def place(values: Mapping[str, float], word: str) -> float:
    """Rank of a word, 1 is the highest; words that are equal share the mean of their ranks."""
    value = values[word]
    return sum(v > value for v in values.values()) + (1 + sum(v == value for v in values.values())) / 2


def spearman(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Spearman's rank correlation; None where one side does not vary or there are fewer than three."""
    from scipy.stats import spearmanr

    if len(one) < 3 or len(set(one)) < 2 or len(set(other)) < 2:
        return None
    return float(spearmanr(one, other).statistic)


def weighted_spearman(one: "np.ndarray", other: "np.ndarray", counts: "np.ndarray") -> "np.ndarray":
    """Spearman's rank correlations (D,) of two columns (N,) whose rows count as often as each row of (D, N) says.

    The same as scipy's of repeated rows, for all draws of a bootstrap at once. Equal values share a rank; without
    variation on both sides the correlation is NaN.
    """
    import numpy as np

    weight = counts / counts.sum(1, keepdims=True)
    sides = []
    for values in (one, other):
        above = values[:, None] > values
        ranks = counts @ (above + (values[:, None] == values) / 2).T
        sides.append(ranks - (weight * ranks).sum(1, keepdims=True))
    spread = [(weight * side**2).sum(1) for side in sides]
    with np.errstate(divide="ignore", invalid="ignore"):
        correlations: np.ndarray = (weight * sides[0] * sides[1]).sum(1) / np.sqrt(spread[0] * spread[1])
    return correlations


def bootstrap_interval(rows: Sequence[Mapping[str, Any]]) -> tuple[float | None, float | None]:
    """95 % percentile interval of the correlation of `score` and `rise`, teachers drawn with replacement.

    A teacher is a `base` and a `trait`. Fewer than four give no interval.
    """
    import numpy as np

    teachers = list(dict.fromkeys((r["base"], r["trait"]) for r in rows))
    if len(teachers) < FEWEST:
        return None, None
    draw = np.random.default_rng(derive("foretell", "bootstrap"))
    drawn = draw.multinomial(len(teachers), [1 / len(teachers)] * len(teachers), size=DRAWS)
    counts = drawn[:, [teachers.index((r["base"], r["trait"])) for r in rows]]
    scores = np.array([r["score"] for r in rows])
    rises = np.array([r["rise"] for r in rows])
    correlations = weighted_spearman(scores, rises, counts)
    correlations = correlations[~np.isnan(correlations)]
    if not len(correlations):
        return None, None
    low, high = np.quantile(correlations, [0.025, 0.975])
    return float(low), float(high)
