"""Sizes of a tiny model, and the names of its weights, which are those of transformers.LlamaForCausalLM."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from traitline.tiny.linear import GROUPS

EMBED = "model.embed_tokens.weight"
FINAL = "model.norm.weight"
Weights = dict[str, Tensor]
LINEAR = [module for _, modules in GROUPS.values() for module in modules]


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
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "dtype": "float32",
            "vocab_size": self.vocab, "hidden_size": self.width, "intermediate_size": self.mlp,
            "num_hidden_layers": self.layers, "num_attention_heads": self.heads, "num_key_value_heads": self.heads,
            "head_dim": self.width // self.heads, "max_position_embeddings": 160, "rms_norm_eps": self.eps,
            "rope_parameters": {"rope_type": "default", "rope_theta": self.theta}, "hidden_act": "silu",
            "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True,
            "bos_token_id": 1, "eos_token_id": 5, "pad_token_id": 0,
        }  # fmt: skip

    def modules(self, kinds: Sequence[str] | None = None, layers: Sequence[int] | None = None) -> list[str]:
        """Names of all linear modules, layer by layer; with `kinds` (such as `v_proj`) or `layers` only of those."""
        wanted = [m for m in LINEAR if kinds is None or m.split(".")[-1] in kinds]
        return [f"model.layers.{i}.{m}" for i in layers or range(self.layers) for m in wanted]
