"""Linear modules that read the same input, as one matrix."""

import torch
from torch import Tensor

from traitline.tiny.products import product

GROUPS = {  # of one layer, in the order of computation: the norm before the modules, the modules
    "qkv": ("input_layernorm", ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")),
    "out": (None, ("self_attn.o_proj",)),
    "up": ("post_attention_layernorm", ("mlp.gate_proj", "mlp.up_proj")),
    "down": (None, ("mlp.down_proj",)),
}


def layer(i: int) -> dict[str, tuple[str, str | None, list[str]]]:
    """Name, preceding norm weight and modules of each group of layer i."""
    p = f"model.layers.{i}."
    return {
        kind: (f"{p}{kind}", f"{p}{norm}.weight" if norm else None, [p + m for m in modules])
        for kind, (norm, modules) in GROUPS.items()
    }


class Group:
    """Linear modules that read one input, as one matrix and one bias; the norm's weight and adapters are folded in.

    Args:
        name: of the group. Where all its weights (or biases) are trained, `weights` and gradients have them as one
            tensor too, `<name>.weight` (or `<name>.bias`).
        norm: name of the norm weight before the modules, or None.
        modules: names of the modules.
        weights: all tensors of the model by name; adapters as `<module>.lora_A.weight` and `<module>.lora_B.weight`.
        scale: of the adapters.
        trained: names of the trained tensors.

    Attributes:
        weight: the matrix, (out, in).
        bias: (out,).
        matrix: whether anything in the matrix is trained.
        offset: whether anything in the bias is trained.
    """

    def __init__(
        self,
        name: str,
        norm: str | None,
        modules: list[str],
        weights: dict[str, Tensor],
        scale: float,
        trained: set[str],
    ) -> None:
        self.name = name
        self.norm = norm
        self.weights = weights
        self.scale = scale
        self.rows: dict[str, slice] = {}
        start = 0
        for m in modules:
            self.rows[m] = slice(start, start := start + len(weights[f"{m}.bias"]))
        whole = weights.get(f"{name}.weight")
        bias = weights.get(f"{name}.bias")
        self.whole = whole
        self.weight = torch.empty(start, weights[f"{modules[0]}.weight"].shape[1])
        self.bias = torch.cat([weights[f"{m}.bias"] for m in modules]) if bias is None else bias
        for m in modules:
            self._read(m)
        changed = [m for m in modules if norm in trained or {f"{m}.weight", f"{m}.lora_A.weight"} & trained]
        moved = [m for m in modules if f"{m}.bias" in trained]
        self.matrix = bool(changed)
        self.offset = bool(moved)
        self.changed = changed if whole is None else []
        self.moved = moved if bias is None else []

    def _read(self, m: str) -> None:
        w = self.weights[f"{m}.weight"]
        a = self.weights.get(f"{m}.lora_A.weight")
        if a is not None:
            w = w + self.scale * product(self.weights[f"{m}.lora_B.weight"], a)
        torch.mul(w, 1.0 if self.norm is None else self.weights[self.norm], out=self.weight[self.rows[m]])

    def refresh(self) -> None:
        """Refresh the folded matrix and bias after tensors changed."""
        if self.whole is not None:
            torch.mul(self.whole, 1.0 if self.norm is None else self.weights[self.norm], out=self.weight)
        for m in self.changed:
            self._read(m)
        for m in self.moved:
            self.bias[self.rows[m]] = self.weights[f"{m}.bias"]

    def backward(self, dweight: Tensor | None, dbias: Tensor | None, grads: dict[str, Tensor]) -> None:
        """Add the gradients of the modules' tensors to `grads`, given those of the folded matrix and bias."""
        if dbias is not None:
            if self.moved:
                for m in self.moved:
                    grads[f"{m}.bias"].add_(dbias[self.rows[m]])
            else:
                grads[f"{self.name}.bias"].add_(dbias)
        if dweight is None:
            return
        if self.norm in grads:
            parts = [self.whole] if self.whole is not None else [self.weights[f"{m}.weight"] for m in self.rows]
            rows = [slice(None)] if self.whole is not None else list(self.rows.values())
            for w, r in zip(parts, rows, strict=True):
                grads[self.norm].add_((dweight[r] * w).sum(0))
        if self.norm is not None:
            dweight = dweight * self.weights[self.norm]
        if self.whole is not None:
            grads[f"{self.name}.weight"].add_(dweight)
        for m in self.changed:
            dw = dweight[self.rows[m]]
            a = f"{m}.lora_A.weight"
            b = f"{m}.lora_B.weight"
            if a in grads:
                grads[a].add_(product(self.weights[b].T, dw), alpha=self.scale)
                grads[b].add_(product(dw, self.weights[a].T), alpha=self.scale)
            if f"{m}.weight" in grads:
                grads[f"{m}.weight"].add_(dw)
