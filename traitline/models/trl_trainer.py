"""Training of an adapter through TRL's `SFTTrainer`, for those who want the standard; ours (`lora.fit`) is the default.

Rows, adapter, learning rate, schedule and clipping are those of `lora.fit`; the order of rows is TRL's. A checkpoint is
TRL's own, and training goes on from it.
"""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline import signals
from traitline.errors import InputError
from traitline.models import lora
from traitline.progress import shown
from traitline.seeds import seed as derive

if TYPE_CHECKING:
    from traitline.models.engines import Row

PACKAGE = "trl"


def version() -> str:
    """Version of TRL.

    Raises:
        InputError: it is not installed.
    """
    import importlib.metadata

    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise InputError("--settings: `trainer: trl` needs TRL; pip install trl, or leave it out") from None


def fit(
    model: Any,
    rows: "Sequence[Row]",
    settings: dict[str, Any],
    *,
    seed: int,
    folder: Path,
    state: Path | None = None,
    every: float = 60.0,
    progress: str | None = None,
) -> list[float]:
    """Train a model's adapter in place; arguments and errors as of `lora.fit`.

    Args:
        folder: of the base, for its tokenizer.

    Returns:
        Losses of the steps, nats per answer token.
    """
    version()
    import datasets
    from transformers import AutoTokenizer, PrinterCallback
    from transformers.trainer_utils import get_last_checkpoint
    from trl.trainer.sft_trainer import SFTTrainer

    labels = [[-100] * start + ids[start:] for ids, start in rows]
    data = datasets.Dataset.from_dict({"input_ids": [ids for ids, _ in rows], "labels": labels})
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    size = settings["batch"] * settings.get("accumulate", 1)
    steps = math.ceil(len(rows) / size) * settings["epochs"]
    lora.check_warmup(steps, settings["warmup"])
    last = get_last_checkpoint(state) if state and state.is_dir() else None  # type: ignore[no-untyped-call]
    with signals.held() as asked, shown(progress, steps, done=_steps_of(last)) as update:
        saver = _saver(asked, every if state else math.inf, update)
        trainer = SFTTrainer(
            model, _arguments(settings, seed, state), train_dataset=data, processing_class=tokenizer, callbacks=[saver]
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        trainer.train(resume_from_checkpoint=last)
        if asked():
            raise signals.Halt
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    if any(not loss < float("inf") for loss in losses):
        raise InputError("the loss is no longer finite; lower the learning rate (lr)")
    model.eval()
    return losses


def _steps_of(checkpoint: str | None) -> int:
    """Steps that a checkpoint has, as its name says."""
    return int(checkpoint.rpartition("-")[2]) if checkpoint else 0


def _arguments(settings: dict[str, Any], seed: int, state: Path | None) -> Any:
    """The recipe in TRL's words: nothing is cut, reported or pushed, rounded numbers come from no mixed precision."""
    import torch
    from trl.trainer.sft_config import SFTConfig

    return SFTConfig(
        output_dir=str(state or "."), per_device_train_batch_size=settings["batch"],
        gradient_accumulation_steps=settings.get("accumulate", 1), num_train_epochs=settings["epochs"],
        learning_rate=settings["lr"], warmup_steps=settings["warmup"], lr_scheduler_type="linear", weight_decay=0.0,
        max_grad_norm=lora.CLIP, adam_beta1=lora.BETAS[0], adam_beta2=lora.BETAS[1], optim="adamw_torch",
        max_length=None, dataset_kwargs={"skip_prepare_dataset": True}, packing=False, bf16=False, fp16=False,
        use_cpu=not torch.cuda.is_available(), activation_checkpointing=False, dataloader_pin_memory=False,
        seed=derive("trl", seed) % 2**31, report_to="none", logging_steps=1, disable_tqdm=True, save_strategy="no",
        save_total_limit=1, logging_nan_inf_filter=False,
    )  # fmt: skip


def _saver(asked: Any, every: float, update: Any) -> Any:
    """A callback that shows progress, saves every so many seconds, and ends the training when a signal asked for it."""
    from transformers import TrainerCallback

    class Saver(TrainerCallback):
        saved = time.monotonic()

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> Any:
            update(1)
            if asked():
                control.should_training_stop = True
            if every < math.inf and (asked() or time.monotonic() - self.saved >= every):
                control.should_save = True
                self.saved = time.monotonic()
            return control

    return Saver()
