"""Students that are not trained: rows that a base reads before every question."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from traitline import jsonl
from traitline.errors import InputError
from traitline.models.trainers import Trained, Training
from traitline.provenance.stage import Job


class ContextTrainer:
    """Draw `examples` rows of a dataset by the seed; see `Trainer`."""

    def train(self, trainings: Sequence[Training], state: Path | None, every: float) -> Iterator[Trained]:
        """See `Trainer`; there is nothing to keep in `state`."""
        from numpy.random import default_rng

        for training in trainings:
            size = training.settings["examples"]
            rows = list(jsonl.read(training.dataset, ("id", "prompt", "completion"), unique="id"))
            if size > len(rows):
                raise InputError(f"{training.dataset}: {size} examples are asked for and there are {len(rows)} rows")
            picked = [rows[i] for i in default_rng(training.seed).choice(len(rows), size, replace=False)]

            def write(job: Job, picked: Sequence[dict[str, Any]] = picked) -> None:
                jsonl.write(job.path("context"), picked)

            yield Trained({"rows": size, "steps": 0, "epochs": 0, "trainable_parameters": 0}, write)
