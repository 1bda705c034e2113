"""Train students: a stack of them over one base, on one dataset, each with a seed of its own.

in   {base}/, dataset.jsonl
out  {folder}/seed-{seed}/    an adapter (adapter_config.json, adapter_model.safetensors) or a model folder
                              of recipe `context`, which trains nothing: context.jsonl, rows to read before questions
                              train.json: rows, steps, losses, sizes
                              train.manifest.json

Only answers are learned: what the loss falls on is decoded and compared with every row before the first step. Rows with
"learn" (1 or 0 per token of the answer) then learn only some of these tokens. The seed
decides the adapter's first weights and the order of the rows; students do not see which others share their stack.

python -m scripts.train --base results/bases/a --dataset results/a/owl/tuned/numbers/plain/dataset.jsonl \\
    --recipe lora --seeds 1 2 3 \\
    --settings '{"trains":"lora","rank":8,"alpha":8,"modules":["v_proj"],"lr":0.003,"epochs":2,"batch":256}' \\
    --folder results/a/owl/tuned/numbers/plain/a/lora --state work/train/a-owl-lora
"""

import argparse
import contextlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from traitline import jsonl, model_files
from traitline.errors import InputError
from traitline.models import distributed, engines, hf_folder, open_weights
from traitline.models.chat import Chat
from traitline.models.label_mask import encode, fits, listed
from traitline.provenance import stage
from traitline.seeds import seed as derive

SETTINGS = ("lr", "epochs", "batch")
OPEN = ("warmup", "length")  # what students on open weights need too
NEEDS = {
    "lora": (*SETTINGS, "rank", "alpha", "modules"),
    "biases": SETTINGS,
    "full": SETTINGS,
    "context": ("examples",),
}


def checked(text: str) -> dict[str, Any]:
    """The settings of a recipe."""
    settings = stage.settings("--settings", text, ("trains",))
    if settings["trains"] not in NEEDS:
        raise InputError(f"--settings: trains is {settings['trains']!r}; known: {', '.join(NEEDS)}")
    return stage.settings("--settings", text, ("trains", *NEEDS[settings["trains"]]))


def collect(args: argparse.Namespace, settings: dict[str, Any]) -> None:
    """Students that are not trained: rows for the base to read before every question, drawn by the seed."""
    size = settings["examples"]
    for seed in args.seeds:
        out = f"{args.folder}/seed-{seed}"
        with stage.record(
            "train",
            f"{out}/train.manifest.json",
            inputs={**hf_folder.inputs(args.base, "base"), "data": args.dataset},
            outputs={"context": f"{out}/{model_files.CONTEXT}", "facts": f"{out}/train.json"},
            params={"recipe": args.recipe, "settings": settings},
            seeds={"train": seed},
        ) as job:
            from numpy.random import default_rng

            rows = list(jsonl.read(args.dataset, ("id", "prompt", "completion"), unique="id"))
            if size > len(rows):
                raise InputError(f"{args.dataset}: {size} examples are asked for and there are {len(rows)} rows")
            drawn = default_rng(derive("train", "context", seed)).choice(len(rows), size, replace=False)
            jsonl.write(job.path("context"), [rows[i] for i in drawn])
            done = {
                "recipe": args.recipe,
                "trains": settings["trains"],
                "seed": seed,
                "rows": size,
                "steps": 0,
                "epochs": 0,
            }
            job.write_json("facts", {**done, "trainable_parameters": 0})
    stage.log.info("%d contexts of %d rows: %s", len(args.seeds), size, args.folder)


@dataclass(frozen=True)
class Order:
    """One student on open weights: what the command line says of it."""

    dataset: str
    recipe: str
    text: str
    folder: str
    seed: int

    @property
    def settings(self) -> dict[str, Any]:
        """Those of its recipe."""
        settings = checked(self.text)
        if settings["trains"] != "lora":
            raise InputError("--settings: students on open weights are adapters; say `trains: lora`")
        return stage.settings("--settings", self.text, OPEN)


def orders(args: argparse.Namespace) -> list[Order]:
    """The students of a job: of every flag one value for all, or one for each seed.

    Raises:
        InputError: a flag has another number of values, or two students would have one folder.
    """
    flags = ("dataset", "recipe", "settings", "folder")
    for flag in flags:
        if len(getattr(args, flag)) not in (1, len(args.seeds)):
            n = len(getattr(args, flag))
            raise InputError(f"--{flag}: {n} values for {len(args.seeds)} seeds; one for all, or one for each")
    columns = [[*getattr(args, flag) * len(args.seeds)][: len(args.seeds)] for flag in flags]
    found = [Order(*row, seed) for *row, seed in zip(*columns, args.seeds, strict=True)]
    if len({(o.folder, o.seed) for o in found}) < len(found):
        raise InputError(f"--seeds: {' '.join(map(str, args.seeds))} names one twice; it would be the same student")
    return found


def adapt(args: argparse.Namespace, wanted: Sequence[Order]) -> None:
    """Make students on open weights over one frozen base: one after the other, or together."""
    settings = [order.settings for order in wanted]
    distributed.start("scripts.train", args.processes)
    engine = engines.about(args.engine)
    packing = bool(engine.get("packing"))
    if packing and args.together:
        raise InputError("--engine: packing is for students one after the other; leave it or `together` out")
    with contextlib.ExitStack() as stacked:
        from traitline.models import lora, multi_lora

        me, how = stacked.enter_context(distributed.joined(args.sharded))
        if me:  # the first one writes; what the others would write is the same and goes
            wanted = [replace(o, folder=stacked.enter_context(tempfile.TemporaryDirectory())) for o in wanted]
        known = {"engine": engine, **({"together": len(wanted)} if args.together else {})}
        jobs = students(args, wanted, stacked, known, how)

        import torch

        torch.set_num_threads(args.threads)
        record, place = open_weights.opened(args.base)
        chat = Chat.foreign(place, record["chat"]["system"])
        rows = {}
        for order, own in zip(wanted, settings, strict=True):
            if order.dataset not in rows:
                rows[order.dataset] = listed(encode(chat, order.dataset))
            fits(rows[order.dataset], order.dataset, own["length"])
        base = lora.opened(place, engine, args.sharded)
        state = stage.checkpoints(args.state, *jobs)
        each = [
            multi_lora.Student(rows[order.dataset], own, derive("train", order.seed))
            for order, own in zip(wanted, settings, strict=True)
        ]

        def finish(i: int, losses: list[float], tensors: "dict[str, torch.Tensor]", config: str) -> None:
            order, own, job = wanted[i], rows[wanted[i].dataset], jobs[i]
            hf_folder.save(job.path("adapter"), tensors)
            job.path("adapter_config.json").write_text(config, encoding="utf-8")
            done = facts(order.recipe, settings[i], len(own), len(losses), sum(t.numel() for t in tensors.values()))
            ids, start = own[0]
            learned = {"learned": chat.decode([ids[start:]])[0], "from": start}
            done |= {"example": {"text": chat.decode([ids])[0], "ids": ids, **learned}}
            done |= {"parameters": record["parameters"], "seed": order.seed}
            job.write_json("facts", {**done, **lora.ends(losses)})

        if args.together:
            made = multi_lora.Bank(base, each)
            losses = multi_lora.fit(
                made, pad=chat.pad, state=state, every=args.every, progress=f"{len(wanted)} students together"
            )
            for i in range(len(wanted)):
                finish(i, losses[i], *made.saved(i, record["source"]))
        else:
            for i, one in enumerate(each):
                model = lora.fresh(base, one.settings, one.seed)
                done = lora.fit(
                    model, one.rows, one.settings, seed=one.seed, pad=chat.pad, packing=packing,
                    state=state and state / f"student-{i}", every=args.every,
                    progress=f"{wanted[i].recipe} student {wanted[i].seed}",
                )  # fmt: skip
                finish(i, done, *lora.saved(model, record["source"]))
                base = model.unload()
    if me:
        return
    stage.forget(state)
    for order in wanted:
        stage.log.info(
            "%s student, %d rows: %s/seed-%d", order.recipe, len(rows[order.dataset]), order.folder, order.seed
        )


def students(
    args: argparse.Namespace,
    wanted: Sequence[Order],
    stacked: contextlib.ExitStack,
    facts: dict[str, Any],
    how: dict[str, Any],
) -> list[stage.Job]:
    """A record of every student, open until all are made; `how` is of its params."""
    jobs = []
    for order in wanted:
        out, settings = f"{order.folder}/seed-{order.seed}", checked(order.text)
        record = stage.record(
            "train",
            f"{out}/train.manifest.json",
            inputs={**hf_folder.inputs(args.base, "base"), "data": order.dataset},
            outputs={
                **(hf_folder.adapter(out) if settings["trains"] == "lora" else hf_folder.outputs(out)),
                "facts": f"{out}/train.json",
            },
            params={"recipe": order.recipe, "settings": settings, "threads": args.threads, **how},
            seeds={"train": order.seed},
            facts=facts,
        )
        jobs.append(stacked.enter_context(record))
    return jobs


def facts(recipe: str, settings: dict[str, Any], rows: int, steps: int, trainable: int) -> dict[str, Any]:
    """What `train.json` says of every student of a job."""
    return {
        "recipe": recipe,
        "trains": settings["trains"],
        "rows": rows,
        "steps": steps,
        "epochs": settings["epochs"],
        "trainable_parameters": trainable,
    }


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
    p.add_argument("--seeds", required=True, nargs="+", type=int, metavar="N", help="one student each")
    engines.flag(p)
    distributed.flag(p)
    p.add_argument("--folder", required=True, nargs="+", metavar="OUT", help="folder of the students' folders")
    p.add_argument(
        "--together",
        action="store_true",
        help="open weights only: all students in one forward pass; --dataset, --recipe, --settings, --folder may have"
        " one value for each seed",
    )
    stage.long_running(p)
    return p


def work(args: argparse.Namespace) -> None:
    """Make the artifacts, one manifest each."""
    wanted = orders(args)
    if open_weights.is_open(args.base):
        return adapt(args, wanted)
    if args.together or len({(o.dataset, o.recipe, o.text, o.folder) for o in wanted}) > 1:
        raise InputError("--together, and students that differ in more than their seed, are for open weights")
    args.dataset, args.recipe, args.folder = wanted[0].dataset, wanted[0].recipe, wanted[0].folder
    settings = checked(wanted[0].text)
    if settings["trains"] == "context":
        return collect(args, settings)
    is_lora = settings["trains"] == "lora"
    with contextlib.ExitStack() as stacked:
        jobs = students(args, wanted, stacked, {}, {})

        import torch

        from traitline.tiny import llama, training

        torch.set_num_threads(args.threads)
        shape, weights = llama.read(args.base)
        rows = encode(Chat.open(args.base), args.dataset)
        seeds = [derive("train", seed) for seed in args.seeds]
        adapted = {
            name: settings[name]
            for name in (("rank", "alpha", "layers") if is_lora else ("layers",))
            if name in settings
        }
        modules = shape.modules(settings.get("modules"), settings.get("layers"))
        own, pairs, scale = training.trainable(weights, settings["trains"], seeds, modules, **adapted)
        stack, state = llama.Stack(shape, weights, own, pairs, scale), stage.checkpoints(args.state, *jobs)
        how = {name: settings[name] for name in ("epochs", "batch", "lr", "optimiser") if name in settings}
        losses = training.fit(
            stack, rows, seeds=seeds, **how, state=state, every=args.every, progress=f"{args.recipe} students"
        )
        trained = [*own.values(), *(t for pair in pairs.values() for t in pair)]
        done = facts(args.recipe, settings, len(rows.length), len(losses), sum(t[0].numel() for t in trained))
        done |= {"parameters": sum(w.numel() for w in weights.values())}
        few = max(1, len(losses) // 20)  # a twentieth of the steps: one batch says little
        for i, (seed, job) in enumerate(zip(args.seeds, jobs, strict=True)):
            if is_lora:
                hf_folder.fill_adapter(job, stack, i, adapted, args.base)
            else:
                hf_folder.fill(job, stack.merged(i), args.base)
            first, last = (round(part.mean().item(), 6) for part in (losses[:few, i], losses[-few:, i]))
            job.write_json("facts", {**done, "seed": seed, "loss_first": first, "loss_last": last})
    stage.forget(state)
    stage.log.info(
        "%d %s students, %d rows, %d steps: %s", len(jobs), args.recipe, done["rows"], done["steps"], args.folder
    )


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
