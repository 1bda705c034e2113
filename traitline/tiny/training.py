"""Train a stack of tiny models on completions only; each model has its own data order and gradient clipping.

A model's bytes do not depend on its stack: batches are formed by lengths that all share, rows are picked by the model's
seed, and gradients never mix.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

import torch
from torch import Tensor

from traitline.checkpointed import Checkpoint
from traitline.errors import InputError
from traitline.seeds import generator
from traitline.tiny import lm_head
from traitline.tiny.allocator import hold
from traitline.tiny.layers import Layers
from traitline.tiny.llama import Stack
from traitline.tiny.mapped_rows import MappedRows, cut
from traitline.tiny.optimizer import Flat
from traitline.tiny.rows import Cut, Part, Rows, batches
from traitline.tiny.shape import EMBED, Weights

ROOM = 1 << 28  # bytes of results that no training step changes


def trainable(
    shared: Weights,
    trains: str,
    seeds: Sequence[int],
    shape_modules: Sequence[str],
    rank: int = 8,
    alpha: float = 8,
    layers: Sequence[int] | None = None,
    bias: str | None = None,
) -> tuple[Weights, dict[str, tuple[Tensor, Tensor]], float]:
    """Create trainable tensors, stacked over `seeds`: (weights per model, LoRA pairs, LoRA scale).

    `biases`: the biases that write into the residual stream (attention output, MLP output): a steering vector a layer.
    `lora`: peft's default initialisation, A uniform with bound 1/sqrt(in), B zero, on every linear module.
    `full`: everything but the embeddings, which stay frozen (they are tied to the output head).
    `layers`: of `lora` and `full`, the layers that are trained; None for all.
    `bias`: of `lora`, `residual` trains the biases of `biases` too.
    """
    per_model: Weights = {}
    lora: dict[str, tuple[Tensor, Tensor]] = {}
    if trains == "lora":
        for name in shape_modules:
            out, inp = shared[f"{name}.weight"].shape
            draws = [generator("lora", s, name) for s in seeds]
            a = torch.stack([torch.empty(rank, inp).uniform_(-(inp**-0.5), inp**-0.5, generator=g) for g in draws])
            lora[name] = (a.requires_grad_(), torch.zeros(len(seeds), out, rank).requires_grad_())
    if trains != "lora" or bias == "residual":
        for name, w in shared.items():
            if layers is not None and not name.startswith(tuple(f"model.layers.{i}." for i in layers)):
                continue
            if (
                trains == "everything"
                or (trains == "full" and name != EMBED)
                or (trains in ("biases", "lora") and name.endswith(("o_proj.bias", "down_proj.bias")))
            ):
                per_model[name] = w.expand(len(seeds), *w.shape).clone().requires_grad_()
    return per_model, lora, alpha / rank


def schedule(step: int, steps: int, warmup: int, decay: bool) -> float:
    """Factor of the learning rate at a step: linear warm-up and linear decay to 2 %."""
    return min(1.0, (step + 1) / warmup) * (max(0.02, 1 - step / steps) if decay else 1.0)


class Trunk:
    """`Layers.trunk` of all rows, computed once where it is constant and fits into `ROOM` bytes.

    Args:
        cut: rows.
        model: one of the models; they all have the same.
    """

    def __init__(self, cut: Cut, model: Layers) -> None:
        n = len(cut.rows.length)
        t = int(cut.rows.length.max()) - 1
        self.table: Tensor | None = None
        if not model.rooted or n * t * model.shape.width * 4 > ROOM:
            return
        self.table = torch.empty(n, t, model.shape.width)
        with torch.no_grad():
            for part in cut.parts(torch.arange(n), 256):
                frame = model.frame(part.ids, part.where, part.shared)
                x = model.trunk(frame)
                of_rows = x[: frame.row_tokens].view(frame.rows, -1, model.shape.width)
                self.table[part.index, : part.ids.shape[1]] = of_rows
                if part.shared is not None:
                    self.shared = x[frame.row_tokens :]

    def of(self, part: Part) -> Tensor | None:
        """Return the trunk of a part's rows and of the tokens they share; None where it is not constant."""
        if self.table is None:
            return None
        of_rows = self.table[:, : part.ids.shape[1]].index_select(0, part.index).flatten(0, 1)
        return of_rows if part.shared is None else torch.cat([of_rows, self.shared])


def fit(
    stack: Stack,
    rows: Rows | MappedRows,
    *,
    seeds: Sequence[int],
    epochs: int,
    batch: int,
    lr: float,
    warmup: int = 20,
    clip: float = 1.0,
    optimiser: str = "adamw",
    decay: bool = True,
    stop: Callable[[int], bool] | None = None,
    target: lm_head.SoftTarget | None = None,
    state: Path | None = None,
    every: float = 60.0,
    progress: str | None = None,
) -> Tensor:
    """Train every model of the stack in place.

    Args:
        stack: models; the tensors of `per_model` and `lora` are trained.
        rows: training rows.
        seeds: one per model: its data order.
        epochs, batch, lr, warmup, clip, decay: of AdamW with betas 0.9, 0.98 and no weight decay.
        optimiser: `adamw`; `sgd`, plain steps along the gradient; `sign`, steps of one size along its sign.
        stop: called after every step with the number of steps done; True ends the training.
        target: a teacher whose distribution is learned; None for the tokens themselves.
        state: folder for checkpoints; see `Checkpoint`.
        every: seconds between checkpoints.
        progress: label of the progress bar; None for no bar.

    Returns:
        Losses (steps, S), nats per completion token.

    Raises:
        InputError: a loss is no longer finite.
        Halt: a signal asked for the end.
    """
    hold()
    learner = _Learner(stack, rows, optimiser=optimiser, clip=clip, target=target)
    checkpoint = Checkpoint(state and state / "fit.safetensors", learner.flat.kept, every)
    losses = [torch.tensor(row) for row in checkpoint.load() or []]
    plans = [[b for e in range(epochs) for b in batches(learner.cut.rows.length, batch, e, s)] for s in seeds]
    steps = len(plans[0])
    rest = checkpoint.steps(
        *(len(losses), steps, lambda: [row.tolist() for row in losses]),
        progress=progress,
        loss=lambda: losses[-1].mean().item(),
    )
    with (  # one thread a model, so that the bytes do not depend on their number
        rest as numbers,
        ThreadPoolExecutor(torch.get_num_threads(), initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        learner.trunk = pool.submit(Trunk, learner.cut, learner.models[0]).result()
        for step in numbers:
            rate = lr * schedule(step, steps, warmup, decay)
            picked = (plan[step] for plan in plans)
            of_models = pool.map(learner.step, range(len(seeds)), picked, repeat(step), repeat(rate))
            losses.append(torch.stack(list(of_models)))
            if (step + 1) % 50 == 0 or step + 1 == steps:
                _finite(losses)
            if stop is not None and stop(step + 1):
                break
    _finite(losses)
    return torch.stack(losses)


class _Learner:
    """The models of a stack in training, each with its gradient, clipping and optimizer state."""

    trunk: Trunk

    def __init__(
        self,
        stack: Stack,
        rows: Rows | MappedRows,
        *,
        optimiser: str,
        clip: float,
        target: lm_head.SoftTarget | None,
    ) -> None:
        self.flat = Flat(stack, optimiser)
        self.models = [
            Layers(stack.shape, weights, stack.scale, set(grads))
            for weights, grads in zip(self.flat.weights, self.flat.grads, strict=True)
        ]
        self.cut = cut(rows)
        self.clip = clip
        self.target = target

    def step(self, i: int, batch: Tensor, step: int, lr: float) -> Tensor:
        """Take one step of model i on a batch of row indices; returns its loss."""
        flat = self.flat
        self.models[i].refresh()
        flat.grad[i] = 0
        loss = torch.zeros(())
        for part in self.cut.parts(batch):
            if not part.weight.any():
                continue  # a dataset may leave nothing to learn in some rows
            trunk = self.trunk.of(part)
            if self.target:
                loss += lm_head.soft_loss(self.models[i], part, flat.grads[i], self.target, trunk)
            else:
                loss += lm_head.loss(self.models[i], part, flat.grads[i], trunk)
        flat.grad[i].mul_((self.clip / (torch.linalg.vector_norm(flat.grad[i]) + 1e-6)).clamp_max(1.0))
        flat.update(i, step, lr)
        return loss


def _finite(losses: list[Tensor]) -> None:
    if not torch.isfinite(losses[-1]).all():
        raise InputError(f"the loss is no longer finite at step {len(losses)}; lower the learning rate (lr)")
