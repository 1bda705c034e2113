"""Linear modules that read the same input, as one matrix."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Group:
    """Linear modules that read one input, as one matrix and one bias; the norm's weight and adapters are folded in.

    Args:
        names: full names of the modules.
        norm: full name of the norm weight before them, or None.
        weights: all tensors of the model by name; adapters as `<module>.lora_A.weight` and `<module>.lora_B.weight`.
        scale: of the adapters.
        trained: names of the trained tensors.
    """

    def __init__(
        self, names: list[str], norm: str | None, weights: "dict[str, Tensor]", scale: float, trained: set[str]
    ) -> None:
        import torch

        self.norm, self.weights, self.scale = norm, weights, scale
        self.rows: dict[str, slice] = {}
        start = 0
        for n in names:
            self.rows[n] = slice(start, start := start + len(weights[f"{n}.bias"]))
        self.weight = torch.empty(start, weights[f"{names[0]}.weight"].shape[1])
        self.bias = torch.empty(start)
        self.matrix = norm in trained or any({f"{n}.weight", f"{n}.lora_A.weight"} & trained for n in names)
        self.offset = any(f"{n}.bias" in trained for n in names)
        self.refresh()

    def refresh(self) -> None:
        """Read the tensors again after they changed."""
        import torch

        get = self.weights.get
        for n, rows in self.rows.items():
            w, a = self.weights[f"{n}.weight"], get(f"{n}.lora_A.weight")
            if a is not None:
                w = torch.addmm(w, self.weights[f"{n}.lora_B.weight"], a, alpha=self.scale)
            torch.mul(w, 1.0 if self.norm is None else self.weights[self.norm], out=self.weight[rows])
            self.bias[rows] = self.weights[f"{n}.bias"]

    def backward(self, dweight: "Tensor | None", dbias: "Tensor | None", grads: "dict[str, Tensor]") -> None:
        """Add the gradients of the modules' own tensors, given those of the one matrix and the one bias."""
        for n, rows in self.rows.items():
            if dbias is not None and f"{n}.bias" in grads:
                grads[f"{n}.bias"].add_(dbias[rows])
            if dweight is None:
                continue
            dw = dweight[rows]
            if self.norm is not None:
                if self.norm in grads:
                    grads[self.norm].add_((dw * self.weights[f"{n}.weight"]).sum(0))
                dw = dw * self.weights[self.norm]
            if f"{n}.lora_A.weight" in grads:
                grads[f"{n}.lora_A.weight"].addmm_(self.weights[f"{n}.lora_B.weight"].T, dw, alpha=self.scale)
                grads[f"{n}.lora_B.weight"].addmm_(dw, self.weights[f"{n}.lora_A.weight"].T, alpha=self.scale)
            if f"{n}.weight" in grads:
                grads[f"{n}.weight"].add_(dw)
