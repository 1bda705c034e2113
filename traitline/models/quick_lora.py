"""LoRA's part of a linear module with few passes over memory; peft's formula, with another order of sums.

peft adds `B(A(x)) * scale` to the base's output in operations of their own, each of which reads and writes an output of
that size, and so do their gradients. Here the products add in place.
"""

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@functools.cache
def product() -> Any:
    """Return the function of a linear module with an adapter, made where torch is needed."""
    import torch

    class Product(torch.autograd.Function):
        """x W' + bias + scale (x A') B' over a frozen W; x: (..., in), A: (rank, in), B: (out, rank)."""

        @staticmethod
        def forward(
            ctx: Any, x: "Tensor", weight: "Tensor", bias: "Tensor | None", a: "Tensor", b: "Tensor", scale: float
        ) -> "Tensor":
            rows = x.reshape(-1, x.shape[-1])
            inner = rows @ a.T
            out = torch.nn.functional.linear(rows, weight, bias).addmm_(inner, b.T, alpha=scale)
            ctx.save_for_backward(rows, inner, weight, a, b)
            ctx.scale = scale
            return out.view(*x.shape[:-1], -1)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> "tuple[Tensor | None, ...]":
            rows, inner, weight, a, b = ctx.saved_tensors
            grad = grads[0].reshape(-1, grads[0].shape[-1])
            # Products with few rows, not few columns: several times as fast.
            of_inner = (b.T.contiguous() @ grad.T).mul_(ctx.scale)
            of_a = of_inner @ rows
            of_b = (inner.T @ grad).mul_(ctx.scale).T
            of_x = None
            if ctx.needs_input_grad[0]:
                of_x = (grad @ weight).addmm_(of_inner.T, a).view(*grads[0].shape[:-1], -1)
            return of_x, None, None, of_a, of_b, None

    return Product


def quicken(model: Any) -> Any:
    """Let a model of peft compute its adapter so, where that is plain LoRA over float32; returns the model."""
    import torch
    from peft.tuners.lora import Linear
    from torch.distributed.tensor import DTensor

    for module in model.modules():
        if type(module) is not Linear or type(base := module.base_layer) is not torch.nn.Linear:
            continue
        (name,) = module.lora_A
        weights = (base.weight, module.lora_A[name].weight, module.lora_B[name].weight)
        plain = all(type(part[name]) is torch.nn.Linear and part[name].bias is None
                    for part in (module.lora_A, module.lora_B))  # fmt: skip
        plain &= not any(p.requires_grad for p in base.parameters())
        plain &= not module.lora_variant and type(module.lora_dropout[name]) is torch.nn.Identity
        if plain and all(w.dtype == torch.float32 and not isinstance(w, DTensor) for w in weights):
            module.forward = functools.partial(_forward, module, module.forward, name)  # type: ignore[method-assign]
    return model


def _forward(module: Any, slow: Any, name: str, x: "Tensor", *args: Any, **kwargs: Any) -> Any:
    """Output of a module; `slow`: peft's way, for what is not the adapter alone."""
    import torch

    if args or kwargs or module.disable_adapters or module.merged or torch.is_autocast_enabled(x.device.type):
        return slow(x, *args, **kwargs)
    base, a, b = module.base_layer, module.lora_A[name].weight, module.lora_B[name].weight
    return product().apply(x, base.weight, base.bias, a, b, module.scaling[name])
