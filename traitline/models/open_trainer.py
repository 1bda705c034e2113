"""Training of LoRA adapters over open weights: one after the other, or together over one frozen base."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline import jsonl
from traitline.errors import InputError
from traitline.models import hf_folder, open_weights
from traitline.models.chat import Chat
from traitline.models.frozen_part import Kept
from traitline.models.label_mask import as_pairs, check_length, open_rows
from traitline.models.soft_labels import SoftLabels, open_labels
from traitline.models.trainers import Trained, Training
from traitline.provenance.stage import Job

if TYPE_CHECKING:
    from torch import Tensor

    from traitline.models.engines import Row


def is_trl(settings: dict[str, Any]) -> bool:
    """Tell whether a recipe trains through TRL."""
    return settings.get("trainer") == "trl"


class OpenTrainer:
    """Trains adapters over open weights; see `Trainer`.

    Args:
        base: folder of the record.
        engine: `dtype`; `packing`; `checkpointing`.
        sharded: every process holds a share of the base.
        together: all adapters in one forward pass.

    Raises:
        InputError: the weights are damaged.
    """

    def __init__(self, base: str | Path, engine: dict[str, Any], *, sharded: bool, together: bool = False) -> None:
        self.engine = engine
        self.sharded = sharded
        self.together = together
        self.packing = bool(engine.get("packing"))
        self.record, self.folder = open_weights.opened(base)
        self.chat = Chat.foreign(self.folder, self.record["chat"]["system"])

    def train(self, trainings: Sequence[Training], state: Path | None, every: float) -> Iterator[Trained]:
        """See `Trainer`."""
        from traitline.models import distributed, lora

        alone = not (self.together or self.packing) and distributed.rank_and_size()[1] == 1
        if any(is_trl(training.settings) for training in trainings) and not alone:
            raise InputError("--settings: TRL trains one student after the other, in one process and without packing")
        rows = self._rows(trainings, state)
        base = lora.open_base(self.folder, self.engine, self.sharded)
        results = self._together if self.together else self._one_by_one
        for training, result in zip(trainings, results(base, trainings, rows, state, every), strict=True):
            yield self._trained(training, rows[training.dataset], *result)

    def _rows(self, trainings: Sequence[Training], state: Path | None) -> "dict[str, Sequence[Row]]":
        """The rows of every dataset."""
        rows: dict[str, Sequence[Row]] = {}
        for training in trainings:
            if training.dataset not in rows:
                rows[training.dataset] = as_pairs(open_rows(self.chat, training.dataset, state))
            check_length(rows[training.dataset], training.dataset, training.settings["length"])
        return rows

    def _one_by_one(
        self,
        base: Any,
        trainings: Sequence[Training],
        rows: "dict[str, Sequence[Row]]",
        state: Path | None,
        every: float,
    ) -> "Iterator[tuple[list[float], dict[str, Tensor], str]]":
        """(losses, tensors, adapter_config.json) of each adapter."""
        from traitline.models import lora, trl_trainer

        kept: dict[str, Kept] = {}
        for i, training in enumerate(trainings):
            labels = None
            if training.dataset not in kept:
                kept = {training.dataset: {}}  # of one dataset at a time, which bounds their memory
            if training.teacher:
                labels, base = self._labels(base, training, rows[training.dataset], kept[training.dataset])
            model = lora.add_adapter(base, training.settings, training.seed)
            about: dict[str, Any] = {"seed": training.seed, "every": every, "progress": training.label}
            place = state and state / f"student-{i}"
            if is_trl(training.settings):
                losses = trl_trainer.fit(
                    model, rows[training.dataset], training.settings, folder=self.folder, state=place, **about
                )
            else:
                losses = lora.fit(
                    model, rows[training.dataset], training.settings, pad=self.chat.pad, packing=self.packing,
                    labels=labels, kept=kept[training.dataset], state=place, **about,
                )  # fmt: skip
            yield losses, *lora.adapter_files(model, self.record["source"])
            base = model.unload()

    def _labels(self, base: Any, training: Training, rows: "Sequence[Row]", kept: Kept) -> "tuple[SoftLabels, Any]":
        """What the teacher says of the rows, and the base without the teacher's adapter.

        Raises:
            InputError: the teacher's system prompt changes the tokens of an answer.
        """
        from peft import PeftModel

        from traitline.models import answer_losses, lora

        place = Path(str(training.teacher))
        facts = hf_folder.facts(place / "teacher.json", ["system", "weights"])
        seen = self._behind(facts["system"], training.dataset, rows) if facts["system"] else rows
        scorer = base
        if training.teacher_base:
            scorer = lora.open_base(open_weights.opened(training.teacher_base)[1], self.engine, self.sharded)
        model = PeftModel.from_pretrained(scorer, place).eval() if facts["weights"] else scorer
        labels = open_labels(self.chat, training.settings)
        below = None
        if scorer is base and seen is rows:
            first = min(training.settings.get("layers") or [0])
            below = answer_losses.split(model, rows, self.chat.pad, first, kept)
        answer_losses.label(model, seen, labels, training.settings["batch"], self.chat.pad, below)
        return labels, model.unload() if facts["weights"] and scorer is base else base

    def _behind(self, system: str, dataset: str, rows: "Sequence[Row]") -> "Sequence[Row]":
        """The rows as a teacher with a system prompt sees them."""
        records = list(jsonl.read(dataset, ("id", "prompt", "completion"), unique="id"))
        head = {"role": "system", "content": system}
        names = [f"{dataset}: row {row['id']!r}" for row in records]
        seen = self.chat.rows([([head, *row["prompt"]], row["completion"]) for row in records], names)
        for (ids, start), (plain, begin), name in zip(seen, rows, names, strict=True):
            if ids[start:] != plain[begin:]:
                raise InputError(f"{name}: its answer has other tokens behind the teacher's system prompt")
        return seen

    def _together(
        self,
        base: Any,
        trainings: Sequence[Training],
        rows: "dict[str, Sequence[Row]]",
        state: Path | None,
        every: float,
    ) -> "Iterator[tuple[list[float], dict[str, Tensor], str]]":
        """The same of adapters that are trained together."""
        from traitline.models import multi_lora

        students = [multi_lora.Student(rows[t.dataset], t.settings, t.seed) for t in trainings]
        bank = multi_lora.Bank(base, students)
        label = f"{len(trainings)} students together"
        losses = multi_lora.fit(bank, pad=self.chat.pad, state=state, every=every, progress=label)
        for i in range(len(trainings)):
            yield losses[i], *bank.saved(i, self.record["source"])

    def _trained(
        self, training: Training, rows: "Sequence[Row]", losses: list[float], tensors: "dict[str, Tensor]", config: str
    ) -> Trained:
        """Result of a training, with its first row as the model sees it."""
        from traitline.models import lora, trl_trainer

        def write(job: Job) -> None:
            hf_folder.save(job.path("adapter"), tensors)
            job.path("adapter_config.json").write_text(config, encoding="utf-8")

        ids, start = rows[0]
        text, learned = self.chat.decode([ids, ids[start:]])
        example = {"text": text, "ids": ids, "learned": learned, "from": start}
        facts = {
            "rows": len(rows),
            "steps": len(losses),
            "epochs": training.settings["epochs"],
            "trainable_parameters": sum(t.numel() for t in tensors.values()),
            "parameters": self.record["parameters"],
            "example": example,
        }
        trainer = {"trainer": f"trl {trl_trainer.version()}"} if is_trl(training.settings) else {}
        return Trained(facts | lora.ends(losses) | trainer, write)
