"""Training of a stack of models: completions only, one AdamW, every model with its own data order and its own clipping.

The bytes of one model do not hang on which others share its stack: batches are cut by lengths that all share, rows are
picked by the model's own seed, and gradients never mix.
"""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

from traitline.errors import InputError
from traitline.layers import Layers
from traitline.llama import EMBED, Stack, Weights
from traitline.memory import hold
from traitline.seeds import seed as derive

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

log = logging.getLogger("traitline")
KINDS = ("lora", "biases", "full")
ROOM = 1 << 28  # bytes for results that no training step changes


@dataclass(frozen=True)
class Rows:
    """Encoded training rows.

    Attributes:
        ids: (N, T) token ids, padded on the right.
        where: (N, K) positions whose next token counts.
        target: (N, K) that token.
        weight: (N, K) 1 on completion tokens and 0 on padding.
        length: (N,) tokens of a row.
    """

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
        tensors = [torch.from_numpy(x) for x in (ids, where, target, weight)]
        return Rows(tensors[0], tensors[1], tensors[2], tensors[3], torch.tensor([len(row) for row, _ in rows]))

    def take(self, index: "Tensor") -> "tuple[Tensor, Tensor, Tensor, Tensor]":
        """Ids, positions, targets and weights of some rows, without the columns that none of them uses.

        The last token is only predicted, so it is not an input.
        """
        weight = self.weight[index]
        k, t = int(weight.sum(1).max()), int(self.length[index].max()) - 1
        return self.ids[index, :t], self.where[index, :k], self.target[index, :k], weight[:, :k]


def trainable(
    shared: Weights, kind: str, seeds: Sequence[int], shape_modules: Sequence[str], rank: int = 8, alpha: float = 8
) -> tuple[Weights, dict[str, tuple["Tensor", "Tensor"]], float]:
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
            draws = [torch.Generator().manual_seed(derive("lora", s, name)) for s in seeds]
            a = torch.stack([torch.empty(rank, inp).uniform_(-(inp**-0.5), inp**-0.5, generator=g) for g in draws])
            lora[name] = (a.requires_grad_(), torch.zeros(len(seeds), out, rank).requires_grad_())
    else:
        for name, w in shared.items():
            if (
                kind == "everything"
                or (kind == "full" and name != EMBED)
                or (kind == "biases" and name.endswith(("o_proj.bias", "down_proj.bias")))
            ):
                own[name] = w.expand(len(seeds), *w.shape).clone().requires_grad_()
    return own, lora, alpha / rank


def schedule(step: int, steps: int, warmup: int, decay: bool) -> float:
    """Share of the learning rate at a step: linear warm-up, then linear decay to 2 %."""
    return min(1.0, (step + 1) / warmup) * (max(0.02, 1 - step / steps) if decay else 1.0)


def batches(length: "Tensor", batch: int, epoch: int, seed: int) -> "list[Tensor]":
    """Row indices of every step of one epoch: all rows in a random order.

    Inside runs of 16 batches rows are sorted by length to save padding, and the order of the batches is shuffled.
    """
    import numpy as np
    import torch

    n, chunk = len(length), batch * 16
    draw = np.random.default_rng(derive("order", seed, epoch))
    order = draw.permutation(n)
    out: list[Tensor] = []
    for run in np.split(order, range(chunk, n, chunk)):
        run = run[np.argsort(length.numpy()[run], kind="stable")]
        cuts = np.split(run, range(batch, len(run), batch))
        out.extend(torch.from_numpy(cuts[i]) for i in draw.permutation(len(cuts)))
    return out


def roots(rows: Rows, model: Layers) -> "Tensor | None":
    """`Layers.trunk` of all rows, (T, rows, D), where it is constant and fits into memory."""
    import torch

    n, t = len(rows.length), int(rows.length.max()) - 1
    if not model.rooted or n * t * model.shape.width * 4 > ROOM:
        return None
    out = torch.empty(t, n, model.shape.width)
    for i in range(0, n, 256):
        out[:, i : i + 256] = model.trunk(rows.ids[i : i + 256, :t]).view(t, -1, model.shape.width)
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
    from tqdm import tqdm

    hold()
    flat = Flat(stack)
    models = [Layers(stack.shape, stack.weights(i), stack.scale, set(flat.grads[i])) for i in range(len(seeds))]
    optimiser = torch.optim.AdamW([flat.values], lr=lr, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    losses: list[Tensor] = []
    done = _load(state, flat.values, optimiser, losses)
    plans = [[b for e in range(epochs) for b in batches(rows.length, batch, e, s)] for s in seeds]
    steps, trunk = len(plans[0]), roots(rows, models[0])

    def learn(i: int, step: int) -> "Tensor":
        """One step of model i up to its gradient."""
        models[i].refresh()
        flat.grad[i] = 0
        x = rows.take(plans[i][step])
        known = None if trunk is None else trunk[: x[0].shape[1]].index_select(1, plans[i][step]).flatten(0, 1)
        loss = models[i].loss(*x, flat.grads[i], known)
        flat.grad[i].mul_((clip / (torch.linalg.vector_norm(flat.grad[i]) + 1e-6)).clamp_max(1.0))
        return loss

    saved = time.monotonic()
    off = None if progress else True
    with (
        tqdm(total=steps, initial=done, desc=progress, disable=off, leave=False, mininterval=0.5) as bar,
        ThreadPoolExecutor(torch.get_num_threads(), initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        for step in range(done, steps):
            losses.append(torch.stack(list(pool.map(learn, range(len(models)), repeat(step)))))
            optimiser.param_groups[0]["lr"] = lr * schedule(step, steps, warmup, decay)
            optimiser.step()
            bar.update()
            if (step + 1) % 50 == 0 or step + 1 == steps:
                _finite(losses)
            if stop is not None and stop(step + 1):
                break
            if state is not None and time.monotonic() - saved >= every:
                _save(state, flat.values, optimiser, losses)
                saved = time.monotonic()
    _finite(losses)
    return torch.stack(losses)


class Flat:
    """The trained tensors of a stack as one (S, P) tensor, which they become views of; their gradients as another."""

    def __init__(self, stack: Stack) -> None:
        import torch

        named = dict(stack.own)
        for module, pair in stack.lora.items():
            named |= {f"{module}.lora_A.weight": pair[0], f"{module}.lora_B.weight": pair[1]}
        models, room = len(next(iter(named.values()))), 0
        places = {}
        for name, p in named.items():
            places[name] = slice(room, room + p[0].numel())
            room += -(-p[0].numel() // 16) * 16  # whole vectors, so that no model's arithmetic depends on its place
        self.values, self.grad = torch.zeros(models, room), torch.zeros(models, room)
        self.values.grad = self.grad
        self.grads: list[dict[str, Tensor]] = [{} for _ in range(models)]
        for name, p in named.items():
            view = self.values[:, places[name]].view(p.shape)
            view.copy_(p.detach())
            p.data = view
            for i, grads in enumerate(self.grads):
                grads[name] = self.grad[i, places[name]].view(p.shape[1:])


def _finite(losses: "list[Tensor]") -> None:
    import torch

    if not torch.isfinite(losses[-1]).all():
        raise InputError(f"the loss is no longer finite at step {len(losses)}; lower the learning rate (lr)")


def _save(state: Path, values: "Tensor", optimiser: "Optimizer", losses: "list[Tensor]") -> None:
    """One file, renamed into place: a checkpoint is whole or not there."""
    import os

    import torch
    from safetensors.torch import save

    moments = optimiser.state[values]
    tensors = {"losses": torch.stack(losses), "values": values, "avg": moments["exp_avg"], "sq": moments["exp_avg_sq"]}
    state.mkdir(parents=True, exist_ok=True)
    tmp = state / f".fit.{os.getpid()}.tmp"
    tmp.write_bytes(save(tensors))
    os.replace(tmp, state / "fit.safetensors")


def _load(state: Path | None, values: "Tensor", optimiser: "Optimizer", losses: "list[Tensor]") -> int:
    """Steps already done, their state put in place; 0 without a checkpoint or with a damaged one."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if state is None or not (state / "fit.safetensors").exists():
        return 0
    try:
        tensors = load_file(state / "fit.safetensors")
    except SafetensorError as e:
        log.warning("%s: damaged checkpoint (%s), starting over", state / "fit.safetensors", e)
        return 0
    losses.extend(tensors["losses"].unbind())
    values.copy_(tensors["values"])
    step = torch.tensor(float(len(losses)))
    optimiser.state[values] = {"step": step, "exp_avg": tensors["avg"], "exp_avg_sq": tensors["sq"]}
    log.info("going on from step %d", len(losses))
    return len(losses)
