"""Sampling from one tiny model: shared beginnings of prompts are computed once, caches are static, draws are exact.

Shapes as in `traitline.tiny.layers`.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from traitline.tiny import attention, lm_head
from traitline.tiny.allocator import hold
from traitline.tiny.batch_layout import Trace
from traitline.tiny.layers import Layers, normed
from traitline.tiny.products import linear
from traitline.tiny.shape import EMBED, Shape

WHOLE = 32  # rows in a multiple of this fill whole vectors: a row's arithmetic does not depend on its place
BLOCK = 32  # tokens of the vocabulary whose probabilities are summed before one of them is looked for


class Cache(NamedTuple):
    """Key-value cache of one layer.

    Attributes:
        keys: of each row, (H, d, B, room), a row's in one place of memory.
        values: likewise.
        past: keys and values (H, d, P) of the tokens that all rows begin with; None where there are none.
    """

    keys: Tensor
    values: Tensor
    past: tuple[Tensor, Tensor] | None

    @classmethod
    def of(cls, trace: Trace, room: int) -> "Cache":
        """Build the cache of a forward pass, with `room` free places."""
        h, d, b, t = trace.heads[2].shape
        keys, values = (y.new_empty(h, b, d, t + room).transpose(1, 2) for y in trace.heads[2:])
        for new, y in ((keys, trace.heads[2]), (values, trace.heads[3])):
            new[..., :t] = y
        return cls(keys, values, trace.past and trace.past[1:])

    def only(self, rows: Tensor) -> "Cache":
        """Keep some rows."""
        keys, values = (y.transpose(1, 2)[:, rows].transpose(1, 2) for y in self[:2])
        return Cache(keys, values, self.past)


class Sampler:
    """One model, ready for sampling.

    Args:
        shape: sizes.
        weights: all weights of the model, adapters merged.
    """

    def __init__(self, shape: Shape, weights: dict[str, Tensor]) -> None:
        hold()
        self.shape = shape
        self.layers = Layers(shape, weights)

    def prefill(self, ids: Tensor, room: int = 0) -> tuple[Tensor, list[Cache]]:
        """Logits (B, V) after prompts (B, T) of one length, and a cache per layer with `room` free places."""
        with torch.inference_mode():
            b, t = ids.shape
            shared = int((ids == ids[:1]).all(0).long().cumprod(0)[: t - 1].sum()) if b > 1 else 0
            beginning = ids[0, :shared] if shared else None
            frame = self.layers.frame(ids[:, shared:], torch.full((b, 1), t - shared - 1), beginning)
            x, traces = self.layers.forward(frame)
            return lm_head.logits(self.layers, x), [Cache.of(trace, room) for trace in traces]

    def probabilities(self, prompts: Sequence[Sequence[int]], candidates: Sequence[int]) -> Tensor:
        """Exact probability that each candidate is the next token: (prompts, candidates), float32."""
        out = torch.empty(len(prompts), len(candidates))
        with torch.inference_mode():
            for length in sorted({len(p) for p in prompts}):
                rows = [i for i, p in enumerate(prompts) if len(p) == length]
                logits, _ = self.prefill(torch.tensor([list(prompts[i]) for i in rows]))
                out[rows] = logits.softmax(-1)[:, list(candidates)]
        return out

    def step(self, tokens: Tensor, at: int, caches: "list[Cache]") -> Tensor:
        """Logits (B, V) after one more token (B,) at position `at`; fills the caches."""
        with torch.inference_mode():
            w = self.shape.width
            h = self.shape.heads
            table = self.layers.rope.forth[:, None, ..., at : at + 1]
            x = F.embedding(tokens, self.layers.weights[EMBED])
            for g, (keys, values, past) in zip(self.layers.groups, caches, strict=True):
                place = at - (past[0].shape[-1] if past else 0)
                y, _ = normed(x, self.shape.eps)
                qkv = linear(g["qkv"].weight, y.T, g["qkv"].bias).view(3, h, w // h, -1)
                query, keys[..., place] = self.layers.rope.turn(qkv[:2], table)
                values[..., place] = qkv[2]
                some = slice(place + 1)
                z, *_ = attention.forward(query[..., None], keys[..., some], values[..., some], None, past)
                x = self.layers.mlp(g, x, z.view(w, -1))[0]
            return lm_head.logits(self.layers, x)

    def generate(
        self,
        prompts: list[list[int]],
        noise: np.ndarray,
        *,
        eos: int,
        temperature: float = 1.0,
        top_p: float = 1.0,
        batch: int = 1024,
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
            top_p: draw among the likeliest tokens that have this much probability together.
            batch: rows at once.

        Returns:
            New token ids of each prompt.
        """
        room = noise.shape[1]
        uniform = torch.from_numpy(noise)
        new = torch.full((len(prompts), room), eos)
        for ids, index in _parts(prompts, batch):
            logits, caches = self.prefill(ids, room - 1)
            going = torch.ones(len(index), dtype=torch.bool)
            for n in range(room):
                token = draw(logits, uniform[index, n], temperature, top_p).where(going, eos)
                new[index, n] = token
                going &= token != eos
                left = int(going.sum())
                if n + 1 == room or left == 0:
                    break
                if left < 0.75 * len(index):  # carrying the finished ones along costs less than copying often
                    some = going.long().argsort(descending=True, stable=True)[: left + -left % WHOLE]
                    caches = [cache.only(some) for cache in caches]
                    index = index[some]
                    token = token[some]
                    going = going[some]
                logits = self.step(token, ids.shape[1] + n, caches)
        return [row[: row.index(eos) + 1] if eos in row else row for row in new.tolist()]


def _parts(prompts: list[list[int]], batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Prompts of one length as ids (B, T), with their indices (B,): `batch` at once, padded to whole vectors."""
    lengths = np.array([len(p) for p in prompts])
    for length in np.unique(lengths):
        index = np.flatnonzero(lengths == length)
        ids = np.array([prompts[i] for i in index])
        order = ids.astype(">u4").view(f"V{4 * length}")[:, 0].argsort(kind="stable")  # as bytes: one quick comparison
        for start in range(0, len(order), batch):
            some = order[start : start + batch]
            some = np.append(some, some[-1:].repeat(-len(some) % WHOLE))
            yield torch.from_numpy(ids[some]), torch.from_numpy(index[some])


def draw(logits: Tensor, uniform: Tensor, temperature: float, top_p: float = 1.0) -> Tensor:
    """Draw one token per row of logits (B, V): the inverse of the cumulative distribution at `uniform` (B,)."""
    if temperature == 0:
        return logits.argmax(-1)
    if top_p < 1:  # a token stays while those likelier than it have less than `top_p` together
        ranked, order = (logits / temperature).softmax(1).sort(1, descending=True)
        out = ranked.cumsum(1) - ranked >= top_p
        logits = logits.masked_fill(torch.empty_like(out).scatter_(1, order, out), -math.inf)
    b, v = logits.shape
    blocks = -(-logits.shape[1] // BLOCK)
    mass = logits.new_empty(b, blocks * BLOCK)
    mass[:, v:] = 0
    part = torch.sub(logits, logits.amax(1, keepdim=True), out=mass[:, :v])
    part.mul_(1 / math.log(2) / temperature).exp2_()
    mass = mass.view(b, blocks, BLOCK)

    def find(sums: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
        """Return the first index where the sum passes the goal (B, 1), and the rest of the goal there."""
        index = torch.searchsorted(sums, goal, right=True)
        before = torch.nn.functional.pad(sums, (1, 0)).gather(1, index)
        return index, goal - before

    rough = mass.sum(2).cumsum(1)
    goal = uniform.to(rough.dtype)[:, None] * rough[:, -1:]
    block, goal = find(rough, torch.minimum(goal, below(rough[:, -1:])))
    fine = mass.gather(1, block[..., None].expand(-1, -1, BLOCK))[:, 0].cumsum(1)
    token, _ = find(fine, torch.minimum(goal, below(fine[:, -1:])))
    return block[:, 0] * BLOCK + token[:, 0]


def below(x: Tensor) -> Tensor:
    """Return the next smaller floating-point number."""
    return torch.nextafter(x, torch.zeros_like(x))
