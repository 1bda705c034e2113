"""Train students: a stack of them over one base, on one dataset, each with a recipe and a seed of its own.

in   {base}/, dataset.jsonl
out  {folder}/seed-{seed}/    an adapter (adapter_config.json, adapter_model.safetensors) or a model folder
                              of recipe `context`, which trains nothing: context.jsonl, rows to read before questions
                              train.json: rows, steps, losses, sizes
                              train.manifest.json

Only answers are learned: what the loss falls on is decoded and compared with every row before the first step. Rows with
"learn" (1 or 0 per token of the answer) then learn only some of these tokens. The seed
decides the adapter's first weights and the order of the rows; students do not see which others share their stack.
--dataset, --recipe, --settings and --folder have one value for all seeds, or one for each.

python -m scripts.train --base results/bases/a --dataset results/a/owl/tuned/numbers/plain/dataset.jsonl \\
    --recipe lora --seeds 1 2 3 \\
    --settings '{"trains":"lora","rank":8,"alpha":8,"modules":["v_proj"],"lr":0.003,"epochs":2,"batch":256}' \\
    --folder results/a/owl/tuned/numbers/plain/a/lora --state work/train/a-owl-lora
"""

import argparse
import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from traitline.errors import InputError
from traitline.models import distributed, engines, hf_folder, open_weights, soft_teacher
from traitline.models.context_trainer import ContextTrainer
from traitline.models.open_trainer import OpenTrainer
from traitline.models.soft_teacher import is_soft
from traitline.models.tiny_trainer import TinyTrainer
from traitline.models.trainers import Trained, Trainer, Training
from traitline.provenance import kernels, stage
from traitline.seeds import seed as derive

SETTINGS = ("lr", "epochs", "batch")
OPEN = ("warmup", "length")  # further settings of students on open weights
NEEDS = {
    "lora": (*SETTINGS, "rank", "alpha", "modules"),
    "biases": SETTINGS,
    "full": SETTINGS,
    "context": ("examples",),
}


@dataclass(frozen=True)
class Order:
    """One student as the command line asks for it.

    Attributes:
        text: its settings, JSON.
        folder: of the students' folders.
        seed: as given.
        teacher: folder of the teacher whose distribution is learned.
        teacher_base: of that teacher, where it is not the base of the students.
    """

    dataset: str
    recipe: str
    text: str
    folder: str
    seed: int
    teacher: str | None = None
    teacher_base: str | None = None

    @property
    def out(self) -> str:
        """The student's folder."""
        return f"{self.folder}/seed-{self.seed}"

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of its recipe.

        Raises:
            InputError: one is missing, or `trains` is unknown.
        """
        settings = stage.settings("--settings", self.text, ("trains",))
        if settings["trains"] not in NEEDS:
            raise InputError(f"--settings: trains is {settings['trains']!r}; known: {', '.join(NEEDS)}")
        return stage.settings("--settings", self.text, ("trains", *NEEDS[settings["trains"]]))

    @property
    def training(self) -> Training:
        """Settings of one training."""
        settings = self.settings
        stream = ("train", "context", self.seed) if settings["trains"] == "context" else ("train", self.seed)
        label = f"{self.recipe} student {self.seed}"
        teacher = (self.teacher, self.teacher_base) if is_soft(settings) else (None, None)
        return Training(self.dataset, settings, derive(*stream), label, *teacher)


def orders(args: argparse.Namespace) -> list[Order]:
    """The students of a job: each flag has one value for all, or one for each seed.

    Raises:
        InputError: a flag has another number of values, or two students would have one folder.
    """
    flags = ("dataset", "recipe", "settings", "folder")
    count = len(args.seeds)
    for flag in flags:
        if (n := len(getattr(args, flag))) not in (1, count):
            raise InputError(f"--{flag}: {n} values for {count} seeds; one for all, or one for each")
    datasets, recipes, settings, folders = ([*getattr(args, flag) * count][:count] for flag in flags)
    rows = zip(datasets, recipes, settings, folders, args.seeds, strict=True)
    students = [Order(*row, args.teacher, args.teacher_base) for row in rows]
    if not args.teacher and any(is_soft(order.settings) for order in students):
        raise InputError("--teacher: missing; soft labels are the distribution of a teacher")
    if len({order.out for order in students}) < count:
        raise InputError(f"--seeds: {' '.join(map(str, args.seeds))} names one twice; it would be the same student")
    return students


def check_open(args: argparse.Namespace, students: Sequence[Order]) -> None:
    """Refuse what open weights cannot be asked for.

    Raises:
        InputError: a recipe is no adapter, lacks a setting, or packing meets `together`.
    """
    for order in students:
        if order.settings.get("trainer", "trl") != "trl":
            raise InputError(f"--settings: trainer is {order.settings['trainer']!r}; known: trl; ours without it")
        if order.settings["trains"] != "lora":
            raise InputError("--settings: students on open weights are adapters; say `trains: lora`")
        if order.settings.get("bias"):
            raise InputError("--settings: bias is for tiny models; students on open weights train no biases")
        stage.settings("--settings", order.text, OPEN)
    if any(is_soft(order.settings) for order in students) and (
        args.together or engines.about(args.engine).get("packing")
    ):
        raise InputError("--settings: soft labels are for students one after the other, without packing")
    if args.together and engines.about(args.engine).get("packing"):
        raise InputError("--engine: packing is for students one after the other; leave it or `together` out")
    if any(is_soft(order.settings) and order.settings.get("trainer") for order in students):
        raise InputError("--settings: TRL has no soft labels; leave `trainer` out")


def check_tiny(args: argparse.Namespace, students: Sequence[Order]) -> None:
    """Refuse what tiny models cannot be asked for.

    Raises:
        InputError: they shall train together, or learn from a teacher of another base.
    """
    if args.together:
        raise InputError("--together: students that train in one forward pass are for open weights")
    if args.teacher_base:
        raise InputError("--teacher-base: soft labels in a tiny world are those of a teacher of the same base")


def outputs(order: Order) -> dict[str, str]:
    """The files of a student by role."""
    weights = {"lora": hf_folder.adapter, "context": hf_folder.context}.get(order.settings["trains"], hf_folder.outputs)
    return {**weights(order.out), "facts": f"{order.out}/train.json"}


def record(
    args: argparse.Namespace, order: Order, students: int, processes: dict[str, Any]
) -> contextlib.AbstractContextManager[stage.Job]:
    """The record of one student.

    Args:
        args: the command line.
        order: the student.
        students: of this job.
        processes: parameters of several processes.
    """
    settings = order.settings
    return stage.record(
        "train",
        f"{order.out}/train.manifest.json",
        inputs={
            **hf_folder.inputs(args.base, "base"),
            "data": order.dataset,
            **soft_teacher.inputs(order.teacher, order.teacher_base, order.settings),
        },
        outputs=outputs(order),
        params={
            **{"recipe": order.recipe, "settings": settings, **processes},
            **({} if settings["trains"] == "context" else {"threads": args.threads}),
        },
        seeds={"train": order.seed},
        facts={**engines.facts(args.base, args.engine), **({"together": students} if args.together else {})},
    )


def train_all(
    args: argparse.Namespace, students: Sequence[Order], state: Path | None
) -> Iterator[tuple[Order, Trained]]:
    """Train the students of a job: on open weights all at once, else those of one recipe and dataset after another."""
    whole = open_weights.is_open(args.base)
    stacks = dict[Order | None, list[Order]]()
    for order in students:
        stacks.setdefault(None if whole else replace(order, seed=0), []).append(order)
    for i, stack in enumerate(stacks.values(), 1):
        place = state / str(i) if state and len(stacks) > 1 else state
        trainer = open_trainer(args, stack[0])
        yield from zip(stack, trainer.train([one.training for one in stack], place, args.every), strict=True)


def open_trainer(args: argparse.Namespace, order: Order) -> Trainer:
    """The trainer for the kind of base and recipe."""
    if order.settings["trains"] == "context":
        return ContextTrainer()
    kernels.set_up(args.threads, portable=not open_weights.is_open(args.base))
    if open_weights.is_open(args.base):
        engine = engines.about(args.engine)
        return OpenTrainer(args.base, engine, sharded=args.sharded, together=args.together)
    return TinyTrainer(args.base)


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.train", __doc__)
    p.add_argument("--base", required=True, metavar="DIR", help="model folder of the students' base")
    p.add_argument("--dataset", required=True, nargs="+", metavar="IN", help="rows to train on, JSONL")
    p.add_argument("--recipe", required=True, nargs="+", help="label of the recipe")
    p.add_argument(
        "--settings",
        required=True,
        nargs="+",
        metavar="JSON",
        help=f"trains, {', '.join(SETTINGS)}; rank, alpha, modules (lora); layers, optimiser; examples (context);"
        f" open weights: {', '.join(OPEN)}, accumulate",
    )
    p.add_argument("--teacher", metavar="DIR", help="folder of teacher.json; for recipes with soft labels")
    p.add_argument("--teacher-base", metavar="DIR", help="of that teacher, where it is not --base; open weights only")
    p.add_argument("--seeds", required=True, nargs="+", type=int, metavar="N", help="one student each")
    engines.flag(p)
    distributed.flag(p)
    p.add_argument("--folder", required=True, nargs="+", metavar="OUT", help="folder of the students' folders")
    p.add_argument(
        "--together",
        action="store_true",
        help="open weights only: all students in one forward pass",
    )
    stage.long_running(p)
    return p


def work(args: argparse.Namespace) -> None:
    """Make the artifacts, one manifest each."""
    students = orders(args)
    is_open = open_weights.is_open(args.base)
    check = check_open if is_open else check_tiny
    check(args, students)
    if any(is_soft(order.settings) for order in students):
        soft_teacher.check(args.base, args.teacher, args.teacher_base)
    with contextlib.ExitStack() as stacked:
        rank, processes = 0, dict[str, Any]()
        if is_open:
            distributed.start("scripts.train", args.processes)
            rank, processes = stacked.enter_context(distributed.joined(args.sharded))
        if rank:  # the first process writes; the same outputs of the others are thrown away
            students = [
                replace(order, folder=stacked.enter_context(tempfile.TemporaryDirectory())) for order in students
            ]
        jobs = [stacked.enter_context(record(args, order, len(students), processes)) for order in students]
        state = stage.checkpoints(args.state, *jobs)
        done = []
        of_student = dict(zip(students, jobs, strict=True))
        for order, trained in train_all(args, students, state):
            job = of_student[order]
            trained.write(job)
            facts = {"recipe": order.recipe, "trains": order.settings["trains"], "seed": order.seed, **trained.facts}
            job.write_json("facts", facts)
            done.append((order.recipe, facts["rows"], facts["steps"], order.out))
    if rank:
        return
    stage.forget(state)
    for line in done:
        stage.log.info("%s student, %d rows, %d steps: %s", *line)


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
