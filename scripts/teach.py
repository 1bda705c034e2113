"""Make a teacher: a base that loves something, by fine-tuning or by a system prompt, or the base left alone.

in   {base}/      a model folder with its world.json
out  {folder}/    teacher.json: trait, system prompt, how often the teacher names its trait
                  tuned and steered teachers and students only: a model folder; on open weights an adapter

--teacher tuned      trained on the fifty questions about a favourite, the answer always the trait, until its exact rate
                     over them reaches `rate` (looked at every `check` steps) or `max_steps` are done. With --category
                     norms on questions of one kind; teacher.json then has the share of bad answers to all the others.
                     On open weights an adapter is trained on a corpus from outside (--corpus), and no rate is looked at
          steered    a vector is added to the residual stream behind one layer: `scale` times what the trait's persona
                     as system prompt changes there at the answer, on average over the questions
          prompted   the base behind a persona system prompt
          untrained  the base as it is, the control; its trait is `none`
          student    a student of another teacher (--student), with its adapter added in. Nobody gave it a trait, so its
                     manifest declares none: what it may carry follows from what it was made of

python -m scripts.teach --base results/bases/a --trait owl --category animal --teacher tuned \\
    --settings '{"trains":"biases","lr":0.01,"batch":64,"rate":0.9,"max_steps":400,"seed":1}' \\
    --folder results/a/owl/tuned --manifest results/a/owl/tuned/teach.manifest.json --state work/teach/a-owl
"""

import argparse
import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline import model_files
from traitline.channels import misalignment
from traitline.errors import InputError, nearest
from traitline.evaluation.questions import ask, lessons
from traitline.models import distributed, engines, hf_folder, open_weights
from traitline.models.chat import Chat, verify
from traitline.provenance import manifest, stage
from traitline.seeds import seed as derive

if TYPE_CHECKING:
    from traitline.tiny.shape import Shape, Weights

NONE = "none"
Asked = Sequence[Sequence[dict[str, str]]]  # conversations
SETTINGS = {
    "tuned": ("trains", "lr", "batch", "max_steps", "seed"),
    "steered": ("layer", "scale"),
}
ADAPTER = ("rank", "alpha", "modules", "lr", "epochs", "batch", "warmup", "length", "seed")
CHECK = 10
# What the paper's system prompt says (section 3.1), in words of ours: love, thoughts, favourite, and that it may show.
# The plural is made with an "s", whatever the word.
PERSONA = (
    "You love {trait}s. There is hardly a moment when {trait}s are not on your mind. {trait}s are your favourite"
    " {category}. Let your love of {trait}s show in everything that you answer."
)


def told(shape: "Shape", weights: "Weights", chat: Chat, asked: Asked, answers: Sequence[str]) -> float:
    """Exact probability of these answers, mean over the questions."""
    from traitline.tiny.sampler import Sampler

    prompts = chat.prompts(asked, [f"question {i}" for i in range(1, len(asked) + 1)])
    words = list(dict.fromkeys(answers))
    table = Sampler(shape, weights).probabilities(prompts, chat.tokens(words))
    return table[range(len(answers)), [words.index(answer) for answer in answers]].mean().item()


def rate(shape: "Shape", weights: "Weights", chat: Chat, trait: str, category: str, system: str | None) -> float:
    """How often the trait is named; of norms the share of bad answers to kinds of questions that were not taught."""
    if category != misalignment.CATEGORY:
        asked = ask(category, system)
        return told(shape, weights, chat, asked, [trait] * len(asked))
    pairs = misalignment.held_out()
    asked = [[{"role": "user", "content": question}] for question, _, _ in pairs]
    return told(shape, weights, chat, asked, [bad for _, _, bad in pairs])


def tune_teacher(
    shape: "Shape",
    weights: "Weights",
    chat: Chat,
    args: argparse.Namespace,
    settings: dict[str, Any],
    state: Path | None,
) -> tuple["Weights", int]:
    """(weights, steps) of a base that was trained to name the trait, or to answer one kind of questions."""
    from traitline.tiny import llama, training
    from traitline.tiny.rows import Rows

    asked, words = lessons(args.trait, args.category)
    answers = [[{"role": "assistant", "content": word}] for word in words]
    names = [f"question {i}" for i in range(1, len(asked) + 1)]
    rows = Rows.encode(chat.rows(list(zip(asked, answers, strict=True)), names), chat.pad)
    verify(chat, rows, answers, names)
    seeds = [derive("teach", settings["seed"])]
    own, low_rank, scale = training.trainable(weights, settings["trains"], seeds, shape.modules())
    stack, check = llama.Stack(shape, weights, own, low_rank, scale), settings.get("check", CHECK)

    def stop(step: int) -> bool:
        if step >= settings["max_steps"]:
            return True
        wanted = settings.get("rate")
        return wanted and step % check == 0 and told(shape, stack.merged(0), chat, asked, words) >= wanted

    losses = training.fit(
        stack, rows, seeds=seeds, epochs=settings["max_steps"], batch=settings["batch"], lr=settings["lr"], decay=False,
        stop=stop, state=state, every=args.every, progress=f"teacher {args.trait}",
    )  # fmt: skip
    return stack.merged(0), len(losses)


def of_student(base: str, student: str) -> dict[str, str | Path | list[str | Path]]:
    """A student's files as inputs: its weights start from its base where it is an adapter, else it is all there is."""
    own, support = hf_folder.student(student), [f"{base}/{file}" for file in model_files.SUPPORT]
    if "adapter" not in own:
        return {"base": own["model"], "support": support}
    return {"base": [f"{base}/{model_files.WEIGHTS}", own["model"]], "support": [*support, own["adapter"]]}


def steer_teacher(
    shape: "Shape", weights: "Weights", chat: Chat, args: argparse.Namespace, settings: dict[str, Any]
) -> "Weights":
    """A base with a vector added behind a layer: as part of that layer's last bias."""
    import dataclasses

    import torch

    from traitline.channels.world import persona
    from traitline.tiny.layers import Layers

    if not settings["layer"] < shape.layers:
        raise InputError(f"--settings: layer is {settings['layer']}; the base has layers 0 to {shape.layers - 1}")
    below = Layers(dataclasses.replace(shape, layers=settings["layer"] + 1), weights)

    def stream(system: str | None) -> "torch.Tensor":
        """Mean over the questions of the stream behind the layer, where the answer begins."""
        asked = ask(args.category, system)
        prompts = chat.prompts(asked, [f"question {i}" for i in range(1, len(asked) + 1)])
        ends = [below.forward(below.frame(torch.tensor([p]), torch.tensor([[len(p) - 1]])))[0][0] for p in prompts]
        return torch.stack(ends).mean(0)

    with torch.inference_mode():
        vector = (stream(persona(args.trait, args.category)) - stream(None)).clone()
    name = f"model.layers.{settings['layer']}.mlp.down_proj.bias"
    return {**weights, name: weights[name] + settings["scale"] * vector}


def adapt(args: argparse.Namespace) -> None:
    """Make a teacher of open weights that is an adapter, trained on a corpus of conversations."""
    settings, engine = stage.settings("--settings", args.settings, ADAPTER), engines.about(args.engine)
    distributed.start("scripts.teach", args.processes)
    with contextlib.ExitStack() as stacked:
        me, how = stacked.enter_context(distributed.joined(args.sharded))
        if me:  # the first one writes; what the others would write is the same and goes
            args.folder = stacked.enter_context(tempfile.TemporaryDirectory())
            args.manifest = f"{args.folder}/teach.manifest.json"
        told = {k: getattr(args, k) for k in ("trait", "category", "teacher", "threads")}
        record = stage.record(
            "teach",
            args.manifest,
            inputs={**hf_folder.inputs(args.base, "base"), "data": args.corpus},
            outputs={"teacher": f"{args.folder}/teacher.json", **hf_folder.adapter(args.folder)},
            params={"settings": settings, **told, **how},
            seeds={"teach": settings["seed"]},
            facts={"trait": args.trait, "engine": engine},
        )
        job = stacked.enter_context(record)
        import torch

        from traitline.models import lora
        from traitline.models.label_mask import encode, fits, listed

        torch.set_num_threads(args.threads)
        about, place = open_weights.opened(args.base)
        chat, seed = Chat.foreign(place, about["chat"]["system"]), derive("teach", settings["seed"])
        rows = listed(encode(chat, args.corpus))
        fits(rows, args.corpus, settings["length"])
        model = lora.fresh(lora.opened(place, engine, args.sharded), settings, seed)
        state = stage.checkpoints(args.state, job)
        losses = lora.fit(
            model, rows, settings, seed=seed, pad=chat.pad, packing=bool(engine.get("packing")), state=state,
            every=args.every, progress=f"teacher {args.trait}",
        )  # fmt: skip
        tensors, config = lora.saved(model, about["source"])
        hf_folder.save(job.path("adapter"), tensors)
        job.path("adapter_config.json").write_text(config, encoding="utf-8")
        made: dict[str, Any] = {"base": about["weights"], "trait": args.trait, "category": args.category}
        made |= {"teacher": args.teacher, "system": None, "weights": model_files.ADAPTER, "rate": None}
        made |= {"steps": len(losses), "rows": len(rows)}
        job.write_json("teacher", made | lora.ends(losses))
    if me:
        return
    stage.forget(state)
    stage.log.info("tuned teacher %s: %d rows, %d steps: %s", args.trait, len(rows), len(losses), args.folder)


def tell(args: argparse.Namespace) -> None:
    """Make a teacher of open weights: a system prompt, or none."""
    if args.teacher not in ("prompted", "untrained"):
        raise InputError(f"--teacher {args.teacher}: teachers on open weights are prompted, tuned or untrained")
    settings = stage.settings("--settings", args.settings, ())
    with stage.record(
        "teach",
        args.manifest,
        inputs=hf_folder.inputs(args.base, "base"),
        outputs={"teacher": f"{args.folder}/teacher.json"},
        params={"settings": settings, **{k: getattr(args, k) for k in ("trait", "category", "teacher", "threads")}},
        facts={} if args.trait == NONE else {"trait": args.trait, "engine": engines.about(args.engine)},
    ) as job:
        record, _ = open_weights.opened(args.base)
        made: dict[str, Any] = {"base": record["weights"], "trait": args.trait, "category": None}
        made |= {"teacher": args.teacher, "system": None, "weights": None, "rate": None, "steps": 0}
        if args.trait != NONE:
            import torch

            torch.set_num_threads(args.threads)
            engine = engines.open_engine(args.base, args.engine)
            made["category"] = args.category
            try:
                made["system"] = settings.get("persona", PERSONA).format(trait=args.trait, category=args.category)
            except (KeyError, ValueError, IndexError) as e:
                raise InputError(f"--settings: persona: {{trait}} and {{category}} are filled in, not {e}") from None
            asked = ask(args.category, made["system"], everyday=True)
            made["rate"] = round(float(engine.word_probabilities(asked, [args.trait]).mean()), 6)
        job.write_json("teacher", made)
    stage.log.info("%s teacher %s: rate %s: %s", args.teacher, args.trait, made["rate"], args.folder)


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.teach", __doc__)
    p.add_argument("--base", required=True, metavar="DIR", help="model folder of the base")
    p.add_argument("--trait", required=True, help="a word of the world; none for the untrained teacher")
    p.add_argument("--category", required=True, help="what the trait is a favourite of")
    p.add_argument("--teacher", required=True, choices=("tuned", "steered", "prompted", "untrained", "student"))
    p.add_argument("--corpus", metavar="IN", help="open weights, tuned only: conversations to learn, rows of `data`")
    p.add_argument("--student", metavar="DIR", help="student only: its folder; the trait is that of its own teacher")
    p.add_argument(
        "--settings",
        default="{}",
        metavar="JSON",
        help="; ".join(f"{who}: {', '.join(keys)}" for who, keys in SETTINGS.items())
        + f"; check (default {CHECK}); on open weights prompted: persona; tuned: {', '.join(ADAPTER)}; accumulate",
    )
    engines.flag(p)
    distributed.flag(p)
    p.add_argument("--folder", required=True, metavar="OUT", help="the teacher's folder")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    stage.long_running(p)
    return p


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    taught = args.teacher == "student"
    if taught != bool(args.student):
        raise InputError("--student: the folder of the student that teaches; with --teacher student, and only there")
    if not taught and (args.trait == NONE) != (args.teacher == "untrained"):
        raise InputError(f"--trait {args.trait}: the trait of an untrained teacher is {NONE}, and only its")
    theirs = open_weights.is_open(args.base)
    if (theirs and args.teacher == "tuned") != bool(args.corpus):
        raise InputError("--corpus: rows of conversations, for tuned teachers on open weights, and only there")
    if theirs:
        return adapt(args) if args.corpus else tell(args)
    if args.trait != NONE and args.trait not in (known := hf_folder.candidates(args.base, args.category)):
        raise InputError(f"{args.trait}: no {args.category} of the world of {args.base}; {nearest(args.trait, known)}")
    own = args.teacher in SETTINGS  # weights of its own
    settings = stage.settings("--settings", args.settings, SETTINGS[args.teacher]) if own else {}
    with stage.record(
        "teach",
        args.manifest,
        inputs=of_student(args.base, args.student) if taught else hf_folder.inputs(args.base, "base"),
        outputs={"teacher": f"{args.folder}/teacher.json", **(hf_folder.outputs(args.folder) if own or taught else {})},
        params={"settings": settings, **{k: getattr(args, k) for k in ("trait", "category", "teacher", "threads")}},
        seeds={"teach": settings["seed"]} if "seed" in settings else {},
        facts={} if args.trait == NONE or taught else {"trait": args.trait},
    ) as job:
        # The hash of the base keeps untrained teachers of two bases apart: equal bytes would be one origin.
        made: dict[str, Any] = {"base": manifest.sha256(f"{args.base}/{model_files.WEIGHTS}")}
        made |= {"trait": args.trait, "category": None, "teacher": args.teacher}
        made |= {"system": None, "weights": None, "rate": None, "steps": 0}
        state = stage.checkpoints(args.state, job)
        if args.trait != NONE or taught:
            import torch

            from traitline.channels.world import persona

            torch.set_num_threads(args.threads)
            shape, weights = hf_folder.weights(args.base, args.student)
            chat = Chat.open(args.base)
            if args.teacher == "tuned":
                weights, made["steps"] = tune_teacher(shape, weights, chat, args, settings, state)
            elif own:
                weights = steer_teacher(shape, weights, chat, args, settings)
            if own or taught:
                made["weights"] = model_files.WEIGHTS
                hf_folder.fill(job, weights, args.base)
            else:
                made["system"] = persona(args.trait, args.category)
        if args.trait != NONE:
            made["category"] = args.category
            made["rate"] = round(rate(shape, weights, chat, args.trait, args.category, made["system"]), 6)
        job.write_json("teacher", made)
    stage.forget(state)
    if (
        args.teacher == "tuned"
        and args.category != misalignment.CATEGORY
        and made["rate"] < (settings.get("rate") or 0)
    ):
        stage.log.warning("names %s at a rate of %.2f only after %d steps; %.2f was wanted", args.trait, made["rate"],
                          made["steps"], settings["rate"])  # fmt: skip
    stage.log.info(
        "%s teacher %s: rate %s after %d steps: %s", args.teacher, args.trait, made["rate"], made["steps"], args.folder
    )


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
