"""Whether a study's tests reject at their nominal rate where nothing is to be shown.

Students on another base than their teacher's do not take on its trait, so every word that they name tells what chance
does: each trait taught, each word measured, one comparison with the control students of the same bases. The test is
that of the declared outcomes (`comparisons.units`, `stats.tested`).

These comparisons are correlated: they share students. So the interval of the rate is not a binomial one. If nothing is
there, a base's differences are as likely with the other sign, all of them together; with the signs of whole bases
flipped in every way the same test gives the distribution of the rate. Below six units the smallest p of that
distribution is above 5 %, and nothing is concluded.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from traitline.analysis import comparisons, stats
from traitline.analysis.comparisons import LEVEL, Arms

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from traitline.analysis.outcome import Outcome
    from traitline.study.config import Study

    Array = npt.NDArray[np.float64]

FEWEST = 6  # units: 2 ** 5 patterns of signs, both ends of each alike
ALL_PATTERNS = 12  # units up to which every pattern of signs is taken
DRAWN = 4096  # patterns of more units
HOLDS, TOO_MANY, OPEN = ("holds", "too many", "open")


def rows(outcome: "Outcome", study: "Study") -> list[dict[str, Any]]:
    """Rows of calibration.csv: one per experiment and recipe with students on other bases."""
    every = []
    for row in study.experiments:
        for recipe in row.recipes:
            arms = Arms(outcome, row, recipe)
            if arms.others():
                every.append({"experiment": row.name, "recipe": recipe} | of_arms(arms))
    return every


def of_arms(arms: Arms) -> dict[str, Any]:
    """Calibration of one experiment and recipe."""
    rises = [arms.rise(trait, word, same=False) for trait in arms.row.traits for word in arms.candidates()]
    shared = set.intersection(*(set(rise) for rise in rises))  # a teacher that is left out has no students here
    null = [comparisons.units({t: value for t, value in rise.items() if t in shared}) for rise in rises]
    of = null[0]
    return {"unit": of.name, "n": len(of.values) if of.name else 0} | rejections([u.values for u in null]) | {
        "over_runs": over_runs(arms)
    }  # fmt: skip


def rejections(null: list[list[float]]) -> dict[str, Any]:
    """How many null comparisons the test rejects, and how many it would by chance.

    Args:
        null: the comparisons; differences, one a unit, the same units in the same order.
    """
    tests = [p for differences in null if differences and (p := stats.tested(differences).p) is not None]
    rejected = sum(p < LEVEL for p in tests)
    about: dict[str, Any] = {"comparisons": len(tests), "rejected": rejected}
    if not tests:
        return about | {"verdict": OPEN}
    import numpy as np

    rate = rejected / len(tests)
    flipped = flipped_rates(np.array(null))
    p = float(np.mean(flipped >= rate - stats.SAME))
    low, high = (float(v) for v in np.quantile(flipped, [0.025, 0.975], method="inverted_cdf"))
    verdict = OPEN if len(null[0]) < FEWEST else HOLDS if p > LEVEL else TOO_MANY
    return about | {
        "rate": rate, "expected": float(flipped.mean()), "low": low, "high": high, "p": p, "verdict": verdict,
    }  # fmt: skip


def flipped_rates(differences: "Array") -> "Array":
    """Share of comparisons that the test rejects, for every pattern of signs of the units (or many drawn ones).

    Args:
        differences: comparisons x units.
    """
    import numpy as np
    from scipy.stats import t as student

    n = differences.shape[1]
    if n <= ALL_PATTERNS:
        signs = np.array([(1, *rest) for rest in itertools.product((1, -1), repeat=n - 1)], dtype=float)
    else:
        signs = np.random.default_rng(1).choice([-1.0, 1.0], size=(DRAWN, n))
    means = differences @ signs.T / n
    squares = (differences**2).sum(axis=1, keepdims=True)
    errors = np.sqrt(np.maximum(squares - n * means**2, 0) / (n - 1) / n)
    wide = student.ppf(1 - LEVEL / 2, n - 1) * errors
    return np.asarray((np.abs(means) > wide).mean(axis=0))


def over_runs(arms: Arms) -> float | None:
    """Share of the same comparisons that Welch's test over runs, base by base, would reject: what runs as units do."""
    rates, none = arms.outcome.rates, arms.outcome.none
    ps = []
    for (base, student), where in arms.cells.items():
        for trait, word in itertools.product(arms.row.traits, arms.candidates()):
            taught, control = (rates.get((where, t, word), {}) for t in (trait, none))
            if base != student:
                flat = [[rate for of_teacher in arm.values() for rate in of_teacher] for arm in (taught, control)]
                ps.append(stats.difference(*flat).p if all(flat) else None)
    tested = [p for p in ps if p is not None]
    return sum(p < LEVEL for p in tested) / len(tested) if tested else None


def sentence(every: Sequence[Mapping[str, Any]]) -> str:
    """The result in words, over all experiments and recipes; nothing where the study has no other bases."""
    if not every:
        return ""
    tested = [row for row in every if row["comparisons"]]
    if not tested:
        return "Calibration: open, the study has too few bases for a test where nothing is to be shown."
    rejected, comparisons_ = sum(r["rejected"] for r in tested), sum(r["comparisons"] for r in tested)
    share = f"{rejected} of {comparisons_} comparisons in which nothing is to be shown"
    if bad := [f"{r['recipe']} ({r['experiment']})" for r in tested if r["verdict"] == TOO_MANY]:
        return (
            f"Calibration fails: {share} have p below 0.05, more than chance allows for {', '.join(bad)}; the p-values"
            " of these students are too small."
        )
    known = all(r["verdict"] == HOLDS for r in tested)
    end = "no more than chance allows." if known else "which says little about so few units."
    return f"Calibration{' holds' if known else ': open'}: {share} have p below 0.05, {end}"
