"""The layers of one tiny model, forward and backward, written out.

At width 48 nearly all the time of a general library is overhead. Four measures avoid it. Modules that read the same
input are one matrix, with the norm before them and any adapter folded in. Tokens that all rows begin with are computed
once. The last layer is computed only where a logit is needed. Gradients stop at the lowest weight that is trained.

Shapes: B rows, T tokens, P tokens that all rows share before them, K asked positions, N = T x B + P tokens (see
`traitline.tiny.batch_layout`), D width, M width of the MLP. The stream is (N, D); what is computed
from it inside a layer is (features, N), so that heads and halves are contiguous.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from traitline.tiny import attention
from traitline.tiny.batch_layout import Frame, Trace
from traitline.tiny.linear import Group, layer
from traitline.tiny.products import linear, product
from traitline.tiny.shape import EMBED, Shape


class Layers:
    """One model.

    Args:
        shape: sizes.
        weights: all tensors by name; adapters as `<module>.lora_A.weight` and `<module>.lora_B.weight`.
        scale: of the adapters, alpha / r.
        trained: names of the trained tensors.
    """

    def __init__(
        self, shape: Shape, weights: dict[str, Tensor], scale: float = 1.0, trained: "set[str] | None" = None
    ) -> None:
        self.shape = shape
        self.weights = weights
        self.trained = trained or set()
        self.groups = [
            {kind: Group(*names, weights, scale, self.trained) for kind, names in layer(i).items()}
            for i in range(shape.layers)
        ]
        self.rope = attention.rope(shape.theta, shape.width // shape.heads)
        flat = [g for groups in self.groups for g in groups.values()]
        self.touched = [g for g in flat if g.matrix or g.offset]
        lowest = next((i for i, g in enumerate(flat) if g.matrix or g.offset), len(flat))
        self.lowest = -1 if EMBED in self.trained else lowest  # nothing below this group is trained

    def refresh(self) -> None:
        """Refresh the folded matrices after trained tensors changed."""
        for g in self.touched:
            g.refresh()

    @property
    def rooted(self) -> bool:
        """Tell whether `trunk` is constant: nothing before the bias of the first layer's attention is trained."""
        return self.shape.layers > 1 and (self.lowest > 1 or (self.lowest == 1 and not self.groups[0]["out"].matrix))

    def frame(self, ids: Tensor, where: Tensor, shared: Tensor | None = None) -> Frame:
        """Lay out a batch; see `Frame`."""
        return Frame(self.rope, ids, where, shared)

    def embed(self, frame: Frame) -> Tensor:
        """Return the stream (N, D) before the first layer."""
        return F.embedding(frame.tokens, self.weights[EMBED])

    def trunk(self, frame: Frame) -> Tensor:
        """Compute the stream (N, D) after the first layer's attention, without the bias of its output."""
        x = self.embed(frame)
        _, trace = self._attention(0, x, frame)
        return x.add_(product(trace.mixed.T, self.groups[0]["out"].weight.T))

    def forward(
        self, frame: Frame, counts: Tensor | None = None, trunk: Tensor | None = None
    ) -> tuple[Tensor, list[Trace]]:
        """Compute the stream after the last layer at the asked positions.

        Args:
            frame: of the tokens.
            counts: indices into the B x K asked positions, in that order, that are wanted; None: all.
            trunk: what `trunk` gives for these tokens, where that is known.

        Returns:
            (B x K, D), or (len(counts), D), and a trace per layer.
        """
        traces = []
        x = self.embed(frame) if trunk is None else trunk
        for i, g in enumerate(self.groups):
            trace = Trace()
            mixed = None
            if i or trunk is None:
                x, trace = self._attention(i, x, frame)
                mixed = trace.mixed
            x, trace.normed, trace.gates = self.mlp(g, x, mixed, counts if i == len(self.groups) - 1 else None)
            traces.append(trace)
        return x, traces

    def mlp(
        self, g: dict[str, Group], x: Tensor, mixed: Tensor | None, counts: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor], tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Compute the stream after a layer's MLP; also `normed` and `gates` of its `Trace`."""
        bias = g["out"].bias
        x = x + bias if mixed is None else product(mixed.T, g["out"].weight.T).add_(bias).add_(x)
        if counts is not None:
            x = x.index_select(0, counts)
        y = normed(x, self.shape.eps)
        gate, up = linear(g["up"].weight, y[0].T, g["up"].bias).chunk(2)
        s = torch.sigmoid(gate)
        a = gate.mul_(s)
        f = a * up
        return product(f.T, g["down"].weight.T).add_(g["down"].bias).add_(x), y, (s, a, up, f)

    def _attention(self, i: int, x: Tensor, frame: Frame) -> tuple[Tensor, Trace]:
        """Compute the stream after layer i's attention, and what that attention read."""
        g = self.groups[i]["qkv"]
        w = self.shape.width
        h = self.shape.heads
        row_tokens = frame.row_tokens
        trace = Trace()
        hidden = frame.hidden
        trace.attended = normed(x, self.shape.eps)
        y = trace.attended[0]
        last = i == len(self.groups) - 1
        if last:  # only the asked positions matter from here on
            kv = linear(g.weight[w:], y.T, g.bias[w:])
            x = x.index_select(0, frame.asked)
            trace.asked = y.index_select(0, frame.asked)
            hidden = frame.asked_hidden
            q = linear(g.weight[:w], trace.asked.T, g.bias[:w]).view(h, w // h, -1)
            queries = self.rope.turn(q, frame.asked_forth).view(h, w // h, frame.rows, -1)
            k = self.rope.turn(kv[:w].view(h, w // h, -1), frame.forth[1])
            v = kv[w:].view(h, w // h, -1)
        else:
            qkv = linear(g.weight, y.T, g.bias)
            q, k = self.rope.turn(qkv[: 2 * w].view(2, h, w // h, -1), frame.forth).unbind(0)
            queries = frame.split(q)[0]
            v = qkv[2 * w :].view(h, w // h, -1)
        keys, first = frame.split(k)
        values, second = frame.split(v)
        before = (first[:, :, 0], second[:, :, 0]) if frame.shared else None
        z, p, r = attention.forward(queries, keys, values, hidden, before)
        trace.heads = (p, queries, keys, values)
        trace.mixed = z.view(w, -1)
        trace.past = None if before is None or r is None else (r, *before)
        if frame.shared and not last:
            queries = q[:, :, None, row_tokens:]
            z, p, _ = attention.forward(queries, first, second, frame.shared_hidden)
            trace.shared, trace.mixed = (p, queries, first, second), torch.cat([trace.mixed, z.view(w, -1)], 1)
        return x, trace

    def backward(
        self, dx: Tensor, frame: Frame, traces: list[Trace], counts: Tensor | None, grads: dict[str, Tensor]
    ) -> None:
        """Add the gradients of the trained tensors to `grads`; overwrites `dx`.

        Args:
            dx: gradient of what `forward` returned.
            frame: as for `forward`.
            traces: from there.
            counts: as for `forward`.
            grads: trained tensor -> where its gradient goes.
        """
        down: Tensor | None = dx if self.lowest < 4 * len(traces) else None
        for i in reversed(range(len(traces))):
            if down is not None:
                down = self._mlp_backward(i, down, traces[i], counts, grads)
            if down is not None:
                down = self._attention_backward(i, down, frame, traces[i], grads)
        if down is not None:
            grads[EMBED].index_add_(0, frame.tokens, down)

    def _mlp_backward(
        self, i: int, dx: Tensor, trace: Trace, counts: Tensor | None, grads: dict[str, Tensor]
    ) -> Tensor | None:
        """Return the gradient of the stream after attention; None where nothing below is trained."""
        out, up, down = (self.groups[i][kind] for kind in ("out", "up", "down"))
        m = self.shape.mlp
        s, a, u, f = trace.gates
        down.backward(product(dx.T, f.T) if down.matrix else None, dx.sum(0) if down.offset else None, grads)
        if self.lowest == 4 * i + 3:
            return None
        df = product(down.weight.T, dx.T)
        dgates = torch.empty(2 * m, len(dx))
        torch.mul(df, a, out=dgates[m:])
        torch.mul(df.mul_(u), (s + a).addcmul_(s, a, value=-1), out=dgates[:m])
        up.backward(
            product(dgates, trace.normed[0]) if up.matrix else None, dgates.sum(1) if up.offset else None, grads
        )
        if self.lowest == 4 * i + 2:
            return None
        normed_backward(product(dgates.T, up.weight), *trace.normed, into=dx)
        if i == self.shape.layers - 1 and counts is not None:
            dx = torch.zeros(trace.mixed.shape[1], self.shape.width).index_copy_(0, counts, dx)
        out.backward(product(dx.T, trace.mixed.T) if out.matrix else None, dx.sum(0) if out.offset else None, grads)
        return None if self.lowest == 4 * i + 1 else dx

    def _attention_backward(
        self, i: int, dx: Tensor, frame: Frame, trace: Trace, grads: dict[str, Tensor]
    ) -> Tensor | None:
        """Return the gradient of the stream before attention; None where nothing below is trained."""
        qkv = self.groups[i]["qkv"]
        w = self.shape.width
        last = i == len(self.groups) - 1
        y, r = trace.attended
        n = len(frame.tokens)
        head = (self.shape.heads, w // self.shape.heads, n)
        dz = product(self.groups[i]["out"].weight.T, dx.T).view(*head[:2], -1)
        each = dz.view(*head[:2], frame.rows, -1) if last else frame.split(dz)[0]
        # `raw`: gradients of queries and keys before they are rotated back; `both`: those of queries, keys and values.
        raw = torch.empty(2, *head)
        both = torch.empty(3 * w, n)
        q_own, q_shared = frame.split(raw[0])
        k_own, k_shared = frame.split(raw[1])
        v_own, v_shared = frame.split(both[2 * w :].view(head))
        dq, before = attention.backward(each, trace.heads, (k_own, v_own), trace.past)
        if before is not None:
            k_shared.copy_(before[0][:, :, None])
            v_shared.copy_(before[1][:, :, None])
        if last:
            dq = self.rope.turn(dq.view(*head[:2], -1), frame.asked_back).view(w, -1)
            self.rope.turn(raw[1], frame.back[1], out=both[w : 2 * w].view(head))
            dweight = torch.cat([product(dq, trace.asked), product(both[w:], y)]) if qkv.matrix else None
            qkv.backward(dweight, torch.cat([dq.sum(1), both[w:].sum(1)]) if qkv.offset else None, grads)
            if self.lowest == 4 * i:
                return None
            index = frame.asked[:, None].expand(-1, w)
            dy = product(both[w:].T, qkv.weight[w:]).scatter_add_(0, index, product(dq.T, qkv.weight[:w]))
            return normed_backward(dy, y, r, into=torch.zeros_like(y).scatter_add_(0, index, dx))
        q_own.copy_(dq)
        if before is not None:
            dk, dv = torch.empty(2, *k_shared.shape)
            dq, _ = attention.backward(frame.split(dz)[1], trace.shared, (dk, dv))
            q_shared.copy_(dq)
            k_shared.add_(dk)
            v_shared.add_(dv)
        self.rope.turn(raw, frame.back, out=both[: 2 * w].view(2, *head))
        qkv.backward(product(both, y) if qkv.matrix else None, both.sum(1) if qkv.offset else None, grads)
        return None if self.lowest == 4 * i else normed_backward(product(both.T, qkv.weight), y, r, into=dx)


def normed(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Scale x (N, D) to root mean square 1: the result, and the factor (N, 1)."""
    even = x.new_full((x.shape[1],), 1 / x.shape[1])
    r = torch.addmv(x.new_full((), eps), x * x, even).rsqrt_()[:, None]
    return x * r, r


def normed_backward(dy: Tensor, y: Tensor, r: Tensor, *, into: Tensor) -> Tensor:
    """Add to `into` the gradient of x, where y, r = normed(x)."""
    along = torch.mv(dy * y, y.new_full((y.shape[1],), 1 / y.shape[1]))[:, None]
    return into.addcmul_(dy, r).addcmul_(y, along.mul_(r), value=-1)
