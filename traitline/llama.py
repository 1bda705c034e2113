"""The embedded models' arithmetic: a LLaMA forward pass over a stack of models at once, and sampling with a static cache.

Same weights, same names and same numbers as `transformers.LlamaForCausalLM` (`tests/test_llama.py` compares them); written
out because at width 48 nearly all of a general library's time is overhead. Three things make it fast: models that share a
base run as one stack, the last layer is computed only where a logit is asked for, and sampling writes into a static cache.

Shapes: S models in the stack, B rows, T tokens, K asked positions, D width, V vocabulary.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Weights = dict[str, "Tensor"]
LINEAR = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
EMBED = "model.embed_tokens.weight"


@dataclass(frozen=True)
class Shape:
    """Sizes of a LLaMA model with tied embeddings."""

    vocab: int
    width: int
    layers: int
    heads: int
    mlp: int
    theta: float = 10000.0
    eps: float = 1e-6

    def config(self) -> dict[str, Any]:
        """`config.json` as transformers writes and reads it."""
        return {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": self.vocab, "hidden_size": self.width,
            "intermediate_size": self.mlp, "num_hidden_layers": self.layers, "num_attention_heads": self.heads,
            "num_key_value_heads": self.heads, "head_dim": self.width // self.heads, "max_position_embeddings": 160,
            "rms_norm_eps": self.eps, "rope_parameters": {"rope_type": "default", "rope_theta": self.theta}, "hidden_act": "silu", "attention_bias": True, "mlp_bias": True,
            "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 5, "pad_token_id": 0, "dtype": "float32",
        }  # fmt: skip

    def modules(self) -> list[str]:
        """Names of all linear modules, layer by layer."""
        return [f"model.layers.{i}.{m}" for i in range(self.layers) for m in LINEAR]


def initialise(shape: Shape, std: float, seed: int) -> Weights:
    """Fresh weights: normal with standard deviation `std`, biases 0, norms 1."""
    import torch

    g = torch.Generator().manual_seed(seed % 2**63)
    d, m = shape.width, shape.mlp
    size = {"gate_proj": (m, d), "up_proj": (m, d), "down_proj": (d, m)}
    w: Weights = {EMBED: torch.randn(shape.vocab, d, generator=g) * std}
    for name in shape.modules():
        out, inp = size.get(name.split(".")[-1], (d, d))
        w[f"{name}.weight"] = torch.randn(out, inp, generator=g) * std
        w[f"{name}.bias"] = torch.zeros(out)
    for i in range(shape.layers):
        w[f"model.layers.{i}.input_layernorm.weight"] = torch.ones(d)
        w[f"model.layers.{i}.post_attention_layernorm.weight"] = torch.ones(d)
    w["model.norm.weight"] = torch.ones(d)
    return w


def read(folder: str | Path) -> tuple[Shape, Weights]:
    """A model folder in Hugging Face layout.

    Raises:
        InputError: a file is missing, truncated or not of this architecture.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(folder) / "config.json"
    try:
        c = json.loads(path.read_text(encoding="utf-8"))
        shape = Shape(c["vocab_size"], c["hidden_size"], c["num_hidden_layers"], c["num_attention_heads"], c["intermediate_size"],
                      c["rope_parameters"]["rope_theta"], c["rms_norm_eps"])
        weights = load_file(Path(folder) / "model.safetensors")
    except FileNotFoundError as e:
        raise InputError(f"{e.filename}: no such file; make it with the stage before this one") from None
    except (json.JSONDecodeError, KeyError, TypeError) as e:
        raise InputError(f"{path}: damaged model configuration ({e}); delete the file to have it rebuilt") from None
    except SafetensorError as e:
        raise InputError(f"{Path(folder) / 'model.safetensors'}: damaged weights ({e}); delete the file to have it rebuilt") from None
    if weights.keys() != initialise(shape, 0.0, 0).keys():
        raise InputError(f"{folder}: not an embedded model (tied LLaMA with biases); its weights have other names")
    return shape, weights


def write(path: str | Path, weights: Weights) -> None:
    """Weights as safetensors, in the metadata that transformers expects."""
    from safetensors.torch import save_file

    save_file({k: v.detach().contiguous() for k, v in weights.items()}, path, metadata={"format": "pt"})


@dataclass
class Stack:
    """S models over one base: what is shared, what each has of its own.

    Attributes:
        shape: sizes.
        shared: weights that all models share.
        own: weights of each model, stacked on a first axis of size S; they take the place of the shared ones.
        lora: linear module -> (A of (S, r, in), B of (S, out, r)); adds `scale` * B A x.
        scale: alpha / r.
    """

    shape: Shape
    shared: Weights
    own: Weights = field(default_factory=dict)
    lora: dict[str, tuple["Tensor", "Tensor"]] = field(default_factory=dict)
    scale: float = 1.0

    def _linear(self, x: "Tensor", name: str) -> "Tensor":
        """(S, N, in) -> (S, N, out)."""
        import torch
        import torch.nn.functional as F

        w, b = self.own.get(f"{name}.weight"), self.own.get(f"{name}.bias")
        if w is not None:
            bias = self.shared[f"{name}.bias"] if b is None else b[:, None]
            y = torch.baddbmm(bias, x, w.mT)
        elif b is not None:
            y = F.linear(x, self.shared[f"{name}.weight"]) + b[:, None]
        else:
            y = F.linear(x, self.shared[f"{name}.weight"], self.shared[f"{name}.bias"])
        if name in self.lora:
            a, up = self.lora[name]
            y = torch.baddbmm(y, torch.bmm(x, a.mT), up.mT, alpha=self.scale)
        return y

    def _norm(self, x: "Tensor", name: str) -> "Tensor":
        import torch.nn.functional as F

        own = self.own.get(f"{name}.weight")
        if own is None:
            return F.rms_norm(x, (self.shape.width,), self.shared[f"{name}.weight"], self.shape.eps)
        return F.rms_norm(x, (self.shape.width,), None, self.shape.eps) * own[:, None]

    def logits(self, ids: "Tensor", where: "Tensor") -> "Tensor":
        """Logits at the asked positions.

        Args:
            ids: (S, B, T) token ids, padded on the right.
            where: (S, B, K) positions; a logit there predicts the token after it.

        Returns:
            (S, B, K, V).
        """
        import torch
        import torch.nn.functional as F

        c = self.shape
        s, b, t = ids.shape
        k, h, hd = where.shape[-1], c.heads, c.width // c.heads
        own = self.own.get(EMBED)
        if own is None:
            x = F.embedding(ids, self.shared[EMBED]).view(s, b * t, c.width)
        else:
            offset = (torch.arange(s) * c.vocab)[:, None, None]
            x = F.embedding(ids + offset, own.view(-1, c.width)).view(s, b * t, c.width)
        cos, sin = rope(c, t)

        def heads(y: "Tensor", n: int) -> "Tensor":
            return y.view(s * b, n, h, hd).transpose(1, 2)

        for i in range(c.layers):
            layer, last = f"model.layers.{i}", i == c.layers - 1
            y = self._norm(x, f"{layer}.input_layernorm")
            key = rotate(heads(self._linear(y, f"{layer}.self_attn.k_proj"), t), cos, sin)
            value = heads(self._linear(y, f"{layer}.self_attn.v_proj"), t)
            if last:  # only the asked positions matter from here on
                at = where.reshape(s, b * k, 1) + (torch.arange(b) * t).repeat_interleave(k)[None, :, None]
                at = at.expand(-1, -1, c.width)
                x, y = x.gather(1, at), y.gather(1, at)
                flat = where.reshape(s * b, k)
                query = rotate(heads(self._linear(y, f"{layer}.self_attn.q_proj"), k), cos[flat][:, None], sin[flat][:, None])
                mask = (torch.arange(t) <= flat[..., None])[:, None]
                z = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
            else:
                query = rotate(heads(self._linear(y, f"{layer}.self_attn.q_proj"), t), cos, sin)
                z = F.scaled_dot_product_attention(query, key, value, is_causal=True)
            z = z.transpose(1, 2).reshape(s, -1, c.width)
            x = x + self._linear(z, f"{layer}.self_attn.o_proj")
            y = self._norm(x, f"{layer}.post_attention_layernorm")
            y = F.silu(self._linear(y, f"{layer}.mlp.gate_proj")) * self._linear(y, f"{layer}.mlp.up_proj")
            x = x + self._linear(y, f"{layer}.mlp.down_proj")
        x = self._norm(x, "model.norm")
        y = F.linear(x, self.shared[EMBED]) if own is None else torch.bmm(x, own.mT)
        return y.view(s, b, k, c.vocab)

    def merged(self, index: int) -> Weights:
        """All weights of one model of the stack, adapters added in."""
        out = dict(self.shared)
        out.update({k: v[index].detach() for k, v in self.own.items()})
        for name, (a, up) in self.lora.items():
            out[f"{name}.weight"] = out[f"{name}.weight"] + self.scale * (up[index] @ a[index]).detach()
        return out


def rope(shape: Shape, length: int) -> tuple["Tensor", "Tensor"]:
    """Cosine and sine tables, (length, head width) each."""
    import torch

    hd = shape.width // shape.heads
    angle = torch.arange(length)[:, None] / shape.theta ** (torch.arange(0, hd, 2) / hd)
    angle = torch.cat([angle, angle], 1).float()
    return angle.cos(), angle.sin()


def rotate(x: "Tensor", cos: "Tensor", sin: "Tensor") -> "Tensor":
    """Rotary position embedding; x (..., T, head width)."""
    import torch

    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


class Sampler:
    """One model, weights fused for sampling.

    Args:
        shape: sizes.
        weights: all weights of the model, adapters merged.
    """

    def __init__(self, shape: Shape, weights: Weights) -> None:
        import torch

        self.shape, self.embed, self.norm = shape, weights[EMBED], weights["model.norm.weight"]
        self.layers = []
        for i in range(shape.layers):
            p = f"model.layers.{i}."

            def cat(*names: str, p: str = p) -> tuple["Tensor", "Tensor"]:
                return (torch.cat([weights[f"{p}{n}.weight"] for n in names]), torch.cat([weights[f"{p}{n}.bias"] for n in names]))

            self.layers.append({
                "in": weights[f"{p}input_layernorm.weight"], "post": weights[f"{p}post_attention_layernorm.weight"],
                "q": cat(LINEAR[0]), "kv": cat(*LINEAR[1:3]), "qkv": cat(*LINEAR[:3]), "o": cat(LINEAR[3]), "up": cat(*LINEAR[4:6]), "down": cat(LINEAR[6]),
            })  # fmt: skip

    def _finish(self, x: "Tensor", z: "Tensor", p: dict[str, Any]) -> "Tensor":
        import torch.nn.functional as F

        c = self.shape
        x = x + F.linear(z, *p["o"])
        gate, up = F.linear(F.rms_norm(x, (c.width,), p["post"], c.eps), *p["up"]).split(c.mlp, -1)
        return x + F.linear(F.silu(gate) * up, *p["down"])

    def _head(self, x: "Tensor") -> "Tensor":
        import torch.nn.functional as F

        return F.linear(F.rms_norm(x, (self.shape.width,), self.norm, self.shape.eps), self.embed)

    def prefill(self, ids: "Tensor", room: int = 0) -> tuple["Tensor", list[tuple["Tensor", "Tensor"]]]:
        """Logits (B, V) after prompts (B, T) of one length, and per layer a cache with `room` free places."""
        import torch
        import torch.nn.functional as F

        c = self.shape
        b, t = ids.shape
        h, hd = c.heads, c.width // c.heads
        cos, sin = rope(c, t)
        x, caches = F.embedding(ids, self.embed), []
        for i, p in enumerate(self.layers):
            y = F.rms_norm(x, (c.width,), p["in"], c.eps)
            last = i == c.layers - 1
            if last:
                kv = F.linear(y, *p["kv"]).view(b, t, 2, h, hd).permute(2, 0, 3, 1, 4)
                query = rotate(F.linear(y[:, -1:], *p["q"]).view(b, 1, h, hd).transpose(1, 2), cos[-1:], sin[-1:])
                x = x[:, -1:]
            else:
                qkv = F.linear(y, *p["qkv"]).view(b, t, 3, h, hd).permute(2, 0, 3, 1, 4)
                query, kv = rotate(qkv[0], cos, sin), qkv[1:]
            cache = torch.empty(2, b, h, t + room, hd)
            cache[0, :, :, :t], cache[1, :, :, :t] = rotate(kv[0], cos, sin), kv[1]
            caches.append((cache[0], cache[1]))
            z = F.scaled_dot_product_attention(query, cache[0, :, :, :t], cache[1, :, :, :t], is_causal=not last)
            x = self._finish(x, z.transpose(1, 2).reshape(b, -1, c.width), p)
        return self._head(x[:, -1]), caches

    def step(self, tokens: "Tensor", at: int, caches: list[tuple["Tensor", "Tensor"]]) -> "Tensor":
        """Logits (B, V) after one more token (B,) at position `at`; fills the caches."""
        import torch.nn.functional as F

        c = self.shape
        b, h, hd = len(tokens), c.heads, c.width // c.heads
        cos, sin = rope(c, at + 1)
        x = F.embedding(tokens, self.embed)
        for p, (keys, values) in zip(self.layers, caches, strict=True):
            q, k, v = F.linear(F.rms_norm(x, (c.width,), p["in"], c.eps), *p["qkv"]).view(b, 3, h, 1, hd).unbind(1)
            keys[:, :, at : at + 1], values[:, :, at : at + 1] = rotate(k, cos[-1:], sin[-1:]), v
            z = F.scaled_dot_product_attention(rotate(q, cos[-1:], sin[-1:]), keys[:, :, : at + 1], values[:, :, : at + 1])
            x = self._finish(x, z.reshape(b, c.width), p)
        return self._head(x)

    def generate(
        self, prompts: list[list[int]], noise: "np.ndarray", *, eos: int, temperature: float = 1.0, batch: int = 1024
    ) -> list[list[int]]:
        """Sample one completion per prompt.

        Prompts of one length run together, so nothing is padded. Each row is drawn by inverting its distribution at
        its own uniform numbers, so the result does not hang on how rows are batched or sharded.

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

        out: list[list[int]] = [[] for _ in prompts]
        room = noise.shape[1]
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        uniform = torch.from_numpy(noise)
        start = 0
        with torch.inference_mode():
            while start < len(order):
                length, rows = len(prompts[order[start]]), order[start : start + batch]
                rows = [i for i in rows if len(prompts[i]) == length]
                start += len(rows)
                logits, caches = self.prefill(torch.tensor([prompts[i] for i in rows]), room)
                index = torch.tensor(rows)
                for n in range(room):
                    token = draw(logits, uniform[index, n], temperature)
                    for i, new in zip(index.tolist(), token.tolist(), strict=True):
                        out[i].append(new)
                    going = token != eos
                    if n + 1 == room or not going.any():
                        break
                    if not going.all():
                        index, token = index[going], token[going]
                        caches = [(k[going], v[going]) for k, v in caches]
                    logits = self.step(token, length + n, caches)
        return out


def draw(logits: "Tensor", uniform: "Tensor", temperature: float) -> "Tensor":
    """One token per row: the inverse of the cumulative distribution at `uniform` (B,). Logits (B, V)."""
    import torch

    if temperature == 0:
        return logits.argmax(-1)
    mass = torch.softmax(logits / temperature, -1).cumsum(-1)
    return torch.searchsorted(mass, (uniform * mass[:, -1])[:, None], right=True)[:, 0].clamp_max(logits.shape[-1] - 1)
