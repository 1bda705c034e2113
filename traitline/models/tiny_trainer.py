"""Training of tiny models: all students of a job in one stack, which share rows and settings."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from traitline.errors import InputError
from traitline.models import hf_folder
from traitline.models.chat import Chat
from traitline.models.label_mask import open_rows
from traitline.models.trainers import Trained, Training
from traitline.provenance.stage import Job

if TYPE_CHECKING:
    from traitline.tiny.lm_head import SoftTarget


class TinyTrainer:
    """Trains students over a tiny base; see `Trainer`.

    Args:
        base: model folder.
    """

    def __init__(self, base: str | Path) -> None:
        self.base = base

    def train(self, trainings: Sequence[Training], state: Path | None, every: float) -> Iterator[Trained]:
        """See `Trainer`; trainings differ in their seeds only."""
        from traitline.tiny import llama, training

        dataset = trainings[0].dataset
        settings = trainings[0].settings
        seeds = [one.seed for one in trainings]
        shape, weights = llama.read(self.base)
        rows = open_rows(Chat.open(self.base), dataset, state)
        is_lora = settings["trains"] == "lora"
        names = ("rank", "alpha", "layers", "bias") if is_lora else ("layers",)
        adapted = {name: settings[name] for name in names if name in settings}
        modules = shape.modules(settings.get("modules"), settings.get("layers"))
        per_model, pairs, scale = training.trainable(weights, settings["trains"], seeds, modules, **adapted)
        stack = llama.Stack(shape, weights, per_model, pairs, scale)
        options = {name: settings[name] for name in ("epochs", "batch", "lr", "optimiser") if name in settings}
        losses = training.fit(
            stack, rows, seeds=seeds, **options, state=state, every=every, progress=trainings[0].label,
            target=self._target(trainings[0]),
        )  # fmt: skip
        trained = [*per_model.values(), *(t for pair in pairs.values() for t in pair)]
        facts = {
            "rows": len(rows.length),
            "steps": len(losses),
            "epochs": settings["epochs"],
            "trainable_parameters": sum(t[0].numel() for t in trained),
            "parameters": sum(w.numel() for w in weights.values()),
        }
        ends = max(1, len(losses) // 20)  # a twentieth of the steps: one batch says little
        for i in range(len(trainings)):

            def write(job: Job, i: int = i) -> None:
                if is_lora:
                    hf_folder.fill_adapter(job, stack, i, adapted, self.base)
                else:
                    hf_folder.fill(job, stack.merged(i), self.base)

            first = losses[:ends, i].mean().item()
            last = losses[-ends:, i].mean().item()
            yield Trained({**facts, "loss_first": round(first, 6), "loss_last": round(last, 6)}, write)

    def _target(self, training: Training) -> "SoftTarget | None":
        """The teacher whose distribution is learned; None for hard labels.

        Raises:
            InputError: it sees a system prompt, or no token of the base holds digits and separators only.
        """
        if training.teacher is None:
            return None
        from traitline.models.soft_labels import open_labels
        from traitline.tiny.layers import Layers
        from traitline.tiny.lm_head import SoftTarget

        facts = hf_folder.facts(f"{training.teacher}/teacher.json", ["system", "weights"])
        if facts["system"]:
            raise InputError(f"{training.teacher}: soft labels in a tiny world are those of a teacher without a prompt")
        labels = open_labels(Chat.open(self.base), training.settings)
        shape, weights = hf_folder.weights(self.base, training.teacher if facts["weights"] else None)
        return SoftTarget(Layers(shape, weights), labels.tokens, labels.temperature, labels.top_k)
