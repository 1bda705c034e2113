"""Data-parallel training of adapters over open weights: several processes, one GPU each, through accelerate.

Each process computes a share of the rows of every forward pass, and gradients are summed. The base is whole on every
GPU, or sharded: a layer is gathered where it is needed (FSDP2, arXiv 2304.11277). Adapters, optimiser and checkpoints
are whole and equal in all processes. The first process writes.
"""

import argparse
import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from traitline import signals
from traitline.errors import InputError

if TYPE_CHECKING:
    import torch
    from accelerate import PartialState
    from torch import Tensor


def flag(p: argparse.ArgumentParser) -> None:
    """Add the flags of stages that train on open weights."""
    p.add_argument(
        "--processes", type=int, default=1, metavar="N",
        help="open weights only: processes that share the rows of a step, on a card each (default 1)",
    )  # fmt: skip
    p.add_argument("--sharded", action="store_true", help="each process holds a share of the base, not all of it")


def start(module: str, count: int) -> None:
    """Start this program in `count` processes, as torchrun does, and exit when they have ended.

    Returns at once where one process is asked for, and in the started processes themselves.

    Args:
        module: of the program.
        count: processes.

    Raises:
        InputError: a signal ended one of them; the others were ended too.
        Halt: a signal asked for the end.
        SystemExit: with the exit code of the first that failed and wrote its error, else with 0.
    """
    if count == 1 or "RANK" in os.environ:
        return
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # the error is one line, below
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as torchrun does; the programs set their own number
    with tempfile.TemporaryDirectory() as logs:
        config = LaunchConfig(
            min_nodes=1, max_nodes=1, nproc_per_node=count, max_restarts=0, run_id=str(os.getpid()),
            rdzv_backend="c10d", rdzv_endpoint="localhost:0", logs_specs=DefaultLogsSpecs(log_dir=logs),
        )  # fmt: skip
        try:
            elastic_launch(config, sys.executable)("-m", module, *sys.argv[1:])
        except SignalException:
            raise signals.Halt from None
        except ChildFailedError as e:
            rank, first = e.get_first_failure()
            if first.exitcode < 0:
                message = f"process {rank + 1} of {count} was ended by signal {-first.exitcode}"
                raise InputError(f"{message} (9: often for want of memory); run again to go on") from None
            raise SystemExit(first.exitcode) from None
    raise SystemExit(0)


def device() -> "torch.device":
    """Return the device of this process: each of several processes has one GPU."""
    where: torch.device = _state().device
    return where


def _state() -> "PartialState":
    """Return accelerate's state of the processes that torchrun or `accelerate launch` started."""
    import torch
    from accelerate import PartialState

    return PartialState(cpu=not torch.cuda.is_available())


def rank_and_size() -> tuple[int, int]:
    """Rank of this process and number of processes that torchrun or `accelerate launch` started; else (0, 1)."""
    state = _state()
    return state.process_index, state.num_processes


@contextlib.contextmanager
def joined(sharded: bool) -> Iterator[tuple[int, dict[str, int]]]:
    """Join the processes of a job: yields (rank, parameters of a manifest), the latter empty for one process.

    Raises:
        InputError: another process ended early, or a single process is asked to shard the base.
    """
    import torch

    me, count = rank_and_size()
    if sharded and count == 1:
        raise InputError("--sharded: one process has all of the base; say --processes 2 or more, or leave it out")
    try:
        yield me, {"processes": count, "sharded": sharded} if count > 1 else {}
    except RuntimeError as e:  # gloo raises no subclass for it
        if not isinstance(e, torch.distributed.DistError) and "gloo" not in str(e):
            raise
        raise InputError("another process of this job is gone; its own lines say why; run again to go on") from None


def add_up(tensors: "Sequence[Tensor]") -> None:
    """Sum tensors over the processes, in place and in float32; does nothing for one process."""
    import torch
    from accelerate.utils import reduce

    if rank_and_size()[1] == 1:
        return
    flat = torch.cat([t.flatten().to(device(), torch.float32) for t in tensors])
    total = reduce(flat, "sum")
    for t, part in zip(tensors, torch.split(total, [t.numel() for t in tensors]), strict=True):
        t.copy_(part.view_as(t))


def any_of(asked: bool) -> bool:
    """Tell whether any process was asked to end: a signal may reach one process a step later than another."""
    import torch

    flag = torch.tensor(float(asked), device=device())
    add_up([flag])
    return bool(flag)
