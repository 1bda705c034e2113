"""Limits of the theorem: how often the teacher's loss falls when one of its conditions is broken."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from traitline.theory.theorem_cases import ROWS, Case, case, generator

if TYPE_CHECKING:
    from torch import Generator, Tensor

REPEATED = 30  # steps
SHORT = 1e-6  # length of a student's step: only its direction counts
CONDITIONS = {
    "exact": "as the theorem asks",
    "other": "another start",
    "large": "student's step as large as e",
    "adam": "student's step by Adam",
    "teacher-batch": "teacher's step from one row of its data",
    "student-batch": "student's step from one input",
    "sampled": "one sampled label an input",
    "sampled-100": "100 sampled labels an input",
    "many": f"{REPEATED} steps each",
}
SIZES = tuple(10.0**k for k in range(-5, 3))  # of e


def falls(c: Case, condition: str, e: float, g: "Generator") -> bool:
    """Tell whether the teacher's loss is lower after the student's step, with one condition of the theorem broken."""
    import torch

    if condition == "many":
        return falls_after_repeated_steps(c, e)
    w = c.other if condition == "other" else c.start
    x = c.x[:1] if condition == "student-batch" else c.x
    rows = torch.randint(ROWS, (1,), generator=g) if condition == "teacher-batch" else None
    y = c.label(c.start + e * c.teach(rows), x)
    if condition.startswith("sampled"):
        y = sampled(y, 100 if condition.endswith("100") else 1, g)
    step = c.imitate(w, y, x)
    if condition == "adam":
        step = step / (step.abs() + 1e-12)  # its first step: the gradient over its own size
    size = e if condition == "large" else SHORT / max(1e-300, float(step.norm()))
    return bool(c.loss(w + size * step) < c.loss(w))


def falls_after_repeated_steps(c: Case, e: float) -> bool:
    """Tell whether the teacher's loss is lower after several steps of the teacher, then as many of the student."""
    from torch.func import grad

    teacher = student = c.start
    for _ in range(REPEATED):
        teacher = teacher - e * grad(c.loss)(teacher)
    for _ in range(REPEATED):
        student = student + e * c.student(teacher, student)
    return bool(c.loss(student) < c.loss(c.start))


def sampled(y: "Tensor", n: int, g: "Generator") -> "Tensor":
    """Frequencies of `n` labels an input, drawn from the distributions `y` (rows, outputs)."""
    import torch

    drawn = torch.multinomial(y, n, replacement=True, generator=g)
    return torch.nn.functional.one_hot(drawn, y.shape[-1]).double().mean(1)


def shares(networks: int, seed: int) -> Iterator[dict[str, Any]]:
    """Shares of networks whose loss falls, with Wilson's 95 % interval, by condition and size of e."""
    from scipy.stats import binomtest

    for condition in CONDITIONS:
        cases = [case("uniform", "softmax", "auxiliary", n, seed, "classes") for n in range(4 * networks)]
        for e in SIZES:
            fell = sum(falls(c, condition, e, generator(seed, "ends", condition, i)) for i, c in enumerate(cases))
            low, high = binomtest(fell, len(cases)).proportion_ci(method="wilson")
            share = {"share": fell / len(cases), "low": float(low), "high": float(high)}
            yield {"end": condition, "e": e, "networks": len(cases), **share}


def ratios(networks: int, seed: int) -> Iterator[dict[str, Any]]:
    """Inner products over e A at every size of e, for some networks, from the same and from another start."""
    for n in range(networks):
        c = case("uniform", "softmax", "auxiliary", n, seed, "classes")
        step = c.teach()
        a = c.limit(step)
        for start, w in (("same", c.start), ("other", c.other)):
            values = [float(c.student(c.start + e * step, w) @ step) / (e * a) for e in SIZES]
            yield {"start": start, "values": values}
