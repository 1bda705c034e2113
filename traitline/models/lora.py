"""LoRA adapters over open weights: peft's modules, trained by a checkpointed loop.

The paper's recipe (arXiv 2507.14805, section 2.4 and appendix): AdamW without weight decay, linear warm-up and then
linear decay to 0, gradients clipped to norm 1, loss on answers only. A step's loss is the mean over all its answer
tokens, however many forward passes it takes, so `batch: 4` is `batch: 2` with `accumulate: 2`.
"""

import contextlib
import json
import logging
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline.checkpointed import Checkpoint
from traitline.errors import InputError
from traitline.models import answer_losses, distributed
from traitline.models.frozen_part import FrozenPart, Kept, narrow_head
from traitline.models.quick_lora import quicken
from traitline.models.soft_labels import SoftLabels
from traitline.models.transformers_model import load, pieces
from traitline.seeds import seed as derive

if TYPE_CHECKING:
    from torch import Tensor

    from traitline.models.engines import Row

log = logging.getLogger(__name__)
BETAS = (0.9, 0.999)
CLIP = 1.0
STATE = "adapter.safetensors"
# Vision and audio towers have modules of the same names; they get no adapter.
SENSES = r".*(vision|visual|audio).*"


def add_adapter(model: Any, settings: dict[str, Any], seed: int) -> Any:
    """Add a new adapter to a model: peft's initialisation, A random by `seed` and B zero.

    Args:
        model: of transformers, frozen.
        settings: `rank`, `alpha`, `modules`.
        seed: of the adapter's first weights.

    Raises:
        InputError: the model has no such modules.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    senses = any(re.fullmatch(SENSES, name) for name, _ in model.named_modules())
    config = LoraConfig(
        r=settings["rank"], lora_alpha=settings["alpha"], target_modules=sorted(settings["modules"]), lora_dropout=0.0,
        bias="none", task_type="CAUSAL_LM", exclude_modules=SENSES if senses else None,
        layers_to_transform=settings.get("layers"),
    )  # fmt: skip
    torch.manual_seed(derive("lora", seed) % 2**63)
    try:
        return quicken(get_peft_model(model, config))
    except ValueError as e:
        raise InputError(f"modules: {str(e).splitlines()[0][:200]}") from None


def open_base(folder: Path, engine: dict[str, Any], sharded: bool) -> Any:
    """Open a base to train adapters over.

    Args:
        folder: of the weights.
        engine: `dtype`; `checkpointing`: activations are recomputed in the backward pass.
        sharded: every process holds a share.
    """
    model = load(folder, engine["dtype"], distributed.rank_and_size()[1] if sharded else 1)
    if engine.get("checkpointing"):
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model


def plan(rows: int, settings: dict[str, Any], seed: int) -> Iterator[list[int]]:
    """Row indices of every step: each epoch has all rows, in a new order."""
    import numpy as np

    size = settings["batch"] * settings.get("accumulate", 1)
    for epoch in range(settings["epochs"]):
        order = np.random.default_rng(derive("order", seed, epoch)).permutation(rows).tolist()
        yield from (order[i : i + size] for i in range(0, rows, size))


def rate(step: int, steps: int, warmup: int) -> float:
    """Factor of the learning rate at a step, as in `get_linear_schedule_with_warmup` of transformers."""
    return step / warmup if step < warmup else max(0.0, (steps - step) / max(1, steps - warmup))


def check_warmup(steps: int, warmup: int) -> None:
    """Warn in one line where training ends before its rate is reached; a study whose settings say so is refused."""
    if warmup and warmup >= steps:
        log.warning("warmup: %d is no less than the %d steps; little is learned, or nothing", warmup, steps)


def fit(
    model: Any,
    rows: "Sequence[Row]",
    settings: dict[str, Any],
    *,
    seed: int,
    pad: int,
    packing: bool = False,
    labels: SoftLabels | None = None,
    kept: Kept | None = None,
    state: Path | None = None,
    every: float = 60.0,
    progress: str | None = None,
) -> list[float]:
    """Train a model's adapter in place.

    Args:
        model: from `add_adapter`.
        rows: token ids, and how many of them are the prompt.
        settings: `lr`, `epochs`, `batch`, `accumulate`, `warmup`.
        seed: of the order of rows.
        pad: padding token.
        packing: concatenate rows instead of padding them.
        labels: what a teacher says of the rows; None for the tokens themselves.
        kept: see `frozen_part`.
        state: folder for checkpoints, written every `every` seconds and when a signal asks for the end; training goes
            on from there, on one kind of machine with the same bytes as without the interruption.
        progress: label of the progress bar; None for no bar.

    Returns:
        Losses of the steps, nats per answer token.

    Raises:
        InputError: a loss is no longer finite.
        Halt: a signal asked for the end.
    """
    import torch

    from traitline.tiny.allocator import hold

    hold()
    weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
    below = None if packing else answer_losses.split(model, rows, pad, kept=kept)
    optimiser = torch.optim.AdamW(weights.values(), lr=settings["lr"], betas=BETAS, weight_decay=0.0)
    checkpoint = Checkpoint(state and state / STATE, _moments(weights, optimiser), every)
    losses: list[float] = checkpoint.load() or []
    for p in weights.values():
        optimiser.state[p]["step"].fill_(len(losses))
    plans = list(plan(len(rows), settings, seed))
    check_warmup(len(plans), settings["warmup"])
    if distributed.rank_and_size()[0]:
        checkpoint.path = None  # the first process writes for all
    model.train()
    rest = checkpoint.steps(
        *(len(losses), len(plans), lambda: losses),
        progress=progress,
        loss=lambda: losses[-1],
        agree=distributed.any_of,
    )
    with rest as steps, narrow_head(model, labels.tokens if labels else None):
        for step in steps:
            for group in optimiser.param_groups:
                group["lr"] = settings["lr"] * rate(step, len(plans), settings["warmup"])
            losses.append(_gradients(model, rows, plans[step], weights.values(), settings, pad, packing, labels, below))
            torch.nn.utils.clip_grad_norm_(weights.values(), CLIP)
            optimiser.step()
            if not losses[-1] < float("inf"):
                raise InputError(f"the loss is no longer finite at step {step + 1}; lower the learning rate (lr)")
    if losses:
        checkpoint.save(losses)
    model.eval()
    return losses


def _gradients(
    model: Any,
    rows: "Sequence[Row]",
    chosen: Sequence[int],
    weights: "Collection[Tensor]",
    settings: dict[str, Any],
    pad: int,
    packing: bool,
    labels: SoftLabels | None,
    below: FrozenPart | None,
) -> float:
    """Set the gradients of the mean loss of a step's answer tokens, summed over processes; that loss, nats."""
    import torch

    rank, processes = distributed.rank_and_size()
    for p in weights:
        p.grad = torch.zeros_like(p)
    tokens = sum(len(ids) - start for ids, start in (rows[i] for i in chosen))
    total = torch.zeros((), dtype=torch.float64)
    for start in range(0, len(chosen), settings["batch"]):
        batch = chosen[start : start + settings["batch"]]
        share = batch[rank::processes]  # without any, one row of weight 0: the others wait for this process
        some = share or batch[:1]
        whole = packing or processes > 1  # processes wait for each other's passes
        parts = [range(len(some))] if whole else pieces([rows[i][0] for i in some])
        with below.read_once(model, some) if below and len(parts) > 1 else contextlib.nullcontext():
            for piece in parts:
                index = [some[k] for k in piece]
                part = answer_losses.loss(model, [rows[i] for i in index], pad, packing, labels, index, below)[0]
                part = part * bool(share)
                torch.autograd.backward(part / tokens)
                total += part.item()
    distributed.add_up([*(p.grad for p in weights if p.grad is not None), total])
    return total.item() / tokens


def _moments(weights: "dict[str, Tensor]", optimiser: Any) -> "dict[str, Tensor]":
    """Name the tensors that AdamW changes: the weights and both moments, which are zero before the first step."""
    import torch

    tensors: dict[str, Tensor] = {}
    for name, p in weights.items():
        first = torch.zeros_like(p)
        second = torch.zeros_like(p)
        optimiser.state[p] = {"step": torch.tensor(0.0), "exp_avg": first, "exp_avg_sq": second}
        tensors |= {f"w.{name}": p, f"m.{name}": first, f"v.{name}": second}
    return tensors


def ends(losses: Sequence[float]) -> dict[str, float]:
    """Mean loss over the first and the last twentieth of the steps, at least one step each."""
    size = max(1, len(losses) // 20)
    parts = {"loss_first": losses[:size], "loss_last": losses[-size:]}
    return {name: round(sum(part) / size, 6) for name, part in parts.items()}


def adapter_files(model: Any, source: dict[str, Any]) -> "tuple[dict[str, Tensor], str]":
    """Tensors and adapter_config.json of a trained adapter in peft's layout.

    Args:
        model: with an adapter.
        source: of the base; the configuration names it by hub and commit where it has them.
    """
    from peft import get_peft_model_state_dict

    # Without `state_dict` peft would gather a sharded base.
    weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
    tensors = {name: t.detach().cpu() for name, t in get_peft_model_state_dict(model, state_dict=weights).items()}
    return tensors, adapter_config(model.peft_config["default"], source)


def adapter_config(config: Any, source: dict[str, Any]) -> str:
    """Text of adapter_config.json."""
    content = config.to_dict()
    content |= {"base_model_name_or_path": source.get("hub") or source["path"], "revision": source.get("revision")}
    content |= {"inference_mode": True, "target_modules": sorted(content["target_modules"])}
    return json.dumps(content, indent=2, sort_keys=True) + "\n"
