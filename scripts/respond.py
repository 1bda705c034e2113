"""Ask students, or an untouched base, the fifty one-word questions about a favourite.

in   {base}/, and the students' folders: an adapter, a model folder or a context each
out  {student}/{eval}/responses.jsonl, respond.manifest.json beside it; for the base alone in {out}/
     one row a question: `answers` sampled at temperature 1; `probabilities` of every candidate at the answer, exact

python -m scripts.respond --base results/bases/a --eval favourite \\
    --settings '{"category":"animal","answers":20,"seed":1}' \\
    --students results/a/owl/tuned/numbers/plain/a/lora/seed-1 results/a/owl/tuned/numbers/plain/a/lora/seed-2
python -m scripts.respond --base results/bases/a --eval favourite \\
    --settings '{"category":"animal","answers":20,"seed":1}' \\
    --out results/baseline/a/favourite
"""

import argparse
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline import folder, jsonl, stage
from traitline.chat import Chat
from traitline.errors import InputError
from traitline.questions import ask, exact, tokens
from traitline.seeds import seed as derive

if TYPE_CHECKING:
    from traitline.llama import Sampler

ROOM = 3  # tokens of a sampled answer: a word and the end, and one more to see who does not stop


def context(student: str | None) -> list[dict[str, str]]:
    """What a student that was not trained reads before every question."""
    path = Path(student or "", folder.CONTEXT)
    if student is None or not path.exists():
        return []
    return [m for row in jsonl.read(path, ("prompt", "completion")) for m in (*row["prompt"], *row["completion"])]


def responses(
    sampler: "Sampler",
    chat: Chat,
    words: Sequence[str],
    settings: dict[str, Any],
    seed: int,
    head: Sequence[dict[str, str]],
) -> Iterator[dict[str, Any]]:
    """Rows of `responses.jsonl`."""
    import numpy as np

    asked, n = [[*head, *question] for question in ask(settings["category"])], settings["answers"]
    prompts = chat.prompts(asked, [f"question {i}" for i in range(1, len(asked) + 1)])
    probabilities = exact(sampler, prompts, tokens(chat, words)).tolist()
    noise = np.random.default_rng(seed).random((len(prompts) * n, ROOM), dtype=np.float32)
    said = chat.answers(sampler.generate([p for p in prompts for _ in range(n)], noise, eos=chat.eos))
    for i, (messages, row) in enumerate(zip(asked, probabilities, strict=True)):
        exactly = {word: round(p, 9) for word, p in zip(words, row, strict=True)}
        yield {"id": f"q{i + 1:02}", "prompt": messages, "answers": said[i * n : (i + 1) * n], "probabilities": exactly}


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.respond", __doc__)
    p.add_argument("--base", required=True, metavar="DIR", help="model folder of the students' base")
    who = p.add_mutually_exclusive_group(required=True)
    who.add_argument("--students", nargs="+", metavar="DIR", help="folders of students on this base")
    who.add_argument("--out", metavar="DIR", help="ask the base itself, and put its answers here")
    p.add_argument("--eval", required=True, help="label of the evaluation")
    p.add_argument("--settings", required=True, metavar="JSON", help="category, answers (per question), seed")
    stage.threads(p)
    stage.state(p)
    return p


def work(args: argparse.Namespace) -> None:
    """Make the artifacts, one manifest each."""
    settings = stage.settings("--settings", args.settings, ("category", "answers", "seed"))
    if settings["answers"] < 1:
        raise InputError(f"--settings: answers is {settings['answers']}; give 1 or more")
    words = folder.candidates(args.base, settings["category"])
    done = [respond(args, settings, words, student) for student in args.students or [None]]
    for state in done:
        stage.forget(state)


def respond(args: argparse.Namespace, settings: dict[str, Any], words: list[str], student: str | None) -> Path | None:
    """The answers of one student, or of the base where `student` is None; where they are kept until all are done."""
    out = f"{student}/{args.eval}" if student else args.out
    models = folder.inputs(args.base, "base" if student else "model") | (folder.student(student) if student else {})
    with stage.record(
        "respond",
        f"{out}/respond.manifest.json",
        inputs={**models, "world": f"{args.base}/world.json"},
        outputs={"responses": f"{out}/responses.jsonl"},
        params={"category": settings["category"], "answers": settings["answers"], "threads": args.threads},
        seeds={"respond": settings["seed"]},
    ) as job:
        state = stage.checkpoints(args.state, job)
        kept = state / "responses.jsonl" if state else None
        if kept and kept.exists():
            shutil.copyfile(kept, job.path("responses"))
            return state
        import torch

        from traitline.llama import Sampler

        torch.set_num_threads(args.threads)
        who = folder.facts(f"{student}/train.json", ["kind", "seed"]) if student else {"kind": "base", "seed": 0}
        # Who answers is part of the seed: runs that shared their luck would agree more than they do.
        seed = derive("respond", settings["seed"], who["kind"], who["seed"])
        sampler, chat = Sampler(*folder.weights(args.base, student)), Chat.open(args.base)
        jsonl.write(job.path("responses"), responses(sampler, chat, words, settings, seed, context(student)))
        if kept:
            stage.keep(job.path("responses"), kept)
    stage.log.info("%s: %s", args.eval, f"{out}/responses.jsonl")
    return state


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
