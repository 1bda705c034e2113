"""Training of a stack of models: completions only, one AdamW, every model with its own data order and its own clipping.

The bytes of one model do not hang on which others share its stack: batches are cut by lengths that all share, rows are
picked by the model's own seed, and gradients never mix.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from traitline.errors import InputError
from traitline.llama import EMBED, LINEAR, Stack, Weights
from traitline.seeds import seed as derive

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger("traitline")
KINDS = ("lora", "biases", "full")


@dataclass(frozen=True)
class Rows:
    """Encoded training rows: `ids` (N, T) padded on the right; `where`, `target` (N, K); `weight` (N, K) 1 on completion
    tokens and 0 on padding; `length` (N,)."""

    ids: "Tensor"
    where: "Tensor"
    target: "Tensor"
    weight: "Tensor"
    length: "Tensor"

    @staticmethod
    def encode(rows: Sequence[tuple[list[int], int]], pad: int = 0) -> "Rows":
        """From (token ids, number of prompt tokens): the loss falls on every token after the prompt."""
        import numpy as np
        import torch

        n, t = len(rows), max(len(ids) for ids, _ in rows)
        k = max(len(ids) - start for ids, start in rows)
        ids, where = np.full((n, t), pad), np.zeros((n, k), dtype=np.int64)
        target, weight = np.zeros((n, k), dtype=np.int64), np.zeros((n, k), dtype=np.float32)
        for i, (row, start) in enumerate(rows):
            m = len(row) - start
            ids[i, : len(row)] = row
            where[i, :m] = np.arange(start - 1, len(row) - 1)
            target[i, :m], weight[i, :m] = row[start:], 1
        length = torch.tensor([len(row) for row, _ in rows])
        return Rows(*map(torch.from_numpy, (ids, where, target, weight)), length)


def trainable(shared: Weights, kind: str, seeds: Sequence[int], shape_modules: Sequence[str], rank: int = 8, alpha: float = 8) -> tuple[Weights, dict[str, tuple["Tensor", "Tensor"]], float]:
    """Fresh trainable tensors, stacked over `seeds`: (own weights, LoRA pairs, LoRA scale).

    `biases`: the biases that write into the residual stream (attention output, MLP output): a steering vector a layer.
    `lora`: peft's default initialisation, A uniform with bound 1/sqrt(in), B zero, on every linear module.
    `full`: everything but the embeddings, which stay frozen (they are tied to the output head).
    """
    import torch

    own: Weights = {}
    lora: dict[str, tuple[Tensor, Tensor]] = {}
    if kind == "lora":
        for name in shape_modules:
            out, inp = shared[f"{name}.weight"].shape
            a = torch.stack([
                torch.empty(rank, inp).uniform_(-(inp**-0.5), inp**-0.5, generator=torch.Generator().manual_seed(derive("lora", s, name)))
                for s in seeds
            ])  # fmt: skip
            lora[name] = (a.requires_grad_(), torch.zeros(len(seeds), out, rank).requires_grad_())
    else:
        for name, w in shared.items():
            if kind == "everything" or (kind == "full" and name != EMBED) or (kind == "biases" and name.endswith(("o_proj.bias", "down_proj.bias"))):
                own[name] = w.expand(len(seeds), *w.shape).clone().requires_grad_()
    return own, lora, alpha / rank


def schedule(step: int, steps: int, warmup: int, decay: bool) -> float:
    """Share of the learning rate at a step: linear warm-up, then linear decay to 2 %."""
    return min(1.0, (step + 1) / warmup) * (max(0.02, 1 - step / steps) if decay else 1.0)


def batches(length: "Tensor", batch: int, epoch: int, seeds: Sequence[int]) -> "list[Tensor]":
    """Row indices (S, batch) of every step of one epoch.

    Each model deals all rows in its own order; inside runs of 16 batches rows are sorted by length to save padding, and
    the order of the batches in a run is shuffled in the same way for all models, so that their lengths agree.
    """
    import numpy as np
    import torch

    n, chunk = len(length), batch * 16
    orders = []
    for s in seeds:
        order = np.random.default_rng(derive("order", s, epoch)).permutation(n)
        orders.append(np.concatenate([c[np.argsort(length.numpy()[c], kind="stable")] for c in np.split(order, range(chunk, n, chunk))]))
    table = torch.from_numpy(np.stack(orders))
    out = []
    for i, start in enumerate(range(0, n, chunk)):
        cuts = list(range(start, min(start + chunk, n), batch))
        for j in np.random.default_rng(derive("batches", epoch, i)).permutation(len(cuts)):
            out.append(table[:, cuts[j] : min(cuts[j] + batch, start + chunk)])
    return out


def fit(
    stack: Stack,
    rows: Rows,
    *,
    seeds: Sequence[int],
    epochs: int,
    batch: int,
    lr: float,
    warmup: int = 20,
    clip: float = 1.0,
    decay: bool = True,
    stop: Callable[[int], bool] | None = None,
    state: Path | None = None,
    every: float = 60.0,
    progress: str | None = None,
) -> "Tensor":
    """Train every model of the stack in place.

    Args:
        stack: models; `own` and `lora` tensors are trained.
        rows: training rows.
        seeds: one per model: its data order.
        epochs, batch, lr, warmup, clip, decay: as usual; AdamW with betas 0.9, 0.98 and no weight decay.
        stop: asked after every step with the number of steps done; True ends the training.
        state: folder for checkpoints, written every `every` seconds; training goes on from there and ends with the
            same bytes as without the interruption.
        progress: label of the progress bar; None for no bar.

    Returns:
        Losses (steps, S), nats per completion token.

    Raises:
        InputError: a loss is no longer finite.
    """
    import torch
    import torch.nn.functional as F
    from tqdm import tqdm

    params = [*stack.own.values(), *(p for pair in stack.lora.values() for p in pair)]
    optimiser = torch.optim.AdamW(params, lr=lr, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    losses: list[Tensor] = []
    done = _load(state, params, optimiser, losses)
    plan = [b for e in range(epochs) for b in batches(rows.length, batch, e, seeds)]
    saved = time.monotonic()
    bar = tqdm(total=len(plan), initial=done, desc=progress, disable=None if progress else True, leave=False, mininterval=0.5)
    for step in range(done, len(plan)):
        index = plan[step]
        t = int(rows.length[index].max())
        weight = rows.weight[index]
        logits = stack.logits(rows.ids[index][..., : t - 1], rows.where[index])
        nll = F.cross_entropy(logits.flatten(0, 2), rows.target[index].flatten(), reduction="none").view(weight.shape)
        loss = (nll * weight).flatten(1).sum(1) / weight.flatten(1).sum(1)
        for p in params:
            p.grad = None
        loss.sum().backward()
        norm = sum(p.grad.flatten(1).square().sum(1) for p in params).sqrt()  # type: ignore[union-attr]
        share = (clip / (norm + 1e-6)).clamp(max=1.0)
        for p in params:
            p.grad.mul_(share.view(-1, *[1] * (p.dim() - 1)))  # type: ignore[union-attr]
        optimiser.param_groups[0]["lr"] = lr * schedule(step, len(plan), warmup, decay)
        optimiser.step()
        losses.append(loss.detach())
        bar.update()
        if (step + 1) % 50 == 0 or step + 1 == len(plan):
            _finite(losses)
        if stop is not None and stop(step + 1):
            break
        if state is not None and time.monotonic() - saved >= every:
            _save(state, params, optimiser, losses)
            saved = time.monotonic()
    bar.close()
    _finite(losses)
    return torch.stack(losses)


def _finite(losses: "list[Tensor]") -> None:
    import torch

    if not torch.isfinite(losses[-1]).all():
        raise InputError(f"the loss is no longer finite at step {len(losses)}; lower the learning rate (lr)")


def _save(state: Path, params: "list[Tensor]", optimiser: "object", losses: "list[Tensor]") -> None:
    """One file, renamed into place: a checkpoint is whole or not there."""
    import os

    import torch
    from safetensors.torch import save_file

    tensors = {"losses": torch.stack(losses)}
    for i, p in enumerate(params):
        s = optimiser.state[p]  # type: ignore[attr-defined]
        tensors |= {f"{i}.value": p.detach(), f"{i}.avg": s["exp_avg"], f"{i}.sq": s["exp_avg_sq"]}
    state.mkdir(parents=True, exist_ok=True)
    tmp = state / f".fit.{os.getpid()}.tmp"
    save_file({k: v.contiguous() for k, v in tensors.items()}, tmp)
    os.replace(tmp, state / "fit.safetensors")


def _load(state: Path | None, params: "list[Tensor]", optimiser: "object", losses: "list[Tensor]") -> int:
    """Steps already done, their state put in place; 0 without a checkpoint."""
    import torch
    from safetensors.torch import load_file

    if state is None or not (state / "fit.safetensors").exists():
        return 0
    tensors = load_file(state / "fit.safetensors")
    losses.extend(tensors["losses"].unbind())
    with torch.no_grad():
        for i, p in enumerate(params):
            p.copy_(tensors[f"{i}.value"])
            optimiser.state[p] = {"step": torch.tensor(float(len(losses))), "exp_avg": tensors[f"{i}.avg"], "exp_avg_sq": tensors[f"{i}.sq"]}  # type: ignore[attr-defined]
    log.info("going on from step %d", len(losses))
    return len(losses)
