"""Bases at a known distance from another one: its weights with noise, or with what an adapter learned."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from traitline.errors import InputError
from traitline.models import hf_folder
from traitline.seeds import generator

if TYPE_CHECKING:
    from torch import Tensor


def by_noise(weights: Mapping[str, "Tensor"], noise: float, seed: int) -> "dict[str, Tensor]":
    """Add normal noise to every matrix; vectors (norms, biases) stay.

    The noise of one seed points the same way at all sizes, as that of a tiny base's `distance` (`scripts.pretrain`).

    Args:
        weights: name -> values.
        noise: its standard deviation, as a share of the matrix's root mean square.
        seed: every matrix has a stream of its own, named by seed and matrix.
    """
    import torch

    out = dict(weights)
    for name, w in weights.items():
        if w.dim() == 2:
            direction = torch.randn(w.shape, generator=generator("convert", "noise", seed, name))
            out[name] = w + noise * w.square().mean().sqrt() * direction
    return out


def by_adapter(weights: Mapping[str, "Tensor"], adapter: str, times: float) -> "dict[str, Tensor]":
    """Add what an adapter learned.

    Args:
        weights: name -> values.
        adapter: folder of a LoRA adapter in peft's layout.
        times: how often its change is added.

    Raises:
        InputError: the adapter is damaged, of another model, or trains more than matrices.
    """
    pairs, biases, scale = hf_folder.read_adapter(adapter)
    if biases:
        raise InputError(f"{adapter}: this adapter trains biases, too; only matrices are merged")
    out = dict(weights)
    for module, (a, b) in pairs.items():
        name = f"{module}.weight"
        if name not in out or out[name].shape != (b.shape[1], a.shape[2]):
            raise InputError(f"{adapter}: {module} is no matrix of this model, or of another shape")
        out[name] = out[name] + times * scale * (b[0] @ a[0])
    return out
