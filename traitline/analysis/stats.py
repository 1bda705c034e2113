"""Statistics of a study. The run (one trained student) is the unit; nothing is pooled below it.

Where the numbers cannot carry a statement, none is made: one run has no interval, and runs that do not differ at all
say nothing about how runs differ, so they get no interval and no p-value either (no spread is never "certainty").
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

LEVEL = 0.95
POWER = 0.8
MANY = 1000  # runs beyond which nobody would ask
SAME = 1e-12  # values closer than this, relative to their size, are one value written twice


@dataclass(frozen=True)
class Estimate:
    """A mean over runs with its Student-t interval; `low` and `high` are None where there is none."""

    runs: int
    mean: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Difference:
    """A difference of two means (first minus second) by Welch; all but `diff` are None where there is no test.

    Attributes:
        detectable: the smallest true difference that runs like these would show (level 5 %) in 80 % of studies.
        needed: runs a group that would show a difference as large as `diff` as often; None beyond 1,000.
    """

    diff: float
    low: float | None = None
    high: float | None = None
    t: float | None = None
    df: float | None = None
    p: float | None = None
    detectable: float | None = None
    needed: int | None = None


@cache
def _quantile(df: float, share: float = (1 + LEVEL) / 2) -> float:
    from scipy.stats import t

    return float(t.ppf(share, df))


def power(diff: float, variance: float, runs: int) -> bool:
    """Tell whether so many runs a group show a difference in 80 % of studies; `variance` is the sum of both groups'."""
    df = 2 * runs - 2
    return abs(diff) >= (_quantile(df) + _quantile(df, POWER)) * math.sqrt(variance / runs)


def mean(values: Sequence[float]) -> float:
    """The mean, summed exactly, so that the order of runs decides no digit."""
    if not values:
        raise ValueError("a mean of no runs")
    return math.fsum(values) / len(values)


def variance(values: Sequence[float]) -> float | None:
    """The variance over runs (n - 1); None of one run, exactly 0 where runs differ by rounding only."""
    if len(values) < 2:
        return None
    if max(values) - min(values) <= SAME * max(1.0, *map(abs, values)):
        return 0.0
    m = mean(values)
    return math.fsum((v - m) ** 2 for v in values) / (len(values) - 1)


def interval(values: Sequence[float]) -> Estimate:
    """Mean and two-sided 95 % Student-t interval over runs."""
    n, m, v = len(values), mean(values), variance(values)
    if not v:
        return Estimate(n, m)
    half = _quantile(n - 1) * math.sqrt(v / n)
    return Estimate(n, m, m - half, m + half)


def difference(treated: Sequence[float], control: Sequence[float]) -> Difference:
    """Welch's comparison of two groups of runs: difference, 95 % interval, t, degrees of freedom, two-sided p."""
    diff, va, vb = mean(treated) - mean(control), variance(treated), variance(control)
    if va is None or vb is None or va + vb == 0:
        return Difference(diff)
    from scipy.stats import t as student

    a, b = va / len(treated), vb / len(control)  # squared standard errors
    error = math.sqrt(a + b)
    df = (a + b) ** 2 / (a**2 / (len(treated) - 1) + b**2 / (len(control) - 1))
    half = _quantile(df) * error
    p = float(2 * student.sf(abs(diff / error), df))
    needed = next((n for n in range(2, MANY + 1) if power(diff, va + vb, n)), None)
    least = half + _quantile(df, POWER) * error
    return Difference(diff, diff - half, diff + half, diff / error, df, p, least, needed)


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction, in the order given.

    A missing p-value (a declared outcome that could not be tested) keeps its place in the family and stays missing:
    leaving it out would make the others look better than what was declared.
    """
    order = sorted(range(len(ps)), key=lambda i: 1.0 if (p := ps[i]) is None else p)
    worst, out = 0.0, list(ps)
    for rank, i in enumerate(order):
        p = ps[i]
        if p is not None:
            worst = max(worst, min(1.0, (len(ps) - rank) * p))
            out[i] = worst
    return out
