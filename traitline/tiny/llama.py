"""Tiny LLaMA models: weights, files, and stacks of models over one base.

Weights, names and outputs are those of `transformers.LlamaForCausalLM` (`tests/test_llama.py` compares them). The
arithmetic is in `traitline.tiny.layers`, sampling in `traitline.tiny.sampler`, training in `traitline.tiny.training`.

Shapes: S models in the stack, B rows, T tokens, K asked positions, V vocabulary.
"""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from traitline import json_files
from traitline.errors import InputError
from traitline.tiny import lm_head
from traitline.tiny.layers import Layers
from traitline.tiny.products import product
from traitline.tiny.shape import EMBED, FINAL, Shape, Weights


def initialise(shape: Shape, std: float, seed: int) -> Weights:
    """Draw initial weights: normal with standard deviation `std`, biases 0, norms 1."""
    g = torch.Generator().manual_seed(seed % 2**63)
    d = shape.width
    m = shape.mlp
    size = {"gate_proj": (m, d), "up_proj": (m, d), "down_proj": (d, m)}
    w: Weights = {EMBED: torch.randn(shape.vocab, d, generator=g) * std}
    for name in shape.modules():
        out, inp = size.get(name.split(".")[-1], (d, d))
        w[f"{name}.weight"] = torch.randn(out, inp, generator=g) * std
        w[f"{name}.bias"] = torch.zeros(out)
    for i in range(shape.layers):
        w[f"model.layers.{i}.input_layernorm.weight"] = torch.ones(d)
        w[f"model.layers.{i}.post_attention_layernorm.weight"] = torch.ones(d)
    w[FINAL] = torch.ones(d)
    return w


def read(folder: str | Path) -> tuple[Shape, Weights]:
    """Read sizes and weights of a model folder in Hugging Face layout.

    Raises:
        InputError: a file is missing, truncated or not of this architecture.
    """
    config = Path(folder, "config.json")
    file = Path(folder, "model.safetensors")
    for path in (config, file):
        if not path.exists():
            raise InputError(f"{path}: no such file; make it with the stage before this one")
    try:
        c = json_files.read_object(config)
        shape = Shape(
            c["vocab_size"], c["hidden_size"], c["num_hidden_layers"], c["num_attention_heads"], c["intermediate_size"],
            c["rope_parameters"]["rope_theta"], c["rms_norm_eps"],
        )  # fmt: skip
        wanted = {k: v.shape for k, v in initialise(shape, 0.0, 0).items()}
        weights = load_file(file)
    except InputError:
        raise
    except (ValueError, KeyError, TypeError) as e:
        why = f"{type(e).__name__}: {e}"
        raise InputError(f"{config}: damaged model configuration ({why}); delete the file to have it rebuilt") from None
    except SafetensorError as e:
        raise InputError(f"{file}: damaged weights ({e}); delete the file to have it rebuilt") from None
    if weights.keys() != wanted.keys():
        raise InputError(f"{folder}: not a tiny model (tied LLaMA with biases); its weights have other names")
    if wrong := next((k for k, v in weights.items() if v.shape != wanted[k]), None):
        raise InputError(
            f"{folder}: config.json and model.safetensors disagree: the weights have other sizes ({wrong})"
        )
    return shape, weights


@dataclass
class Stack:
    """S models over one base: shared weights, and those of each model.

    Attributes:
        shape: sizes.
        shared: weights that all models share.
        per_model: weights of each model, stacked on a first axis of size S; they replace the shared ones.
        lora: linear module -> (A of (S, r, in), B of (S, out, r)); adds `scale` * B A x.
        scale: alpha / r.
    """

    shape: Shape
    shared: Weights
    per_model: Weights = field(default_factory=dict)
    lora: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    scale: float = 1.0

    def weights(self, index: int) -> Weights:
        """All tensors of one model by name; its separate weights are views, so changing them changes the stack."""
        out = dict(self.shared)
        out.update({k: v.detach()[index] for k, v in self.per_model.items()})
        for name, pair in self.lora.items():
            for leaf, v in zip("AB", pair, strict=True):
                out[f"{name}.lora_{leaf}.weight"] = v.detach()[index]
        return out

    def logits(self, ids: Tensor, where: Tensor) -> Tensor:
        """Compute logits at the asked positions.

        Args:
            ids: (S, B, T) token ids, padded on the right.
            where: (S, B, K) positions; a logit there predicts the token after it.

        Returns:
            (S, B, K, V).
        """
        out = torch.empty(*where.shape, self.shape.vocab)
        with torch.no_grad():
            for i in range(len(ids)):
                model = Layers(self.shape, self.weights(i), self.scale)
                x, _ = model.forward(model.frame(ids[i], where[i]))
                out[i] = lm_head.logits(model, x).view(*where.shape[1:], -1)
        return out

    def merged(self, index: int) -> Weights:
        """Return all weights of one model of the stack, adapters merged."""
        out = dict(self.shared)
        out.update({k: v[index].detach() for k, v in self.per_model.items()})
        for name, (a, up) in self.lora.items():
            out[f"{name}.weight"] = out[f"{name}.weight"] + self.scale * product(up[index].detach(), a[index].detach())
        return out
