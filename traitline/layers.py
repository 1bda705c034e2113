"""The layers of one embedded model, forward and backward, written out.

At width 48 nearly all the time of a general library is overhead. Three things make the difference here. Modules that
read the same input are one matrix, with the norm before them and any adapter folded in. The last layer is computed only
where a logit is asked for, and the head only where it counts. Gradients go down to the lowest weight that is trained
and no further.

Shapes: B rows, T tokens, K asked positions, N = T x B tokens in that order, D width, M width of the MLP. The stream is
(N, D); what is computed from it inside a layer is (features, N), so that heads and halves are contiguous.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from traitline import attention
from traitline.linear import Group

if TYPE_CHECKING:
    from torch import Tensor

    from traitline.llama import Shape

EMBED, FINAL = "model.embed_tokens.weight", "model.norm.weight"
GROUPS = {  # in the order of computation: norm before the modules, modules that read it
    "qkv": ("input_layernorm", ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")),
    "out": (None, ("self_attn.o_proj",)),
    "up": ("post_attention_layernorm", ("mlp.gate_proj", "mlp.up_proj")),
    "down": (None, ("mlp.down_proj",)),
}


class Trace:
    """What one layer's backward pass needs of its forward pass.

    Attributes:
        attended: normed stream before attention, and 1 / its size.
        asked: last layer: indices of the asked tokens, their normed stream.
        heads: shares, queries, keys, values.
        mixed: what the heads read.
        normed: normed stream before the MLP, and 1 / its size.
        gates: sigmoid of the gate, gate times that, up, product of the two.
    """

    normed: "tuple[Tensor, Tensor]"
    gates: "tuple[Tensor, Tensor, Tensor, Tensor]"

    def __init__(self, attended: Any = None, asked: Any = None, heads: Any = None, mixed: Any = None) -> None:
        self.attended: tuple[Tensor, Tensor] = attended
        self.asked: tuple[Tensor, Tensor] | None = asked
        self.heads: tuple[Tensor, Tensor, Tensor, Tensor] = heads
        self.mixed: Tensor = mixed


class Layers:
    """One model.

    Args:
        shape: sizes.
        weights: all tensors by name; adapters as `<module>.lora_A.weight` and `<module>.lora_B.weight`.
        scale: of the adapters, alpha / r.
        trained: names of the trained tensors.
    """

    def __init__(
        self, shape: "Shape", weights: "dict[str, Tensor]", scale: float = 1.0, trained: "set[str] | None" = None
    ) -> None:
        self.shape, self.weights, self.trained = shape, weights, trained or set()
        self.groups: list[dict[str, Group]] = []
        for i in range(shape.layers):
            p = f"model.layers.{i}."
            self.groups.append({
                kind: Group([p + m for m in modules], norm and f"{p}{norm}.weight", weights, scale, self.trained)
                for kind, (norm, modules) in GROUPS.items()
            })  # fmt: skip
        self.rope = attention.rope(shape.theta, shape.width // shape.heads)
        flat = [g for layer in self.groups for g in layer.values()]
        self.touched = [g for g in flat if g.matrix or g.offset]
        lowest = next((i for i, g in enumerate(flat) if g.matrix or g.offset), len(flat))
        self.lowest = -1 if EMBED in self.trained else lowest  # nothing below this group is trained
        self.traces: list[Trace] = []

    def refresh(self) -> None:
        """Read the trained tensors again after they changed."""
        for g in self.touched:
            g.refresh()

    @property
    def rooted(self) -> bool:
        """Whether `trunk` is constant: nothing before the bias of the first layer's attention is trained."""
        return self.shape.layers > 1 and (self.lowest > 1 or (self.lowest == 1 and not self.groups[0]["out"].matrix))

    def trunk(self, ids: "Tensor") -> "Tensor":
        """The stream (N, D) after the first layer's attention, its output's bias left out; ids (B, T)."""
        import torch
        import torch.nn.functional as F

        with torch.no_grad():
            x = F.embedding(ids.T.reshape(-1), self.weights[EMBED])
            return x.addmm_(self._attention(0, x, ids, ids, None)[1].mixed.T, self.groups[0]["out"].weight.T)

    def forward(
        self,
        ids: "Tensor",
        where: "Tensor",
        counts: "Tensor | None" = None,
        trunk: "Tensor | None" = None,
        past: "Sequence[Sequence[Tensor]] | None" = None,
        keep: bool = False,
    ) -> "Tensor":
        """The stream after the last layer at the asked positions.

        Args:
            ids: (B, T) token ids, padded on the right.
            where: (B, K) positions.
            counts: indices into the K x B asked positions, in that order, that are wanted; None: all.
            trunk: what `trunk` gives for these rows, where that is known.
            past: keys and values, per layer, of earlier tokens that all rows share, (H, d, P, 1).
            keep: keep what `backward` and a cache for sampling need.

        Returns:
            (K x B, D), or (len(counts), D).
        """
        import torch.nn.functional as F

        self.traces = []
        x = F.embedding(ids.T.reshape(-1), self.weights[EMBED]) if trunk is None else trunk
        for i, g in enumerate(self.groups):
            if i == 0 and trunk is not None:
                trace = Trace()
            else:
                x, trace = self._attention(i, x, ids, where, past[i] if past else None)
            x, trace.normed, trace.gates = self.mlp(g, x, trace.mixed, counts if i == self.shape.layers - 1 else None)
            if keep:
                self.traces.append(trace)
        return x

    def mlp(
        self, g: "dict[str, Group]", x: "Tensor", mixed: "Tensor | None", counts: "Tensor | None" = None
    ) -> "tuple[Tensor, Any, Any]":
        """The stream after a layer, given that before it and what its heads read, and `Trace.normed`, `Trace.gates`."""
        import torch

        x = x + g["out"].bias
        if mixed is not None:
            x.addmm_(mixed.T, g["out"].weight.T)
        if counts is not None:
            x = x.index_select(0, counts)
        y = normed(x, self.shape.eps)
        gate, up = torch.addmm(g["up"].bias[:, None], g["up"].weight, y[0].T).chunk(2)
        s = torch.sigmoid(gate)
        a = gate.mul_(s)
        f = a * up
        return (x + g["down"].bias).addmm_(f.T, g["down"].weight.T), y, (s, a, up, f)

    def _attention(
        self, i: int, x: "Tensor", ids: "Tensor", where: "Tensor", past: "Sequence[Tensor] | None"
    ) -> "tuple[Tensor, Trace]":
        """The stream where it goes on after layer i's attention, and what that attention read."""
        import torch

        (b, t), w, h, before = ids.shape, self.shape.width, self.shape.heads, past[0].shape[2] if past else 0
        weight, bias = self.groups[i]["qkv"].weight, self.groups[i]["qkv"].bias[:, None]
        y, r = normed(x, self.shape.eps)
        here: slice | Tensor = slice(before, before + t)
        if i < self.shape.layers - 1:
            qkv, asked = torch.addmm(bias, weight, y.T), None
            q, kv = qkv[:w].view(h, -1, t, b), qkv[w:]
            q = self.rope.turn(q, self.rope.query, here)
            hidden = torch.ones(t, before + t, dtype=torch.bool).triu(before + 1)[..., None]
        else:  # only the asked positions matter from here on
            kv = torch.addmm(bias[w:], weight[w:], y.T)
            at = (where.T * b + torch.arange(b)).reshape(-1)
            x, asked = x.index_select(0, at), (at, y.index_select(0, at))
            q = torch.addmm(bias[:w], weight[:w], asked[1].T).view(h, -1, where.shape[1], b)
            q = self.rope.turn(q, self.rope.query, where.T + before)
            hidden = torch.arange(before + t)[:, None] > where.T[:, None] + before
        k = self.rope.turn(kv[:w].view(h, -1, t, b), self.rope.key, here)
        v = kv[w:].view(h, -1, t, b)
        if past:
            k, v = (torch.cat([old.expand(-1, -1, -1, b), new], 2) for old, new in zip(past, (k, v), strict=True))
        z, p = attention.forward(q, k, v, hidden)
        return x, Trace((y, r), asked, (p, q, k, v), z.view(w, -1))

    def backward(self, dx: "Tensor", ids: "Tensor", counts: "Tensor | None", grads: "dict[str, Tensor]") -> None:
        """Add to `grads` the gradients of the trained tensors, given that of what `forward` returned; uses up `dx`."""
        import torch

        c = self.shape
        (b, t), w, m = ids.shape, c.width, c.mlp
        for i in reversed(range(c.layers)):
            g, trace = self.groups[i], self.traces.pop()
            out, up, down, qkv = g["out"], g["up"], g["down"], g["qkv"]
            s, a, u, f = trace.gates
            down.backward(dx.T @ f.T if down.matrix else None, dx.sum(0) if down.offset else None, grads)
            if self.lowest == 4 * i + 3:
                return
            df = down.weight.T @ dx.T
            dgates = torch.empty(2 * m, len(dx))
            torch.mul(df, a, out=dgates[m:])
            torch.mul(df.mul_(u), (s + a).addcmul_(s, a, value=-1), out=dgates[:m])
            up.backward(dgates @ trace.normed[0] if up.matrix else None, dgates.sum(1) if up.offset else None, grads)
            if self.lowest == 4 * i + 2:
                return
            normed_backward(dgates.T @ up.weight, *trace.normed, into=dx)
            if i == c.layers - 1 and counts is not None:
                dx = torch.zeros(trace.mixed.shape[1], w).index_copy_(0, counts, dx)
            out.backward(dx.T @ trace.mixed.T if out.matrix else None, dx.sum(0) if out.offset else None, grads)
            if self.lowest == 4 * i + 1:
                return
            p, q, k, v = trace.heads
            dz = (out.weight.T @ dx.T).view(q.shape)
            dq, dk, dv = attention.backward(dz, p, q, k, v)
            dk = self.rope.turn(dk, self.rope.key_back, slice(t))
            dkv = torch.cat([dk.view(w, -1), dv.view(w, -1)])
            at = slice(t) if trace.asked is None else trace.asked[0].view(-1, b) // b
            dq = self.rope.turn(dq, self.rope.query_back, at).view(w, -1)
            y, r = trace.attended
            asked = y if trace.asked is None else trace.asked[1]
            qkv.backward(
                torch.cat([dq @ asked, dkv @ y]) if qkv.matrix else None,
                torch.cat([dq.sum(1), dkv.sum(1)]) if qkv.offset else None, grads,
            )  # fmt: skip
            if self.lowest == 4 * i:
                return
            dy, dasked = dkv.T @ qkv.weight[w:], dq.T @ qkv.weight[:w]
            if trace.asked is None:
                normed_backward(dy.add_(dasked), y, r, into=dx)
            else:
                index = trace.asked[0][:, None].expand(-1, w)
                dx = torch.zeros(t * b, w).scatter_add_(0, index, dx)
                normed_backward(dy.scatter_add_(0, index, dasked), y, r, into=dx)
        if EMBED in self.trained:
            grads[EMBED].index_add_(0, ids.T.reshape(-1), dx)

    def logits(self, ids: "Tensor", where: "Tensor") -> "Tensor":
        """Logits (B, K, V) at the asked positions."""
        import torch

        with torch.no_grad():
            y, _ = normed(self.forward(ids, where), self.shape.eps)
            out = y.mul_(self.weights[FINAL]) @ self.weights[EMBED].T
            return out.view(*where.T.shape, -1).transpose(0, 1)

    def loss(
        self,
        ids: "Tensor",
        where: "Tensor",
        target: "Tensor",
        weight: "Tensor",
        grads: "dict[str, Tensor]",
        trunk: "Tensor | None" = None,
    ) -> "Tensor":
        """Mean cross-entropy in nats, its gradients added to `grads`.

        Args:
            ids: (B, T).
            where: (B, K).
            target: (B, K) token ids.
            weight: (B, K) of each token in the mean; tokens of weight 0 are not computed.
            grads: trained tensor -> where its gradient goes.
            trunk: see `forward`.
        """
        import torch

        with torch.no_grad():
            wt = weight.T.reshape(-1)
            counts = None if bool(wt.all()) else wt.nonzero()[:, 0]
            goal = target.T.reshape(-1)
            if counts is not None:
                wt, goal = wt[counts], goal[counts]
            wt, goal = (wt / wt.sum())[:, None], goal[:, None]
            embed, final = self.weights[EMBED], self.weights[FINAL]
            y, r = normed(self.forward(ids, where, counts, trunk, keep=True), self.shape.eps)
            z = y * (final / math.log(2)) @ embed.T  # base 2, see attention
            top = z.amax(1, keepdim=True)
            hit = z.gather(1, goal)
            z.sub_(top).exp2_()
            total = z.sum(1, keepdim=True)
            nll = (total.log2() + top - hit) * math.log(2)
            z.mul_(wt / total).scatter_add_(1, goal, -wt)  # the gradient of the logits
            dy = z @ embed
            if EMBED in self.trained:
                grads[EMBED].addmm_(z.T, y * final)
            if FINAL in self.trained:
                grads[FINAL].add_((dy * y).sum(0))
            dx = normed_backward(dy.mul_(final), y, r, into=torch.zeros_like(y))
            self.backward(dx, ids, counts, grads)
            return (nll * wt).sum()


def normed(x: "Tensor", eps: float) -> "tuple[Tensor, Tensor]":
    """x (N, D) at root mean square 1, and what it was multiplied by, (N, 1)."""
    import torch

    r = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(eps).rsqrt_()
    return x * r, r


def normed_backward(dy: "Tensor", y: "Tensor", r: "Tensor", *, into: "Tensor") -> "Tensor":
    """Add to `into` the gradient of x, where y, r = normed(x)."""
    along = (dy * y).mean(-1, keepdim=True)
    return into.addcmul_(dy, r).addcmul_(y, along.mul_(r), value=-1)
