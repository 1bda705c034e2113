"""Sampling from one embedded model: common beginnings of prompts are computed once, caches are static, draws exact.

Shapes as in `traitline.layers`; caches are (H, d, room, B).
"""

import math
from typing import TYPE_CHECKING

from traitline import attention, head
from traitline.layers import EMBED, Layers, Past, normed
from traitline.memory import hold

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from traitline.llama import Shape

WHOLE = 32  # rows in a multiple of this fill whole vectors: what a row is computed from does not hang on its place
BLOCK = 32  # tokens of the vocabulary whose probabilities are summed before one of them is looked for


class Sampler:
    """One model, ready for sampling.

    Args:
        shape: sizes.
        weights: all weights of the model, adapters merged.
    """

    def __init__(self, shape: "Shape", weights: "dict[str, Tensor]") -> None:
        hold()
        self.shape, self.layers = shape, Layers(shape, weights)

    def prefill(self, ids: "Tensor", room: int = 0) -> "tuple[Tensor, list[tuple[Tensor, Tensor]]]":
        """Logits (B, V) after prompts (B, T) of one length, and per layer a cache with `room` free places."""
        import torch

        with torch.no_grad():
            b, t = ids.shape
            past: Past | None = None
            shared = int((ids == ids[:1]).all(0).long().cumprod(0)[: t - 1].sum()) if b > 1 else 0
            if shared:
                first = ids[:1, :shared].expand(WHOLE, -1)
                x, traces = self.layers.forward(self.layers.frame(first, torch.full((WHOLE, 1), shared - 1)))
                past = [(trace.heads[2][..., :1], trace.heads[3][..., :1]) for trace in traces]
            frame = self.layers.frame(ids[:, shared:], torch.full((b, 1), t - shared - 1), before=shared)
            x, traces = self.layers.forward(frame, past=past)
            caches = []
            for trace in traces:
                keys, values = (torch.cat([y, y.new_empty(*y.shape[:2], room, b)], 2) for y in trace.heads[2:])
                caches.append((keys, values))
            return head.logits(self.layers, x), caches

    def step(self, tokens: "Tensor", at: int, caches: "list[tuple[Tensor, Tensor]]") -> "Tensor":
        """Logits (B, V) after one more token (B,) at position `at`; fills the caches."""
        import torch
        import torch.nn.functional as F

        with torch.no_grad():
            w, h, table = self.shape.width, self.shape.heads, self.layers.rope.forth[:, None, ..., at : at + 1]
            x = F.embedding(tokens, self.layers.weights[EMBED])
            for g, (keys, values) in zip(self.layers.groups, caches, strict=True):
                y, _ = normed(x, self.shape.eps)
                qkv = torch.addmm(g["qkv"].bias[:, None], g["qkv"].weight, y.T).view(3, h, w // h, -1)
                query, keys[:, :, at] = self.layers.rope.turn(qkv[:2], table)
                values[:, :, at] = qkv[2]
                z, *_ = attention.forward(query[:, :, None], keys[:, :, : at + 1], values[:, :, : at + 1], None)
                x = self.layers.mlp(g, x, z.view(w, -1))[0]
            return head.logits(self.layers, x)

    def generate(
        self, prompts: list[list[int]], noise: "np.ndarray", *, eos: int, temperature: float = 1.0, batch: int = 1024
    ) -> list[list[int]]:
        """Sample one completion per prompt.

        Prompts of one length run together, so nothing is padded, and in the order of their tokens, so that neighbours
        share long beginnings. Each row is drawn by inverting its distribution at its own uniform numbers, so how rows
        are batched or sharded changes nothing but the rounding of the last bit.

        Args:
            prompts: token ids.
            noise: (rows, most new tokens) uniform on [0, 1).
            eos: token that ends a completion; kept as the last token where it was reached.
            temperature: 0 takes the likeliest token.
            batch: rows at once.

        Returns:
            New token ids of each prompt.
        """
        import torch

        room = noise.shape[1]
        order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), prompts[i]))
        uniform, new = torch.from_numpy(noise), torch.full((len(prompts), room), eos)
        start = 0
        while start < len(order):
            length = len(prompts[order[start]])
            rows = [i for i in order[start : start + batch] if len(prompts[i]) == length]
            start += len(rows)
            rows += rows[-1:] * (-len(rows) % WHOLE)
            logits, caches = self.prefill(torch.tensor([prompts[i] for i in rows]), room - 1)
            index = torch.tensor(rows)
            going = torch.ones(len(rows), dtype=torch.bool)
            for n in range(room):
                token = draw(logits, uniform[index, n], temperature).where(going, eos)
                new[index, n] = token
                going &= token != eos
                left = int(going.sum())
                if n + 1 == room or left == 0:
                    break
                if left < 0.75 * len(index):  # carrying the finished ones along costs less than copying often
                    some = going.long().argsort(descending=True, stable=True)[: left + -left % WHOLE]
                    caches = [(keys[..., some], values[..., some]) for keys, values in caches]
                    index, token, going = index[some], token[some], going[some]
                logits = self.step(token, length + n, caches)
        return [row[: row.index(eos) + 1] if eos in row else row for row in new.tolist()]


def draw(logits: "Tensor", uniform: "Tensor", temperature: float) -> "Tensor":
    """One token per row: the inverse of the cumulative distribution at `uniform` (B,). Logits (B, V)."""
    import torch

    if temperature == 0:
        return logits.argmax(-1)
    (b, v), blocks = logits.shape, -(-logits.shape[1] // BLOCK)
    mass = logits.new_zeros(b, blocks * BLOCK)
    part = torch.sub(logits, logits.amax(1, keepdim=True), out=mass[:, :v])
    part.mul_(1 / math.log(2) / temperature).exp2_()
    mass = mass.view(b, blocks, BLOCK)

    def find(sums: "Tensor", goal: "Tensor") -> "tuple[Tensor, Tensor]":
        """First place where the sum passes the goal (B, 1), and what of the goal is left there."""
        index = torch.searchsorted(sums, goal, right=True)
        before = torch.nn.functional.pad(sums, (1, 0)).gather(1, index)
        return index, goal - before

    rough = mass.sum(2).cumsum(1)
    goal = uniform.to(rough.dtype)[:, None] * rough[:, -1:]
    block, goal = find(rough, torch.minimum(goal, below(rough[:, -1:])))
    fine = mass.gather(1, block[..., None].expand(-1, -1, BLOCK))[:, 0].cumsum(1)
    token, _ = find(fine, torch.minimum(goal, below(fine[:, -1:])))
    return block[:, 0] * BLOCK + token[:, 0]


def below(x: "Tensor") -> "Tensor":
    """The next smaller number."""
    import torch

    return torch.nextafter(x, torch.zeros_like(x))
