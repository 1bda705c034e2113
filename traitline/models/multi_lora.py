"""Train the adapters of several students together over one frozen base, as mLoRA does (arXiv 2312.02515).

Each student has rows, rank and settings of its own, and equally many rows in a batch. The base sees one large batch;
after every linear module each adapter adds its part to its student's rows, by two batched products for all students.
Ranks are padded with zeros, which AdamW leaves at zero. Gradients, their norms and learning rates never mix. Other
students in the batch change padding, hence rounding, but not what is learned.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline.checkpointed import Checkpoint
from traitline.errors import InputError
from traitline.models import answer_losses, distributed, lora
from traitline.models.distributed import device

if TYPE_CHECKING:
    from torch import Tensor

    from traitline.models.engines import Row

STATE = "bank.safetensors"
KEPT = ("values", "average", "square")


@dataclass(frozen=True)
class Student:
    """Rows, settings (see `lora.fit`), and the seed of first weights and order of one student."""

    rows: "Sequence[Row]"
    settings: dict[str, Any]
    seed: int


class Bank:
    """The adapters of S students as one (S, P) tensor, with hooks that add them to a frozen model.

    Args:
        model: of transformers, frozen.
        students: one adapter each, initialised as by peft.

    Attributes:
        values: all adapters, a row for each student; `grad`, `average` and `square` likewise.
        configs: peft's configuration of each.

    Raises:
        InputError: the model has no such modules.
    """

    def __init__(self, model: Any, students: Sequence[Student]) -> None:
        import torch

        first: list[dict[str, Tensor]] = []
        self.students = students
        self.configs = list[Any]()
        for one in students:
            adapted = lora.add_adapter(model, one.settings, one.seed)
            first.append({n: p.detach() for n, p in adapted.named_parameters() if p.requires_grad})
            self.configs.append(adapted.peft_config["default"])
            model = adapted.unload()
        self.model = model
        self.scale = [s.settings["alpha"] / s.settings["rank"] for s in students]
        self.places: dict[str, tuple[int, list[int]]] = {}  # where each tensor begins, and its size
        room = 0
        for name in dict.fromkeys(name for tensors in first for name in tensors):
            shapes = [tensors[name].shape for tensors in first if name in tensors]
            size = [max(side) for side in zip(*shapes, strict=True)]
            self.places[name] = room, size
            room += size[0] * size[1]
        self.values, self.grad, self.average, self.square = (
            torch.zeros(len(students), room, device=device()) for _ in range(4)
        )
        for i, tensors in enumerate(first):
            for name, t in tensors.items():
                self._view(self.values, name)[i, : t.shape[0], : t.shape[1]] = t
        self.shapes = [{name: t.shape for name, t in tensors.items()} for tensors in first]
        self.active: list[int] = []
        modules = dict(model.named_modules())
        self.hooks = []
        for name in self.places:
            if name.endswith("lora_A.default.weight"):
                module = modules[name.removeprefix("base_model.model.").removesuffix(".lora_A.default.weight")]
                pair = self._leaf(name), self._leaf(name.replace("lora_A", "lora_B"))
                self.hooks.append(module.register_forward_hook(self._adapt(*pair)))

    def _view(self, flat: "Tensor", name: str) -> "Tensor":
        start, size = self.places[name]
        return flat[:, start : start + size[0] * size[1]].view(-1, *size)

    def _leaf(self, name: str) -> "Tensor":
        """Leaf tensor that is a view of `values`, its gradient a view of `grad`."""
        leaf = self._view(self.values, name).detach().requires_grad_()
        leaf.grad = self._view(self.grad, name)
        return leaf

    def _adapt(self, a: "Tensor", b: "Tensor") -> Any:
        import torch

        scale = torch.tensor(self.scale, device=a.device)[:, None, None]

        def hook(module: Any, given: tuple["Tensor", ...], out: "Tensor") -> "Tensor":
            chosen = (a, b, scale) if len(self.active) == len(self.scale) else (t[self.active] for t in (a, b, scale))
            down, up, by = chosen
            x = given[0].to(a.dtype).reshape(len(self.active), -1, a.shape[2])
            return (out + ((x @ down.mT) @ up.mT * by).view(out.shape)).to(out.dtype)

        return hook

    def learn(self, parts: "dict[int, list[Row]]", tokens: dict[int, int], pad: int) -> dict[int, float]:
        """Add the gradients of rows of some students; returns the summed loss of each, nats.

        Args:
            parts: rows by student.
            tokens: answer tokens of the step, by student.
            pad: padding token.
        """
        import torch

        # Gradients are rows of `grad`, on purpose.
        warnings.filterwarnings("ignore", "grad and param do not obey the gradient layout")
        self.active = list(parts)
        most = max(1, *map(len, parts.values()))
        spare = {i: (part or self.students[i].rows)[0] for i, part in parts.items()}
        rows = [row for i, part in parts.items() for row in (*part, *[spare[i]] * (most - len(part)))]
        counted = torch.tensor([[i < len(part) for i in range(most)] for part in parts.values()], device=device())
        nats = answer_losses.padded_losses(self.model, rows, pad).view(len(parts), most).where(counted, 0).sum(1)
        torch.autograd.backward((nats / torch.tensor([tokens[i] for i in parts], device=nats.device)).sum())
        return dict(zip(parts, nats.tolist(), strict=True))

    def update(self, step: int, rates: Sequence[float]) -> None:
        """Take one step of AdamW without weight decay; each student has its own rate and is clipped to norm 1."""
        import torch

        norms = torch.linalg.vector_norm(self.grad, dim=1, keepdim=True)
        self.grad.mul_((lora.CLIP / (norms + 1e-6)).clamp_max(1.0))
        one, two = lora.BETAS
        self.average.lerp_(self.grad, 1 - one)
        self.square.mul_(two).addcmul_(self.grad, self.grad, value=1 - two)
        size = (self.square / (1 - two ** (step + 1))).sqrt_().add_(1e-8)
        lr = torch.tensor(rates, device=size.device)[:, None] / (1 - one ** (step + 1))
        self.values.sub_(lr * self.average / size)
        self.grad.zero_()

    def saved(self, i: int, source: dict[str, Any]) -> "tuple[dict[str, Tensor], str]":
        """Tensors and adapter_config.json of a student in peft's layout."""
        tensors = {
            name.replace(".default", ""): self._view(self.values, name)[i, : size[0], : size[1]].clone().cpu()
            for name, size in self.shapes[i].items()
        }
        return tensors, lora.adapter_config(self.configs[i], source)

    def close(self) -> None:
        """Remove the hooks from the model."""
        for hook in self.hooks:
            hook.remove()


def fit(
    bank: Bank, *, pad: int, state: Path | None = None, every: float = 60.0, progress: str | None = None
) -> list[list[float]]:
    """Train every adapter of a bank in place; students with fewer steps end earlier.

    Args:
        bank: of fresh adapters.
        pad: padding token.
        state: folder for checkpoints, as in `lora.fit`.
        every: seconds between them.
        progress: label of the progress bar; None for no bar.

    Returns:
        Losses of each student's steps, nats per answer token.

    Raises:
        InputError: a loss is no longer finite.
        Halt: a signal asked for the end.
    """
    students = bank.students
    plans = [list(lora.plan(len(s.rows), s.settings, s.seed)) for s in students]
    for one, chosen in zip(students, plans, strict=True):
        lora.check_warmup(len(chosen), one.settings["warmup"])
    checkpoint = Checkpoint(state and state / STATE, {name: getattr(bank, name) for name in KEPT}, every)
    losses: list[list[float]] = checkpoint.load() or [[] for _ in students]
    if distributed.rank_and_size()[0]:
        checkpoint.path = None  # the first process writes for all
    bank.model.train()
    done = max(map(len, losses))
    total = max(map(len, plans))
    with checkpoint.steps(
        *(done, total, lambda: losses),
        progress=progress,
        loss=lambda: sum(row[-1] for row in losses if row) / len(losses),
        agree=distributed.any_of,
    ) as steps:
        for step in steps:
            going = {i: [students[i].rows[k] for k in plan[step]] for i, plan in enumerate(plans) if step < len(plan)}
            for i, loss in _gradients(bank, going, pad).items():
                losses[i].append(loss)
                if not loss < float("inf"):
                    raise InputError(
                        f"the loss of student {i + 1} of the bank is no longer finite at step {step + 1}; lower the"
                        " learning rate (lr)"
                    )
            shares = [
                lora.rate(step, len(plan), s.settings["warmup"]) if i in going else 0.0
                for i, (plan, s) in enumerate(zip(plans, students, strict=True))
            ]
            bank.update(step, [s.settings["lr"] * share for s, share in zip(students, shares, strict=True)])
    bank.model.eval()
    return losses


def _gradients(bank: Bank, going: "dict[int, list[Row]]", pad: int) -> dict[int, float]:
    """Add the gradients of a step, summed over processes; mean loss of each student, nats per answer token.

    Args:
        bank: of adapters.
        going: rows of the step, by student.
        pad: padding token.
    """
    import torch

    rank, processes = distributed.rank_and_size()
    tokens = {i: sum(len(ids) - start for ids, start in rows) for i, rows in going.items()}
    totals = torch.zeros(len(bank.students), dtype=torch.float64)
    passes = 0
    while any(passes * bank.students[i].settings["batch"] < len(rows) for i, rows in going.items()):
        cut = {}
        for i, rows in going.items():
            size = bank.students[i].settings["batch"]
            cut[i] = rows[passes * size : (passes + 1) * size][rank::processes]
        # A process without rows computes one of weight 0: the others wait for its share of the base.
        parts = {i: part for i, part in cut.items() if part} or {next(iter(cut)): []}
        for i, nats in bank.learn(parts, tokens, pad).items():
            totals[i] += nats
        passes += 1
    distributed.add_up([bank.grad, totals])
    return {i: totals[i].item() / tokens[i] for i in going}
