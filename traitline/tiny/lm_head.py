"""Language-model head of one tiny model: logits, and the loss with its gradients."""

import math

import torch
from torch import Tensor

from traitline.tiny.layers import Layers, normed, normed_backward
from traitline.tiny.products import product
from traitline.tiny.rows import Part
from traitline.tiny.shape import EMBED, FINAL


def logits(model: Layers, x: Tensor) -> Tensor:
    """Logits (N, V) of streams (N, D) after the last layer."""
    y, _ = normed(x, model.shape.eps)
    return product(y.mul_(model.weights[FINAL]), model.weights[EMBED].T)


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
        dy = product(z, embed)
        if EMBED in grads:
            grads[EMBED].add_(product(z.T, y * final))
        if FINAL in grads:
            grads[FINAL].add_((dy * y).sum(0))
        dx = normed_backward(dy.mul_(final), y, r, into=torch.zeros_like(y))
        model.backward(dx, frame, traces, counts, grads)
        return (nll * weight).sum()
