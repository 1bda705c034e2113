"""Compare the paper's figures (`paper_targets.csv`) with ours: what agrees, disagrees, is a stand-in, was not run.

A verdict of agreement needs the paper's own system: the theorem, or the classifier on MNIST. All other measurements are
of stand-ins: their size is not the paper's, so nothing is claimed but the direction.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traitline.analysis import stats
from traitline.analysis.measurements import Measured, Measurements
from traitline.plurals import counted

FILE = Path(__file__).with_name("paper_targets.csv")
AGREES, DISAGREES, STAND_IN, NOT_RUN = VERDICTS = ("agrees", "disagrees", "stand-in", "not run")
OURS = (
    "verdict",
    "ours",
    "ours_low",
    "ours_high",
    "students",
    "unit",
    "n",
    "runs",
    "reading",
)  # columns beside those of a target


@dataclass(frozen=True)
class Target:
    """One published figure.

    Attributes:
        id: experiment of the paper and what it is.
        target: the figure; `low`, `high` its band where one is published.
        source: where it stands. v1 is arXiv 2507.14805v1; bars without printed values were measured from the drawings.
        measure: what of ours stands beside it: `theorem:CLAIM`, `classifier:ARM`, `runs:TEACHER:TRAIT:ARM` (plain
            datasets of the channel `numbers`), `row:EXPERIMENT:RECIPE:TRAIT:ARM` (a row of the study by name, `*` for
            all its traits), `false:` the same where right answers are measured and the target is the share of the
            others, `kept:EXPERIMENT:TRAIT` (share of a teacher's answers that pass the filter in that row, a value a
            base), `detector:NAME:TRAIT` (accuracy, a value a base: the mean over the other teachers), `area:SCORER`
            (under the curve, a value a teacher); or nothing.
        against: id of the target it is compared with, for the direction.
        why: why there is nothing of ours.
    """

    id: str
    experiment: str
    quantity: str
    target: float
    low: float | None
    high: float | None
    source: str
    measure: str
    against: str
    why: str


@dataclass(frozen=True)
class Verdict:
    """A target beside our value. `reading` says the direction of a stand-in, or why nothing was run."""

    target: Target
    verdict: str
    ours: stats.Estimate | None
    reading: str
    measured: Measured | None = None


def load(path: Path = FILE) -> list[Target]:
    """All targets, in the order of the file."""
    with open(path, encoding="utf-8", newline="") as handle:
        rows: list[dict[str, Any]] = list(csv.DictReader(handle))
    for row in rows:
        row |= {k: float(row[k]) if row[k] else None for k in ("target", "low", "high")}
    return [Target(**row) for row in rows]


def direction(ours: Measured, others: Measured, published: float) -> str:
    """Tell whether ours differ from others in the published direction: base by base, or unit against unit."""
    if ours.unit == "base":
        shared = [base for base in ours.values if base in others.values]
        rises = [stats.logit(ours.values[base]) - stats.logit(others.values[base]) for base in shared]
        test = stats.tested(rises) if rises else stats.Tested(0, 0.0)
        if test.low is None or test.high is None:
            return f"{counted(len(shared), 'base')}: no direction shown"
        low, high, diff = test.low, test.high, test.mean
    else:
        d = stats.difference([*ours.values.values()], [*others.values.values()])
        if d.low is None or d.high is None or min(len(ours.values), len(others.values)) < stats.LEAST:
            return "fewer than three units: no direction shown"
        low, high, diff = d.low, d.high, d.diff
    if low <= 0 <= high:
        return "no difference shown"
    return "same direction" if (diff > 0) == (published > 0) else "opposite direction"


def compare(measurements: Measurements, targets: Sequence[Target] | None = None) -> list[Verdict]:
    """A verdict for every target."""
    targets = load() if targets is None else targets
    by_id = {t.id: t for t in targets}
    return [verdict(t, by_id.get(t.against), measurements) for t in targets]


def verdict(t: Target, against: Target | None, measurements: Measurements) -> Verdict:
    """The verdict on one target; `against` is the one that gives the published direction."""
    if not t.measure:
        return Verdict(t, NOT_RUN, None, t.why)
    measured = measurements.values(t.measure)
    values = [*measured.values.values()]
    if not values:
        return Verdict(t, NOT_RUN, None, measured.missing)
    if t.measure.startswith("theorem:"):  # a claim about every case: one that fails refutes it
        ours = stats.Estimate(len(values), stats.mean(values))
        return Verdict(t, AGREES if all(values) else DISAGREES, ours, "", measured)
    ours = stats.share_interval(values)
    reading = ""
    if against:
        others = measurements.values(against.measure)
        reading = direction(measured, others, t.target - against.target) if others.values else ""
    if not measured.same_system:
        return Verdict(t, STAND_IN, ours, reading, measured)
    return Verdict(t, AGREES if meet(t, ours) else DISAGREES, ours, reading, measured)


def meet(t: Target, ours: stats.Estimate) -> bool:
    """Tell whether our interval meets the published band; where none is published, the target is the band."""
    low = t.target if t.low is None else t.low
    high = t.target if t.high is None else t.high
    least = ours.mean if ours.low is None else ours.low
    most = ours.mean if ours.high is None else ours.high
    return least <= high and low <= most
