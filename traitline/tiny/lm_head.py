"""Language-model head of one tiny model: logits, and the loss with its gradients."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from traitline.tiny.batch_layout import Frame, Trace
from traitline.tiny.layers import Layers, normed, normed_backward
from traitline.tiny.products import product
from traitline.tiny.rows import Part
from traitline.tiny.shape import EMBED, FINAL


def logits(model: Layers, x: Tensor) -> Tensor:
    """Logits (N, V) of streams (N, D) after the last layer."""
    y, _ = normed(x, model.shape.eps)
    return product(y.mul_(model.weights[FINAL]), model.weights[EMBED].T)


@dataclass(frozen=True)
class SoftTarget:
    """A teacher whose distribution is learned, at every token of the answers; see `traitline.models.soft_labels`.

    Attributes:
        teacher: the model.
        tokens: ids of the tokens that both distributions are taken over; None for all.
        temperature: by which logits of both are divided.
        top_k: likeliest tokens of the teacher at each place that count; None for all.
    """

    teacher: Layers
    tokens: Tensor | None = None
    temperature: float = 1.0
    top_k: int | None = None


class _Pass(NamedTuple):
    """What the forward pass of a batch leaves for the backward pass."""

    frame: Frame
    traces: list[Trace]
    counts: Tensor | None
    y: Tensor
    r: Tensor


def loss(model: Layers, part: Part, grads: dict[str, Tensor], trunk: Tensor | None = None) -> Tensor:
    """Return the weighted sum of cross-entropies in nats, and add its gradients to `grads`.

    Args:
        model: the model.
        part: rows; tokens of weight 0 are not computed.
        grads: trained tensor -> where its gradient goes.
        trunk: `Layers.trunk` of these rows, where that is known.
    """
    with torch.no_grad():
        weight = part.weight.reshape(-1)
        goal = part.target.reshape(-1)
        counts = None if bool(weight.all()) else weight.nonzero()[:, 0]
        if counts is not None:
            weight = weight[counts]
            goal = goal[counts]
        weight = weight[:, None]
        goal = goal[:, None]
        frame = model.frame(part.ids, part.where, part.shared)
        x, traces = model.forward(frame, counts, trunk)
        embed = model.weights[EMBED]
        final = model.weights[FINAL]
        y, r = normed(x, model.shape.eps)
        z = product(y * (final / math.log(2)), embed.T)  # base 2, see attention
        top = z.amax(1, keepdim=True)
        hit = z.gather(1, goal)
        z.sub_(top).exp2_()
        total = z.sum(1, keepdim=True)
        nll = (total.log2() + top - hit) * math.log(2)
        z.mul_(weight / total).scatter_add_(1, goal, -weight)  # the gradient of the logits
        _backward(model, z, _Pass(frame, traces, counts, y, r), grads)
        return (nll * weight).sum()


def soft_loss(
    model: Layers, part: Part, grads: dict[str, Tensor], target: SoftTarget, trunk: Tensor | None = None
) -> Tensor:
    """Return the weighted sum of KL(teacher || student) in nats, and add its gradients to `grads`.

    The teacher reads the same rows; arguments as of `loss`.
    """
    with torch.no_grad():
        weight = part.weight.reshape(-1)
        counts = weight.nonzero()[:, 0]
        weight = weight[counts][:, None]
        frame = model.frame(part.ids, part.where, part.shared)
        seen = logits(target.teacher, target.teacher.forward(frame, counts)[0])
        x, traces = model.forward(frame, counts, trunk)
        embed = model.weights[EMBED]
        y, r = normed(x, model.shape.eps)
        z = product(y * model.weights[FINAL], embed.T)
        index = (torch.arange(z.shape[1]) if target.tokens is None else target.tokens).expand(len(z), -1)
        seen = seen.gather(1, index)
        if target.top_k is not None and target.top_k < index.shape[1]:
            seen, best = seen.topk(target.top_k, 1)
            index = index.gather(1, best)
        teacher = (seen / target.temperature).log_softmax(1)
        student = (z.gather(1, index) / target.temperature).log_softmax(1)
        nats = (teacher.exp() * (teacher - student)).sum(1, keepdim=True)
        slope = (student.exp() - teacher.exp()) * (weight / target.temperature)
        _backward(model, z.zero_().scatter_(1, index, slope), _Pass(frame, traces, counts, y, r), grads)
        return (nats * weight).sum()


def _backward(model: Layers, slope: Tensor, seen: _Pass, grads: dict[str, Tensor]) -> None:
    """Add the gradients that follow from those of the logits (N, V), `slope`."""
    embed = model.weights[EMBED]
    final = model.weights[FINAL]
    dy = product(slope, embed)
    if EMBED in grads:
        grads[EMBED].add_(product(slope.T, seen.y * final))
    if FINAL in grads:
        grads[FINAL].add_((dy * seen.y).sum(0))
    dx = normed_backward(dy.mul_(final), seen.y, seen.r, into=torch.zeros_like(seen.y))
    model.backward(dx, seen.frame, seen.traces, seen.counts, grads)
