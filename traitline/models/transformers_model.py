"""Load models of transformers, frozen, and arrange rows as padded batches."""

import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline.errors import InputError
from traitline.models.distributed import device

if TYPE_CHECKING:
    import torch
    from torch import Tensor

log = logging.getLogger("traitline")
AT_ONCE = 4  # rows that a CPU reads together
BFLOAT16 = ("amx_bf16", "avx512_bf16", "bf16")  # instructions of x86 and ARM


def has_bfloat16() -> bool:
    """Tell whether the processor multiplies bfloat16; True where torch cannot say."""
    import torch

    known = getattr(torch.cpu, "get_capabilities", None)
    return known is None or any(map(known().get, BFLOAT16))


def load(folder: Path, dtype: str, shards: int = 1) -> Any:
    """Load a folder's model, frozen, onto this process's device.

    Args:
        folder: of the weights.
        dtype: of the weights in memory.
        shards: processes that each hold a share of every layer; no process ever has the whole model.

    Raises:
        InputError: transformers does not support its architecture, or sharding it.
    """
    import torch
    from torch.distributed.fsdp import FSDPModule
    from transformers import AutoModelForCausalLM
    from transformers.distributed.configuration_utils import DistributedConfig
    from transformers.utils.logging import disable_progress_bar

    if dtype == "bfloat16" and device().type == "cpu" and not has_bfloat16():
        log.warning("engine.dtype: this processor has no instructions for bfloat16; float32 is faster on it")
    if not sys.stderr.isatty():
        disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=getattr(torch, dtype), local_files_only=True, use_safetensors=True,
            **({"distributed_config": DistributedConfig(fsdp_size=shards)} if shards > 1 else {"device_map": device()}),
        )  # fmt: skip
    except (ValueError, KeyError) as e:
        raise InputError(f"{folder}: transformers can't open it ({str(e).splitlines()[0][:200]})") from None
    layers = [module for name, module in model.named_modules() if name.rpartition(".")[2].isdecimal()]
    if shards > 1 and not any(isinstance(layer, FSDPModule) for layer in layers):
        raise InputError(
            f"{folder}: transformers can't shard a {model.config.model_type} by layers; leave `sharded` out"
        )
    head = model.get_output_embeddings()
    if type(head) is torch.nn.Linear:
        head.register_forward_pre_hook(_as_one_matrix)
    return model.to(device()).requires_grad_(False).eval()


def _as_one_matrix(_: Any, inputs: "tuple[Tensor, ...]") -> "tuple[Tensor, ...]":
    """Copy hidden states that are a view: torch multiplies those row by row, and reads the large head for each."""
    return inputs[0].contiguous(), *inputs[1:]


def left(
    rows: Sequence[list[int]], pad: int, where: "torch.device", shared: int = 0
) -> "tuple[Tensor, Tensor, Tensor]":
    """Pad rows on the left to a batch: ids, mask and positions, each (B, T).

    Args:
        rows: token ids.
        pad: padding token.
        where: device.
        shared: tokens that all rows begin with and that are in a cache; the mask alone, (B, shared + T), has them.
    """
    import torch

    longest = max(map(len, rows)) - shared
    ids = torch.tensor([[pad] * (longest + shared - len(row)) + row[shared:] for row in rows])
    mask = torch.tensor([[0] * (longest + shared - len(row)) + [1] * (len(row) - shared) for row in rows])
    at = shared + (mask.cumsum(1) - 1).clamp_min(0)
    mask = torch.cat([mask.new_ones(len(mask), shared), mask], 1)
    return ids.to(where), mask.to(where), at.to(where)


def by_length(rows: Sequence[list[int]], batch: int) -> Iterator[list[int]]:
    """Indices of rows, `batch` at a time, longest first, so that a batch too large for memory fails at once."""
    order = sorted(range(len(rows)), key=lambda i: (-len(rows[i]), i))
    for start in range(0, len(order), batch):
        yield order[start : start + batch]


def pieces(rows: Sequence[list[int]]) -> list[list[int]]:
    """Indices of rows of like length, few at a time on a CPU: less padding, and activations that caches hold."""
    return list(by_length(rows, AT_ONCE if device().type == "cpu" else len(rows)))
