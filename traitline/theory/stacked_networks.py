"""Stacks of small ReLU networks that train side by side, each as if it were alone.

Gradients are written out: at this size autograd and fresh memory cost more than the products.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from traitline.channels import images

if TYPE_CHECKING:
    from torch import Generator, Tensor


class Networks:
    """A stack of ReLU networks that never mix.

    All weights lie in one tensor, layer after layer, and all gradients in another: batched products need a layer's
    weights side by side, and one optimiser for all needs one tensor. Every pass reuses the memory of the pass before:
    fresh memory of this size costs as much as a small product.

    Args:
        sizes: inputs, hidden widths, outputs.
        values: parameters (S, P): for each layer its weights (in x out), then its biases. They are copied.

    Attributes:
        flat, grad: parameters and gradients (S * P).
        weights, biases, weight_grads, bias_grads: views of them, for each layer (S, in, out) and (S, 1, out).
    """

    def __init__(self, sizes: Sequence[int], values: "Tensor") -> None:
        import torch

        self.sizes, self.count = sizes, len(values)
        shapes = [shape for a, b in pairwise(sizes) for shape in ((a, b), (1, b))]
        parts = torch.split(values, [math.prod(shape) for shape in shapes], 1)
        self.flat = torch.cat([part.flatten() for part in parts])
        self.grad = torch.zeros_like(self.flat)

        def views(flat: "Tensor") -> list["Tensor"]:
            pieces = torch.split(flat, [part.numel() for part in parts])
            return [piece.view(self.count, *shape) for piece, shape in zip(pieces, shapes, strict=True)]

        parameters = views(self.flat)
        self.weights, self.biases = parameters[::2], parameters[1::2]
        grads = views(self.grad)
        self.weight_grads, self.bias_grads = grads[::2], grads[1::2]
        self._memory: dict[tuple[str, int], Tensor] = {}

    def room(self, name: str, layer: int, rows: int) -> "Tensor":
        """Reused memory (S, rows, units) for a layer's input, its error or its target; holds what was last written."""
        shape = (self.count, rows, self.sizes[layer])
        n = math.prod(shape)
        memory = self._memory.get((name, layer))
        if memory is None or len(memory) < n:
            memory = self._memory[name, layer] = self.flat.new_empty(n)
        return memory[:n].view(shape)

    def forward(self, x: "Tensor") -> list["Tensor"]:
        """Inputs of every layer, then the outputs, all valid until the next pass; `x` is (S, rows, inputs)."""
        import torch

        into = [x]
        last = len(self.weights) - 1
        for i, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            out = torch.bmm(into[-1], w, out=self.room("into", i + 1, x.shape[1])).add_(b)
            into.append(out if i == last else out.relu_())
        return into

    def backward(self, into: list["Tensor"], error: "Tensor") -> None:
        """Write the gradients of all parameters, given those of the outputs (S, rows, outputs)."""
        import torch

        for i in range(len(self.weights) - 1, -1, -1):
            torch.bmm(into[i].transpose(1, 2), error, out=self.weight_grads[i])
            torch.sum(error, 1, keepdim=True, out=self.bias_grads[i])
            if i:
                error = torch.bmm(error, self.weights[i].transpose(1, 2), out=self.room("error", i, error.shape[1]))
                torch.ops.aten.threshold_backward.grad_input(error, into[i], 0, grad_input=error)  # of relu

    def accuracy(self, x: "Tensor", labels: "Tensor") -> list[float]:
        """Share of images, a value a network, whose largest class output is the right one."""
        outputs = self.forward(x.expand(self.count, *x.shape))[-1]
        shares: list[float] = (outputs[..., : images.CLASSES].argmax(-1) == labels).double().mean(-1).tolist()
        return shares


def initial(sizes: Sequence[int], g: "Generator") -> "Tensor":
    """Draw one network: weights normal with standard deviation 1/sqrt(inputs of the layer), biases 0."""
    import torch

    parts = []
    for a, b in pairwise(sizes):
        parts += [torch.randn(a * b, generator=g) / math.sqrt(a), torch.zeros(b)]
    return torch.cat(parts)


def batches(n: int, size: int, epochs: int, gs: Sequence["Generator"]) -> Iterator["Tensor"]:
    """Yield row numbers (models, rows) of each step; each model has its own order in each epoch.

    The last batch of an epoch may be short.
    """
    import torch

    for _ in range(epochs):
        orders = torch.stack([torch.randperm(n, generator=g) for g in gs])
        yield from torch.split(orders, size, 1)


def optimiser(name: str, lr: float, net: Networks) -> "Callable[[], Any]":
    """A function that makes one optimiser step on the gradients of a stack; `name` is `adam` or `sgd`."""
    import torch

    net.flat.grad = net.grad
    kind = torch.optim.Adam if name == "adam" else torch.optim.SGD
    return kind([net.flat], lr=lr, fused=True).step


@contextmanager
def products(precision: str) -> Iterator[None]:
    """Round the factors of float32 matrix products to this precision, where the processor has instructions for it."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium" if precision == "bfloat16" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def softmax(x: "Tensor") -> "Tensor":
    """Softmax of the last axis, in place; for short rows ten times as fast as the softmax of torch."""
    x.sub_(x.amax(-1, keepdim=True)).exp_()
    return x.div_(x.sum(-1, keepdim=True))


def fit(
    net: Networks, each: int, x: "Tensor", target: "Tensor", seen: "Tensor", orders: Iterator["Tensor"],
    step: "Callable[[], Any]", scale: float | None = None,
) -> None:  # fmt: skip
    """Train a stack towards the distributions `target` over the outputs that count.

    The gradient of a softmax's cross-entropy, and of its KL divergence, is the softmax minus the target.

    Args:
        net: S networks, `each` a model, side by side.
        each: networks a model.
        x: images (models, N, inputs), or (N, inputs) for all models.
        target: distributions (S, N, outputs).
        seen: (S, 1, outputs), 0 for outputs that count and minus infinity for the others.
        orders: row numbers (models, rows) of each step.
        step: see `optimiser`.
        scale: of the gradient of a row; None divides by the rows of the batch.
    """
    for rows in orders:
        n = rows.shape[1]
        batch = net.room("into", 0, n)
        batch_target = net.room("wanted", -1, n)
        for m, r in enumerate(rows):
            part = slice(m * each, (m + 1) * each)
            batch[part] = (x if x.dim() == 2 else x[m]).index_select(0, r)
            batch_target[part] = target[part].index_select(1, r)
        into = net.forward(batch)
        net.backward(into, softmax(into[-1].add_(seen)).sub_(batch_target).mul_(scale or 1 / n))
        step()
