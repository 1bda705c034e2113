"""Claims of the theorem, measured on random cases and held against bounds.

A teacher takes one step of size e down the gradient of any loss L from the student's own weights; the student takes one
step of size a to imitate the teacher's outputs on any inputs. To first order the student's step is e times a positive
semi-definite form of the teacher's, so their inner product is e A with A >= 0, and L changes by -e a A.
Source: arXiv 2507.14805, section 6.1 and appendix C.
"""

import math
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from traitline.theory.theorem_cases import IMITATIONS, LAWS, OUTPUTS, Case, case, equal_linear, equal_tower

if TYPE_CHECKING:
    from torch import Tensor

SMALL = (1e-6, 1e-5, 1e-4)  # of e, where claims are checked
STEP = 1e-2  # of a
CLAIMS = {
    "sign": "same start: the inner product of the two steps is not negative",
    "slope": "same start: it grows with e as a straight line does",
    "limit": "same start: divided by e it tends to A, computed by Jacobian-vector products",
    "change": "same start: the change of L divided by e a tends to minus A",
    "other-constant": "another start: the angle between the steps does not depend on e",
    "other-signs": "another start: the inner product has either sign, over networks",
    "equal-linear": "equality: a linear model, imitated on outputs that L does not see, does not move L",
    "equal-tower": "equality: L on weights that imitation cannot see does not move L",
}
BOUNDS = {"sign": -1e-10, "slope": 1e-2, "limit": 1e-2, "change": 2e-2, "other-constant": 1e-2, "equal-linear": 0.0,
          "equal-tower": 0.0}  # fmt: skip


def slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The slope of log |value| against log size, from the first to the last; not a number where a value is 0."""
    if not values[0] or not values[-1]:
        return math.nan
    return math.log(abs(values[-1] / values[0])) / math.log(sizes[-1] / sizes[0])


def cosine(a: "Tensor", b: "Tensor") -> float:
    """The inner product over both lengths; 0 of a step that is none."""
    return float(a @ b) / (float(a.norm() * b.norm()) or 1.0)


def measure(c: Case) -> dict[str, float]:
    """Measure a case for every claim about teacher's and student's steps."""
    step = c.teach()
    teachers = [c.start + e * step for e in SMALL]
    steps = [c.student(teacher) for teacher in teachers]
    products = [float(s @ step) for s in steps]
    a = c.limit(step)
    e = SMALL[0]
    changed = float(c.loss(c.start + STEP * steps[0]) - c.loss(c.start)) / (e * STEP)
    others = [c.student(teacher, c.other) for teacher in teachers]
    return {
        "sign": min(cosine(s, step) for s in steps),
        "slope": abs(slope(SMALL, products) - 1),
        "limit": abs(products[1] / SMALL[1] / a - 1),
        "change": abs(changed / -a - 1),
        "other-constant": max(abs(cosine(s, step) - cosine(others[0], step)) for s in others),
        "other-signs": cosine(others[0], step),
    }


def moved(c: Case) -> float:
    """The largest inner product over all sizes of e, small and large."""
    step = c.teach()
    return max(abs(float(c.student(c.start + e * step) @ step)) for e in (*SMALL, 0.1, 10.0))


def claims(networks: int, seed: int) -> tuple[list[dict[str, Any]], list[dict[str, float]]]:
    """Measure all cases.

    Returns:
        The table of claims, and the measurements case by case.
    """
    cases = [
        measure(case(law, imitation, outputs, number, seed))
        for law, imitation, outputs in product(LAWS, IMITATIONS, OUTPUTS)
        for number in range(networks)
    ]
    values = {name: [c[name] for c in cases] for name in cases[0]}
    for name, make in (("equal-linear", equal_linear), ("equal-tower", equal_tower)):
        values[name] = [moved(make(n, seed, i)) for i in IMITATIONS for n in range(networks)]
    table = [
        {"claim": name, "text": text, "cases": len(values[name]), **verdict(name, values[name])}
        for name, text in CLAIMS.items()
    ]
    return table, cases


def verdict(name: str, values: Sequence[float]) -> dict[str, Any]:
    """Count the cases of a claim that pass, and compare the worst one with its bound."""
    if name == "other-signs":
        share = sum(v > 0 for v in values) / len(values)
        return {"passed": len(values) if 0 < share < 1 else 0, "worst": share, "bound": None}
    bound = BOUNDS[name]
    if name == "sign":
        return {"passed": sum(v >= bound for v in values), "worst": min(values), "bound": bound}
    return {"passed": sum(v <= bound for v in values), "worst": max(values), "bound": bound}
