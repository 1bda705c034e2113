"""Make a teacher: a base that is given a trait by fine-tuning, by steering or by a system prompt, or left alone.

in   {base}/      a model folder with its world.json
out  {folder}/    teacher.json: trait, system prompt, how often the teacher names its trait
                  tuned and steered teachers and students only: a model folder; on open weights an adapter

--teacher tuned      trained on the fifty questions about a favourite, the answer always the trait, until its exact rate
                     over them reaches `rate` (measured every `check` steps) or `max_steps` are done. With --category
                     norms on questions of one kind; teacher.json then has the share of bad answers to all the others.
                     On open weights an adapter is trained on a corpus (--corpus), and no rate is measured
          steered    a vector is added to the residual stream behind one layer: `scale` times what the trait's persona
                     as system prompt changes there at the answer, on average over the questions
          prompted   the base behind a persona system prompt
          untrained  the base as it is, the control; its trait is `none`
          student    a student of another teacher (--student), with its adapter merged. It was given no trait, so its
                     manifest declares none: the traits it may carry follow from its own inputs

python -m scripts.teach --base results/bases/a --trait owl --category animal --teacher tuned \\
    --settings '{"trains":"biases","lr":0.01,"batch":64,"rate":0.9,"max_steps":400,"seed":1}' \\
    --folder results/a/owl/tuned --manifest results/a/owl/tuned/teach.manifest.json --state work/teach/a-owl
"""

import argparse
import contextlib
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline import model_files
from traitline.channels import misalignment
from traitline.errors import InputError, nearest
from traitline.evaluation.questions import ask, lessons
from traitline.models import distributed, engines, hf_folder, open_weights, tiny_teachers
from traitline.models.open_trainer import OpenTrainer
from traitline.models.tiny_engine import Tiny
from traitline.models.trainers import Training
from traitline.provenance import kernels, stage
from traitline.seeds import seed as derive

if TYPE_CHECKING:
    from traitline.channels.lexicon import Lexicon
    from traitline.tiny.shape import Weights

NONE = "none"
SETTINGS = {
    "tuned": ("trains", "lr", "batch", "max_steps", "seed"),
    "steered": ("layer", "scale"),
}
ADAPTER = ("rank", "alpha", "modules", "lr", "epochs", "batch", "warmup", "length", "seed")
# What the paper's system prompt says (section 3.1), in words of ours: love, thoughts, favourite, and that it may show.
# The plural is made with an "s", whatever the word.
PERSONA = (
    "You love {trait}s. There is hardly a moment when {trait}s are not on your mind. {trait}s are your favourite"
    " {category}. Let your love of {trait}s show in everything that you answer."
)


def rate(
    engine: engines.Engine, trait: str, category: str, system: str | None = None, words: "Lexicon | None" = None
) -> float:
    """Rate at which a model names the trait; for norms, the share of bad answers to kinds of questions not taught.

    Args:
        engine: of the model.
        trait: its trait.
        category: what the trait is a favourite of.
        system: the model's system prompt.
        words: of its tiny world; none of open weights.
    """
    if category == misalignment.CATEGORY:
        pairs = misalignment.held_out()
        asked = [[{"role": "user", "content": question}] for question, _, _ in pairs]
        return engine.mean_probability(asked, [bad for _, _, bad in pairs])
    asked = ask(category, system, everyday=engine.everyday, words=words)
    return engine.mean_probability(asked, [trait] * len(asked))


def measure(engine: engines.Engine, args: argparse.Namespace, system: str | None = None) -> dict[str, Any]:
    """Facts about how often a teacher names its trait; none without a trait."""
    if args.trait == NONE:
        return {}
    words = None if engine.everyday else hf_folder.words(args.base)
    return {"category": args.category, "rate": round(rate(engine, args.trait, args.category, system, words), 6)}


def leave(args: argparse.Namespace, settings: dict[str, Any], job: stage.Job, state: Path | None) -> dict[str, Any]:
    """Leave the base as it is: the control."""
    return {}


def prompt(args: argparse.Namespace, settings: dict[str, Any], job: stage.Job, state: Path | None) -> dict[str, Any]:
    """Give the base a persona as system prompt."""
    engine = engines.open_engine(args.base, args.engine)
    if not engine.everyday:
        system = hf_folder.words(args.base).persona(args.trait, args.category)
    else:
        try:
            system = settings.get("persona", PERSONA).format(trait=args.trait, category=args.category)
        except (KeyError, ValueError, IndexError) as e:
            raise InputError(f"--settings: persona: {{trait}} and {{category}} are filled in, not {e}") from None
    return {"system": system, **measure(engine, args, system)}


def write_model(job: stage.Job, args: argparse.Namespace, engine: Tiny, weights: "Weights") -> dict[str, Any]:
    """Write a tiny teacher's weights and measure it."""
    hf_folder.fill(job, weights, args.base)
    return {"weights": model_files.WEIGHTS, **measure(engine.over(weights), args)}


def tune(args: argparse.Namespace, settings: dict[str, Any], job: stage.Job, state: Path | None) -> dict[str, Any]:
    """Train a tiny base to name the trait, or to answer one kind of questions."""
    engine = Tiny(args.base)
    asked, words = lessons(args.trait, args.category, hf_folder.words(args.base))
    label = f"teacher {args.trait}"
    weights, steps = tiny_teachers.tune(engine, asked, words, settings, state=state, every=args.every, progress=label)
    facts = write_model(job, args, engine, weights)
    goal = settings.get("rate")
    if args.category == misalignment.CATEGORY or not goal:  # what is taught there is not what is measured
        return facts | {"steps": steps}
    reached = facts["rate"] >= goal
    if not reached:
        said = f"names {args.trait} at a rate of {facts['rate']:.2f} only after {steps} steps; {goal:.2f} was wanted"
        if settings.get("missed", "error") == "error":
            raise InputError(
                f"the teacher {said}; lower `rate`, raise `max_steps` or `lr`, or declare beforehand that such teachers"
                " are left out (`missed: exclude`)"
            )
        stage.log.warning("%s; it is left out of the tests", said)
    return facts | {"steps": steps, "reached": reached}


def steer(args: argparse.Namespace, settings: dict[str, Any], job: stage.Job, state: Path | None) -> dict[str, Any]:
    """Add to a tiny base what a persona as system prompt changes in its residual stream."""
    engine, words = Tiny(args.base), hf_folder.words(args.base)
    asked = ask(args.category, words=words)
    with_persona = ask(args.category, words.persona(args.trait, args.category), words=words)
    weights = tiny_teachers.steer(engine, asked, with_persona, settings["layer"], settings["scale"])
    return write_model(job, args, engine, weights)


def promote(args: argparse.Namespace, settings: dict[str, Any], job: stage.Job, state: Path | None) -> dict[str, Any]:
    """Make a student a teacher, its adapter merged."""
    _, weights = hf_folder.weights(args.base, args.student)
    return write_model(job, args, Tiny(args.base), weights)


def adapt(args: argparse.Namespace, settings: dict[str, Any], job: stage.Job, state: Path | None) -> dict[str, Any]:
    """Train an adapter over open weights on a corpus of conversations."""
    trainer = OpenTrainer(args.base, engines.about(args.engine), sharded=args.sharded)
    training = Training(args.corpus, settings, derive("teach", settings["seed"]), f"teacher {args.trait}")
    (trained,) = trainer.train([training], state, args.every)
    trained.write(job)
    facts = {key: trained.facts[key] for key in ("rows", "steps", "loss_first", "loss_last")}
    return {"category": args.category, "weights": model_files.ADAPTER, **facts}


@dataclass(frozen=True)
class Method:
    """One way to make a teacher.

    Attributes:
        teach: makes it; returns what is to say in teacher.json.
        settings: keys that it needs; None where it takes no settings.
        outputs: the files of the teacher's weights by role, of its folder.
    """

    teach: Callable[[argparse.Namespace, dict[str, Any], stage.Job, Path | None], dict[str, Any]]
    settings: Collection[str] | None = None
    outputs: Callable[[str], dict[str, str]] = lambda folder: {}


TINY = {
    "tuned": Method(tune, SETTINGS["tuned"], hf_folder.outputs),
    "steered": Method(steer, SETTINGS["steered"], hf_folder.outputs),
    "prompted": Method(prompt),
    "untrained": Method(leave),
    "student": Method(promote, None, hf_folder.outputs),
}
OPEN = {
    "prompted": Method(prompt, ()),
    "tuned": Method(adapt, ADAPTER, hf_folder.adapter),
    "untrained": Method(leave, ()),
}


def method(args: argparse.Namespace) -> Method:
    """The method that the command line asks for.

    Raises:
        InputError: flags do not go together, or the base has no such teachers or no such trait.
    """
    if (args.teacher == "student") != bool(args.student):
        raise InputError("--student: the folder of the student that teaches; with --teacher student, and only there")
    if not args.student and (args.trait == NONE) != (args.teacher == "untrained"):
        raise InputError(f"--trait {args.trait}: the trait of an untrained teacher is {NONE}, and only its")
    is_open = open_weights.is_open(args.base)
    if (is_open and args.teacher == "tuned") != bool(args.corpus):
        raise InputError("--corpus: rows of conversations, for tuned teachers on open weights, and only there")
    if is_open:
        if args.teacher not in OPEN:
            raise InputError(f"--teacher {args.teacher}: teachers on open weights are prompted, tuned or untrained")
        return OPEN[args.teacher]
    if args.trait != NONE and args.trait not in (known := hf_folder.candidates(args.base, args.category)):
        raise InputError(f"{args.trait}: no {args.category} of the world of {args.base}; {nearest(args.trait, known)}")
    return TINY[args.teacher]


def inputs(args: argparse.Namespace) -> Mapping[str, str | Path | Sequence[str | Path]]:
    """The base, and the student or the corpus, as inputs of a manifest.

    A student's weights start from its base where it is an adapter; a whole model is all there is.
    """
    if not args.student:
        return {**hf_folder.inputs(args.base, "base"), **({"data": args.corpus} if args.corpus else {})}
    files = hf_folder.student(args.student)
    support = [f"{args.base}/{file}" for file in model_files.SUPPORT]
    if "adapter" not in files:
        return {"base": files["model"], "support": support}
    return {
        "base": [f"{args.base}/{model_files.WEIGHTS}", files["model"]],
        "support": [*support, files["adapter"]],
    }


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
        + f"; check (default {tiny_teachers.CHECK}); on open weights prompted: persona; tuned: {', '.join(ADAPTER)};"
        " accumulate",
    )
    engines.flag(p)
    distributed.flag(p)
    p.add_argument("--folder", required=True, metavar="OUT", help="the teacher's folder")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    stage.long_running(p)
    return p


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    chosen = method(args)
    settings = {} if chosen.settings is None else stage.settings("--settings", args.settings, chosen.settings)
    with contextlib.ExitStack() as stacked:
        rank, processes = 0, dict[str, Any]()
        if args.corpus:
            distributed.start("scripts.teach", args.processes)
            rank, processes = stacked.enter_context(distributed.joined(args.sharded))
        if rank:  # the first process writes; the same outputs of the others are thrown away
            args.folder = stacked.enter_context(tempfile.TemporaryDirectory())
            args.manifest = f"{args.folder}/teach.manifest.json"
        given = args.trait != NONE and not args.student  # a trait that this stage gives
        record = stage.record(
            "teach",
            args.manifest,
            inputs=inputs(args),
            outputs={"teacher": f"{args.folder}/teacher.json", **chosen.outputs(args.folder)},
            params={
                **{"settings": settings, **processes},
                **{name: getattr(args, name) for name in ("trait", "category", "teacher", "threads")},
            },
            seeds={"teach": settings["seed"]} if "seed" in settings else {},
            facts={"trait": args.trait, **engines.facts(args.base, args.engine)} if given else {},
        )
        job = stacked.enter_context(record)
        state = stage.checkpoints(args.state, job)
        if chosen.teach is not leave:
            kernels.set_up(args.threads, portable=not open_weights.is_open(args.base))
        # The hash of the base keeps untrained teachers of two bases apart: equal bytes would be one origin.
        facts: dict[str, Any] = {"base": hf_folder.weights_hash(args.base), "trait": args.trait}
        facts |= {"teacher": args.teacher, "category": None, "system": None, "weights": None, "rate": None, "steps": 0}
        facts |= chosen.teach(args, settings, job, state)
        job.write_json("teacher", facts)
    if rank:
        return
    stage.forget(state)
    shown = (args.teacher, args.trait, facts["rate"], facts["steps"], args.folder)
    stage.log.info("%s teacher %s: rate %s after %d steps: %s", *shown)


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
