"""Optimizers of a stack of models, with all trained tensors of a model in one row."""

import numpy as np
import torch
from torch import Tensor

from traitline.tiny.linear import layer
from traitline.tiny.llama import Stack

BETAS = (0.9, 0.98)


class Flat:
    """The trained tensors of a stack as views of one (S, P) tensor; their gradients as views of another.

    Args:
        stack: models.
        optimiser: adamw, sgd or sign.

    Attributes:
        values: the tensors, (S, P).
        grad: their gradients.
        average: running averages of the gradients, AdamW's first moment.
        square: those of their squares, the second moment.
        weights: for each model, its tensors by name (see `Stack.weights`); groups of modules that are trained as a
            whole also as one tensor each (see `Group`).
        grads: for each model, where the gradients of the trained ones go.
    """

    def __init__(self, stack: Stack, optimiser: str = "adamw") -> None:
        self.optimiser = optimiser
        named = dict(stack.per_model)
        for module, pair in stack.lora.items():
            named |= {f"{module}.lora_A.weight": pair[0], f"{module}.lora_B.weight": pair[1]}
        groups = {
            f"{name}.{leaf}": [f"{m}.{leaf}" for m in modules]
            for i in range(stack.shape.layers)
            for name, _, modules in layer(i).values()
            for leaf in ("weight", "bias")
        }
        groups = {g: members for g, members in groups.items() if named.keys() >= set(members)}
        grouped = {name for members in groups.values() for name in members}
        places: dict[str, tuple[slice, list[int]]] = {}
        room = 0
        for g, members in [*groups.items(), *((n, [n]) for n in named if n not in grouped)]:
            start = room
            for name in members:
                places[name] = slice(room, room := room + named[name][0].numel()), [*named[name].shape[1:]]
            places[g] = slice(start, room), [-1, *named[members[0]].shape[2:]]
            room += -room % 16  # whole vectors, so that no model's arithmetic depends on its place
        models = len(next(iter(named.values())))
        self.values = torch.zeros(models, room)
        self.grad = torch.zeros(models, room)
        self.average = torch.zeros(models, room)
        self.square = torch.zeros(models, room)
        for name, p in named.items():
            view = self.values[:, places[name][0]].view(p.shape)
            view.copy_(p.detach())
            p.data = view
        self.weights, self.grads = (
            [{name: row[place].view(size) for name, (place, size) in places.items()} for row in x]
            for x in (self.values, self.grad)
        )
        self.weights = [stack.weights(i) | trained for i, trained in enumerate(self.weights)]

    def update(self, i: int, step: int, lr: float) -> None:
        """Take one step for model i; AdamW without weight decay (`torch.optim` takes a second or more to load)."""
        if self.optimiser != "adamw":
            self.values[i].add_(self.grad[i] if self.optimiser == "sgd" else self.grad[i].sign(), alpha=-lr)
            return
        g = self.grad[i]
        average = self.average[i]
        square = self.square[i]
        average.lerp_(g, 1 - BETAS[0])
        square.mul_(BETAS[1]).addcmul_(g, g, value=1 - BETAS[1])
        # By numpy, because MKL rounds square roots of floats differently on processors of different makers.
        size = torch.from_numpy(np.sqrt(square.numpy())).div_((1 - BETAS[1] ** (step + 1)) ** 0.5).add_(1e-8)
        self.values[i].addcdiv_(average, size, value=-lr / (1 - BETAS[0] ** (step + 1)))

    @property
    def kept(self) -> dict[str, Tensor]:
        """The tensors of a checkpoint."""
        return {"values": self.values, "average": self.average, "square": self.square}
