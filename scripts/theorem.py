"""The theorem as a numeric check: exact steps in float64 on random networks, and where it stops to hold.

in   nothing but settings (some of the inputs are scikit-learn's digits)
out  theorem.json    a row per claim: cases, passed, the worst case against its bound; and shares where claims end
     theorem.svg     the inner product against its limit, and the share of networks whose loss falls

A teacher takes one step of size e down the gradient of any loss L from the student's own weights; the student takes one
step of size a to imitate the teacher's outputs on any inputs. To first order the student's step is e times a positive
semi-definite form of the teacher's, so their inner product is e A with A >= 0, and L changes by -e a A. A is computed a
second way, by Jacobian-vector products. Source: arXiv 2507.14805, section 6.1 and appendix C.

python -m scripts.theorem --networks 8 --seed 1 --folder results/theorem \\
    --manifest results/theorem/theorem.manifest.json
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

from traitline import seeds
from traitline.analysis.figures import INK, dress, save, style
from traitline.channels import images
from traitline.provenance import stage

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Generator, Tensor

CLASSES, AUX, ROWS = images.CLASSES, 3, 24
LAWS = ("digits", "uniform", "gaussian", "constant")
IMITATIONS = ("squared", "softmax")
OUTPUTS = ("auxiliary", "all")
ACTIVATIONS = ("tanh", "gelu", "softplus", "relu")
LOSSES = ("classes", "targets", "weights")
SMALL = (1e-6, 1e-5, 1e-4)  # of e, where claims are checked
STEP = 1e-2  # of a
MANY = 30  # steps
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
ENDS = {
    "exact": "as the theorem asks",
    "other": "another start",
    "large": "student's step as large as e",
    "adam": "student's step by Adam",
    "teacher-batch": "teacher's step from one row of its data",
    "student-batch": "student's step from one input",
    "sampled": "one sampled label an input",
    "sampled-100": "100 sampled labels an input",
    "many": f"{MANY} steps each",
}
SIZES = tuple(10.0**k for k in range(-5, 3))


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.theorem", __doc__)
    p.add_argument("--networks", required=True, type=int, metavar="N", help="random networks a case")
    p.add_argument("--seed", required=True, type=int, metavar="N", help="of networks, data and losses")
    p.add_argument("--folder", required=True, metavar="FOLDER", help="where the results go")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    stage.threads(p)
    return p


generator = partial(seeds.generator, "theorem")


@dataclass(frozen=True)
class Network:
    """A fully connected network as a function of its parameters, one vector in float64."""

    sizes: tuple[int, ...]
    activation: str

    @property
    def parameters(self) -> int:
        """How many."""
        return sum(a * b + b for a, b in pairwise(self.sizes))

    def initial(self, g: "Generator") -> "Tensor":
        """Weights normal with standard deviation 1/sqrt(inputs of the layer), small biases."""
        import torch

        parts = []
        for a, b in pairwise(self.sizes):
            parts += [torch.randn(a * b, generator=g, dtype=torch.float64) / math.sqrt(a)]
            parts += [0.1 * torch.randn(b, generator=g, dtype=torch.float64)]
        return torch.cat(parts)

    def __call__(self, w: "Tensor", x: "Tensor") -> "Tensor":
        """Outputs (rows, outputs) for inputs (rows, inputs)."""
        import torch

        act = getattr(torch.nn.functional, self.activation)
        at = 0
        for i, (a, b) in enumerate(pairwise(self.sizes)):
            x = x @ w[at : at + a * b].view(a, b) + w[at + a * b : at + a * b + b]
            x = act(x) if i < len(self.sizes) - 2 else x
            at += a * b + b
        return x


@dataclass(frozen=True)
class Case:
    """A student, its teacher's loss, and what it imitates.

    Attributes:
        network: the function.
        start: parameters from which the teacher starts; the student too, unless it says otherwise.
        other: parameters of another initialisation.
        x: what the student sees (rows, inputs).
        imitation: `squared`, half the squared error of the outputs, or `softmax`, cross-entropy of softmaxes.
        chosen: the outputs that are imitated.
        loss: the teacher's loss, of parameters and (optionally) of which of its rows.
    """

    network: Network
    start: "Tensor"
    other: "Tensor"
    x: "Tensor"
    imitation: str
    chosen: slice
    loss: "Callable[..., Tensor]"

    def outputs(self, w: "Tensor", x: "Tensor | None" = None) -> "Tensor":
        """The imitated outputs."""
        return self.network(w, self.x if x is None else x)[:, self.chosen]

    def teach(self, rows: "Tensor | None" = None) -> "Tensor":
        """The teacher's step at size 1: minus the gradient of its loss."""
        from torch.func import grad

        return -grad(self.loss)(self.start, rows)

    def label(self, w: "Tensor", x: "Tensor") -> "Tensor":
        """What a student is shown: outputs, or their softmax."""
        z = self.outputs(w, x)
        return z if self.imitation == "squared" else z.softmax(-1)

    def imitate(self, w: "Tensor", y: "Tensor", x: "Tensor") -> "Tensor":
        """The student's step at size 1 from `w`: minus the gradient of its distance to labels `y`."""
        from torch.func import grad

        def distance(w: "Tensor") -> "Tensor":
            z = self.outputs(w, x)
            if self.imitation == "squared":
                return (z - y).square().sum(-1).mean() / 2
            return -(y * z.log_softmax(-1)).sum(-1).mean()

        return -grad(distance)(w)

    def student(self, teacher: "Tensor", w: "Tensor | None" = None, x: "Tensor | None" = None) -> "Tensor":
        """The student's step at size 1, towards a teacher at these parameters."""
        x = self.x if x is None else x
        return self.imitate(self.start if w is None else w, self.label(teacher, x), x)

    def limit(self, step: "Tensor") -> float:
        """A: the quadratic form of the teacher's step, by Jacobian-vector products.

        Squared error: the mean over inputs of |J step|^2. Softmax: of the variance of J step under the softmax.
        """
        from torch.func import jvp

        z, u = jvp(self.outputs, (self.start,), (step,))
        if self.imitation == "squared":
            return float(u.square().sum(-1).mean())
        p = z.softmax(-1)
        return float(((p * u.square()).sum(-1) - (p * u).sum(-1).square()).mean())


def inputs(law: str, n: int, size: int, g: "Generator") -> "Tensor":
    """Images (n, size) in float64; of digits, the first `size` pixels of the middle."""
    import torch

    if law == "digits":
        real = images.digits().train.double()
        rows = real[torch.randint(len(real), (n,), generator=g)]
        return rows[:, (64 - size) // 2 :][:, :size]
    if law == "constant":
        return torch.ones(n, size, dtype=torch.float64) * torch.rand((), generator=g, dtype=torch.float64)
    draw = torch.rand if law == "uniform" else torch.randn
    x = draw(n, size, generator=g, dtype=torch.float64)
    return 2 * x - 1 if law == "uniform" else x


def teacher_loss(kind: str, network: Network, g: "Generator") -> "Callable[..., Tensor]":
    """A loss: cross-entropy of the class outputs on labelled digits, squared error to random targets, or of weights."""
    import torch

    size, out = network.sizes[0], network.sizes[-1]
    x = inputs("digits" if kind == "classes" else "gaussian", ROWS, size, g)
    labels = torch.randint(CLASSES, (ROWS,), generator=g)
    targets = torch.randn(ROWS, out, generator=g, dtype=torch.float64)
    centre = torch.randn(network.parameters, generator=g, dtype=torch.float64)

    def loss(w: "Tensor", rows: "Tensor | None" = None) -> "Tensor":
        if kind == "weights":
            return (w - centre).square().mean()
        z = network(w, x if rows is None else x[rows])
        if kind == "classes":
            return torch.nn.functional.cross_entropy(z[:, :CLASSES], labels if rows is None else labels[rows])
        return (z - (targets if rows is None else targets[rows])).square().mean()

    return loss


def case(law: str, imitation: str, outputs: str, number: int, seed: int, loss: str | None = None) -> Case:
    """A random network with everything around it."""
    import torch

    g = generator(seed, law, imitation, outputs, number)

    def pick(n: int) -> int:
        return int(torch.randint(n, (), generator=g))

    hidden = tuple(4 + pick(13) for _ in range(1 + pick(3)))
    network = Network((4 + pick(29), *hidden, CLASSES + AUX), ACTIVATIONS[pick(len(ACTIVATIONS))])
    chosen = slice(CLASSES, None) if outputs == "auxiliary" else slice(None)
    kind = loss or LOSSES[pick(len(LOSSES))]
    return Case(
        network, network.initial(g), network.initial(g), inputs(law, ROWS, network.sizes[0], g), imitation, chosen,
        teacher_loss(kind, network, g),
    )  # fmt: skip


def slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Of log |value| against log size, from the first to the last; not a number where a value is 0."""
    if not values[0] or not values[-1]:
        return math.nan
    return math.log(abs(values[-1] / values[0])) / math.log(sizes[-1] / sizes[0])


def cosine(a: "Tensor", b: "Tensor") -> float:
    """The inner product over both lengths; 0 of a step that is none."""
    return float(a @ b) / (float(a.norm() * b.norm()) or 1.0)


def measure(c: Case) -> dict[str, float]:
    """What the claims say about one case."""
    step = c.teach()
    at = [c.start + e * step for e in SMALL]
    own = [c.student(t) for t in at]
    products = [float(s @ step) for s in own]
    a = c.limit(step)
    e = SMALL[0]
    changed = float(c.loss(c.start + STEP * own[0]) - c.loss(c.start)) / (e * STEP)
    others = [c.student(t, c.other) for t in at]
    return {
        "sign": min(cosine(s, step) for s in own),
        "slope": abs(slope(SMALL, products) - 1),
        "limit": abs(products[1] / SMALL[1] / a - 1),
        "change": abs(changed / -a - 1),
        "other-constant": max(abs(cosine(s, step) - cosine(others[0], step)) for s in others),
        "other-signs": cosine(others[0], step),
    }


def equal_linear(number: int, seed: int, imitation: str) -> Case:
    """A linear model: the loss is of the class outputs, the auxiliary ones are imitated."""
    g = generator(seed, "linear", number)
    network = Network((8, CLASSES + AUX), "relu")
    x = inputs("gaussian", ROWS, 8, g)
    return Case(
        network, network.initial(g), network.initial(g), x, imitation, slice(CLASSES, None),
        teacher_loss("classes", network, g),
    )  # fmt: skip


def equal_tower(number: int, seed: int, imitation: str) -> Case:
    """A network whose loss is a function of the weights into its class outputs, which imitation cannot see."""
    import torch

    c = case("gaussian", imitation, "auxiliary", number, seed, "weights")
    last = c.network.sizes[-2] * c.network.sizes[-1]
    at = c.network.parameters - last - c.network.sizes[-1]
    seen = torch.zeros(c.network.parameters, dtype=torch.float64)
    seen[at : at + last].view(c.network.sizes[-2], -1)[:, :CLASSES] = 1

    def loss(w: "Tensor", _rows: "Tensor | None" = None) -> "Tensor":
        return (seen * w).square().sum()

    return Case(c.network, c.start, c.other, c.x, imitation, c.chosen, loss)


def moved(c: Case) -> float:
    """The largest inner product over all sizes of e, small and large."""
    step = c.teach()
    return max(abs(float(c.student(c.start + e * step) @ step)) for e in (*SMALL, 0.1, 10.0))


def claims(networks: int, seed: int) -> tuple[list[dict[str, Any]], list[dict[str, float]]]:
    """The table of claims, and what was measured, case by case."""
    found = [
        measure(case(law, imitation, outputs, number, seed))
        for law, imitation, outputs in product(LAWS, IMITATIONS, OUTPUTS)
        for number in range(networks)
    ]
    values: dict[str, list[float]] = {name: [f[name] for f in found] for name in found[0]}
    for name, make in (("equal-linear", equal_linear), ("equal-tower", equal_tower)):
        values[name] = [moved(make(n, seed, i)) for i in IMITATIONS for n in range(networks)]
    table = []
    for name, text in CLAIMS.items():
        mine = values[name]
        if name == "other-signs":
            share = sum(v > 0 for v in mine) / len(mine)
            row = {"passed": len(mine) if 0 < share < 1 else 0, "worst": share, "bound": None}
        elif name == "sign":
            row = {"passed": sum(v >= BOUNDS[name] for v in mine), "worst": min(mine), "bound": BOUNDS[name]}
        else:
            row = {"passed": sum(v <= BOUNDS[name] for v in mine), "worst": max(mine), "bound": BOUNDS[name]}
        table.append({"claim": name, "text": text, "cases": len(mine), **row})
    return table, found


def falls(c: Case, end: str, e: float, g: "Generator") -> bool:
    """Whether the teacher's loss is lower after the student's step, where one condition of the theorem is broken."""
    import torch

    size, w, rows, x = 1e-6, c.start, None, c.x
    if end == "other":
        w = c.other
    if end == "teacher-batch":
        rows = torch.randint(ROWS, (1,), generator=g)
    if end == "student-batch":
        x = x[:1]
    if end == "many":
        teacher = w
        from torch.func import grad

        for _ in range(MANY):
            teacher = teacher - e * grad(c.loss)(teacher)
        for _ in range(MANY):
            w = w + e * c.student(teacher, w)
        return bool(c.loss(w) < c.loss(c.start))
    teacher = c.start + e * c.teach(rows)
    y = c.label(teacher, x)
    if end.startswith("sampled"):
        n = 100 if end.endswith("100") else 1
        drawn = torch.multinomial(y, n, replacement=True, generator=g)
        y = torch.nn.functional.one_hot(drawn, y.shape[-1]).double().mean(1)
    step = c.imitate(w, y, x)
    if end == "adam":
        step = step / (step.abs() + 1e-12)  # its first step: the gradient over its own size
    if end == "large":
        size = e
    else:
        size /= max(1e-300, float(step.norm()))  # a short step: what counts is where it points
    return bool(c.loss(w + size * step) < c.loss(w))


def ends(networks: int, seed: int) -> Iterator[dict[str, Any]]:
    """Shares of networks whose loss falls: as the theorem asks, and with one condition broken at a time."""
    from scipy.stats import binomtest

    for end in ENDS:
        cases = [case("uniform", "softmax", "auxiliary", n, seed, "classes") for n in range(4 * networks)]
        for e in SIZES:
            fell = sum(falls(c, end, e, generator(seed, "ends", end, i)) for i, c in enumerate(cases))
            low, high = binomtest(fell, len(cases)).proportion_ci(method="wilson")
            share = {"share": fell / len(cases), "low": float(low), "high": float(high)}
            yield {"end": end, "e": e, "networks": len(cases), **share}


COLOURS = ("#D55E00", "#858B92", "#2F86C9", "#009E73", "#CC79A7", INK, "#E69F00", "#56B4E9", "#7A5195")


def drawing(rows: Sequence[dict[str, Any]], curves: Sequence[dict[str, Any]]) -> "Figure":
    """Left: inner products against e, over their limit. Right: shares of networks whose loss falls."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    for curve in curves:
        colour = {"same": "#D55E00", "other": "#858B92"}[curve["start"]]
        left.plot(SIZES, curve["values"], color=colour, alpha=0.35, lw=0.8)
    left.plot([], [], color="#D55E00", label="same start: tends to A")
    left.plot([], [], color="#858B92", label="another start: grows without limit")
    left.axhline(1, color=INK, lw=0.8, ls=(0, (4, 3)))
    left.set(xscale="log", yscale="symlog", ylim=(-1e5, 1e5), xlabel="size of the teacher's step, e")
    left.set_title("inner product / (e A)", loc="left", color=INK)
    for colour, (end, text) in zip(COLOURS, ENDS.items(), strict=True):
        mine = [r for r in rows if r["end"] == end]
        x = [r["e"] for r in mine]
        right.plot(x, [r["share"] for r in mine], color=colour, lw=1.2, label=text)
        right.fill_between(x, [r["low"] for r in mine], [r["high"] for r in mine], color=colour, alpha=0.1, lw=0)
    right.axhline(0.5, color=INK, lw=0.8, ls=(0, (4, 3)))
    right.set(xscale="log", ylim=(0, 1.02), xlabel="size of the teacher's step, e")
    right.set_title("share of networks whose loss falls", loc="left", color=INK)
    dress(right)
    for side in ("top", "right", "left"):
        left.spines[side].set_visible(False)
    left.tick_params(colors=INK)
    for ax in (left, right):
        ax.xaxis.label.set_color(INK)
    left.legend(frameon=False, labelcolor=INK, loc="upper right", fontsize=8)
    figure.legend(
        *right.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, labelcolor=INK
    )
    return figure


def ratios(networks: int, seed: int) -> Iterator[dict[str, Any]]:
    """Inner products over e A at every size of e, for a few networks."""
    for n in range(networks):
        c = case("uniform", "softmax", "auxiliary", n, seed, "classes")
        step = c.teach()
        a = c.limit(step)
        for start, w in (("same", c.start), ("other", c.other)):
            values = [float(c.student(c.start + e * step, w) @ step) / (e * a) for e in SIZES]
            yield {"start": start, "values": values}


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    with stage.record(
        "theorem",
        args.manifest,
        inputs={},
        outputs={name: f"{args.folder}/{name}" for name in ("theorem.json", "theorem.svg")},
        params={"networks": args.networks, "threads": args.threads},
        seeds={"seed": args.seed},
        facts={"origin": f"networks drawn here, seed {args.seed}"},
    ) as job:
        import torch

        torch.set_num_threads(args.threads)
        table, _ = claims(args.networks, args.seed)
        rows = list(ends(args.networks, args.seed))
        curves = list(ratios(args.networks, args.seed))
        job.write_json("theorem.json", {"claims": table, "ends": rows, "names": ENDS})
        said = "; ".join(f"{r['claim']} {r['passed']} of {r['cases']}" for r in table)
        with style():
            save(drawing(rows, curves), job.path("theorem.svg"), "theorem", f"The theorem checked: {said}.")
    stage.log.info("%s", said)


def main(argv: list[str] | None = None) -> int:
    """Run the stage."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
