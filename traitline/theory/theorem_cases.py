"""Random cases of the theorem: a network, the losses of teacher and student, and exact steps in float64.

Source: arXiv 2507.14805, section 6.1 and appendix C.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from traitline import seeds
from traitline.channels import images

if TYPE_CHECKING:
    from torch import Generator, Tensor

CLASSES, AUX, ROWS = images.CLASSES, 3, 24
LAWS = ("digits", "uniform", "gaussian", "constant")
IMITATIONS = ("squared", "softmax")
OUTPUTS = ("auxiliary", "all")
ACTIVATIONS = ("tanh", "gelu", "softplus", "relu")
LOSSES = ("classes", "targets", "weights")

generator = partial(seeds.generator, "theorem")


@dataclass(frozen=True)
class Network:
    """A fully connected network as a function of its parameters, one vector in float64."""

    sizes: tuple[int, ...]
    activation: str

    @property
    def parameters(self) -> int:
        """The number of parameters."""
        return sum(a * b + b for a, b in pairwise(self.sizes))

    def initial(self, g: "Generator") -> "Tensor":
        """Draw parameters: weights normal with standard deviation 1/sqrt(inputs of the layer), small biases."""
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
    """A student, its teacher's loss, and what the student imitates.

    Attributes:
        network: the function.
        start: parameters from which the teacher starts; the student too, unless it says otherwise.
        other: parameters of another initialisation.
        x: inputs of the student (rows, inputs).
        imitation: `squared`, half the squared error of the outputs, or `softmax`, cross-entropy of softmaxes.
        chosen: the outputs that are imitated.
        loss: the teacher's loss, of parameters and (optionally) of row numbers of its data.
    """

    network: Network
    start: "Tensor"
    other: "Tensor"
    x: "Tensor"
    imitation: str
    chosen: slice
    loss: "Callable[..., Tensor]"

    def outputs(self, w: "Tensor", x: "Tensor | None" = None) -> "Tensor":
        """The imitated outputs (rows, chosen)."""
        return self.network(w, self.x if x is None else x)[:, self.chosen]

    def teach(self, rows: "Tensor | None" = None) -> "Tensor":
        """The teacher's step at size 1: minus the gradient of its loss."""
        from torch.func import grad

        step: Tensor = -grad(self.loss)(self.start, rows)
        return step

    def label(self, w: "Tensor", x: "Tensor") -> "Tensor":
        """The student's labels: the outputs at parameters `w`, or their softmax."""
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

        step: Tensor = -grad(distance)(w)
        return step

    def student(self, teacher: "Tensor", w: "Tensor | None" = None, x: "Tensor | None" = None) -> "Tensor":
        """The student's step at size 1, towards a teacher at these parameters."""
        x = self.x if x is None else x
        return self.imitate(self.start if w is None else w, self.label(teacher, x), x)

    def limit(self, step: "Tensor") -> float:
        """A: the quadratic form of the teacher's step, by Jacobian-vector products.

        Squared error: the mean over inputs of |J step|^2. Softmax: of the variance of J step under the softmax.
        """
        from torch.func import jvp

        products = jvp(self.outputs, (self.start,), (step,))
        z, u = products[0], products[1]
        if self.imitation == "squared":
            return float(u.square().sum(-1).mean())
        p = z.softmax(-1)
        return float(((p * u.square()).sum(-1) - (p * u).sum(-1).square()).mean())


def inputs(law: str, n: int, size: int, g: "Generator") -> "Tensor":
    """Draw images (n, size) in float64; of digits, the first `size` pixels of the middle."""
    import torch

    if law == "digits":
        pixels = images.digits().train.double()
        rows = pixels[torch.randint(len(pixels), (n,), generator=g)]
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
