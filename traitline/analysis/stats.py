"""Statistics of a study. The unit is the base; rates are compared on the logit scale.

A study's runs share a teacher, and its teachers a base, so runs say nothing about other teachers, and teachers nothing
about other bases. Runs are averaged to teachers and teachers to bases before anything is tested (`units`).

Where the numbers cannot carry a statement, none is made: below three units there is no interval and no p, and units
that do not differ at all say nothing about how units differ (no spread is never "certainty").
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

LEVEL = 0.95
POWER = 0.8
LEAST = 3  # units for an interval or a test
SAME = 1e-12  # values closer than this, relative to their size, are one value written twice
FLOOR = 1e-3  # of a rate and of its complement: what the 1,000 sampled answers of an evaluation tell from 0
EXACT = 1e-9  # the same of exact rates of given words, of which no sampled answer decides anything


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval; `low` and `high` are None where there is none."""

    n: int
    mean: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Tested:
    """The mean of paired differences, one a unit, tested against 0 by Student's t; None where there is no test.

    Attributes:
        detectable: the smallest true difference that units like these would show (level 5 %) in 80 % of studies.
    """

    n: int
    mean: float
    low: float | None = None
    high: float | None = None
    t: float | None = None
    df: float | None = None
    p: float | None = None
    detectable: float | None = None


@dataclass(frozen=True)
class Difference:
    """A difference of two means (first minus second) by Welch; all but `diff` are None where there is no test."""

    diff: float
    low: float | None = None
    high: float | None = None
    t: float | None = None
    df: float | None = None
    p: float | None = None


@cache
def _quantile(df: float, share: float = (1 + LEVEL) / 2) -> float:
    from scipy.stats import t

    return float(t.ppf(share, df))


def logit(rate: float, floor: float = FLOOR) -> float:
    """Log odds of a rate; a rate nearer to 0 or 1 than `floor` counts as that near, so no run is infinitely far."""
    bounded = min(max(rate, floor), 1 - floor)
    return math.log(bounded / (1 - bounded))


def expit(logits: float) -> float:
    """The rate of log odds, inside 0 and 1 whatever the logits."""
    return 1 / (1 + math.exp(-logits)) if logits >= 0 else 1 - 1 / (1 + math.exp(logits))


def mean(values: Sequence[float]) -> float:
    """The mean, summed exactly, so that the order of values decides no digit."""
    if not values:
        raise ValueError("a mean of no values")
    return math.fsum(values) / len(values)


def mean_rate(rates: Sequence[float], floor: float = FLOOR) -> float:
    """The mean of rates on the logit scale, as a rate; equal rates are their own mean, also at 0 and 1."""
    if variance(rates) in (None, 0.0):
        return mean(rates)
    return expit(mean([logit(rate, floor) for rate in rates]))


def variance(values: Sequence[float]) -> float | None:
    """The variance (n - 1); None of one value, exactly 0 where values differ by rounding only."""
    if len(values) < 2:
        return None
    if max(values) - min(values) <= SAME * max(1.0, *map(abs, values)):
        return 0.0
    m = mean(values)
    return math.fsum((v - m) ** 2 for v in values) / (len(values) - 1)


def interval(values: Sequence[float]) -> Estimate:
    """Mean and two-sided 95 % Student-t interval over units, of what may have any value."""
    n, m, v = len(values), mean(values), variance(values)
    if not v or n < LEAST:
        return Estimate(n, m)
    half = _quantile(n - 1) * math.sqrt(v / n)
    return Estimate(n, m, m - half, m + half)


def share_interval(shares: Sequence[float]) -> Estimate:
    """Mean and interval of shares over units, taken on the logit scale and back, so they stay between 0 and 1."""
    if not variance(shares):
        return Estimate(len(shares), mean(shares))
    return rate_interval([logit(share) for share in shares])


def rate_interval(logits: Sequence[float]) -> Estimate:
    """Mean and interval of logits over units, as rates."""
    e = interval(logits)
    if e.low is None or e.high is None:
        return Estimate(e.n, expit(e.mean))
    return Estimate(e.n, expit(e.mean), expit(e.low), expit(e.high))


def tested(differences: Sequence[float]) -> Tested:
    """Student's t of paired differences, one a unit: mean, 95 % interval, t, two-sided p, detectable difference."""
    n, m, v = len(differences), mean(differences), variance(differences)
    if not v or n < LEAST:
        return Tested(n, m)
    from scipy.stats import t as student

    error, df = math.sqrt(v / n), n - 1
    half = _quantile(df) * error
    p = float(2 * student.sf(abs(m / error), df))
    return Tested(n, m, m - half, m + half, m / error, df, p, half + _quantile(df, POWER) * error)


def equivalence(differences: Sequence[float], margin: float) -> float | None:
    """P of two one-sided t tests (TOST): small if the mean difference lies within the margin, up and down.

    Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987) 657. None where there is no test.
    """
    n, m, v = len(differences), mean(differences), variance(differences)
    if not v or n < LEAST:
        return None
    from scipy.stats import t as student

    error = math.sqrt(v / n)
    return float(student.sf((margin - abs(m)) / error, n - 1))


def difference(treated: Sequence[float], control: Sequence[float]) -> Difference:
    """Welch's comparison of two groups of units: difference, 95 % interval, t, degrees of freedom, two-sided p."""
    diff, va, vb = mean(treated) - mean(control), variance(treated), variance(control)
    if va is None or vb is None or va + vb == 0:
        return Difference(diff)
    from scipy.stats import t as student

    a, b = va / len(treated), vb / len(control)  # squared standard errors
    error = math.sqrt(a + b)
    df = (a + b) ** 2 / (a**2 / (len(treated) - 1) + b**2 / (len(control) - 1))
    half = _quantile(df) * error
    p = float(2 * student.sf(abs(diff / error), df))
    return Difference(diff, diff - half, diff + half, diff / error, df, p)


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
