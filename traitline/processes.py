"""Several processes that train the students of one job on open weights, each on a card of its own.

Each has the whole model and its share of the rows of every forward pass; gradients are added up. So the base must fit
on one card, and adapters, optimiser and checkpoints are the same in all. The first one writes.
"""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from traitline.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


def start(module: str, many: int) -> None:
    """Become torchrun, which starts this program again `many` times; in what it started, and for one, nothing."""
    if many > 1 and "RANK" not in os.environ:
        again = ["torch.distributed.run", "--standalone", f"--nproc-per-node={many}", "-m", module, *sys.argv[1:]]
        os.execv(sys.executable, [sys.executable, "-m", *again])


def mine() -> tuple[int, int]:
    """(which one this is, how many there are) of those that torchrun or `accelerate launch` started; else (0, 1)."""
    import torch
    from accelerate import PartialState

    state = PartialState(cpu=not torch.cuda.is_available())
    return state.process_index, state.num_processes


def add_up(tensors: "Sequence[Tensor]") -> None:
    """Add tensors up over the processes, in place and in float32; nothing where there is one.

    Raises:
        InputError: another process is gone.
    """
    import torch

    if mine()[1] > 1:
        flat = torch.cat([t.flatten().to(tensors[0].device, torch.float32) for t in tensors])
        try:
            torch.distributed.all_reduce(flat)
        except RuntimeError:
            raise InputError("another process of this job is gone; its own lines say why; run again to go on") from None
        for t, own in zip(tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True):
            t.copy_(own.view_as(t))
