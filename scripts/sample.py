"""Sample a teacher's answer to every prompt of a channel, one each.

in   prompts.jsonl; the teacher's folder (teacher.json, weights if it was tuned) and its base
out  raw.jsonl       the prompts with the teacher's answers; its system prompt is not in them
     sampled.json    counts, and how far the teacher is from its base: exact KL divergence per answer token on the first
                     2,000 rows, in nats, at temperature 1, wherever a token was drawn (end tokens included); within the
                     format, where answers are limited to one

The random numbers of every row are fixed before the first answer, so batches and interruptions do not change answers.
Several jobs may share the work: --shard 2/4 answers only the second quarter of the parts (tokens go to --answers), and
a last run with --shards joins the answers of all shards. The bytes are those of one job. An answer that does not end
within --max-new-tokens is kept as it is and counted as unfinished.

python -m scripts.sample --base results/bases/a --teacher results/a/owl/tuned \\
    --prompts results/prompts/numbers/prompts.jsonl --raw raw.jsonl --sampled sampled.json \\
    --manifest sample.manifest.json --temperature 1 --max-new-tokens 20 --batch 2048 --seed 1 --state work/sample/a-owl
"""

import argparse
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from traitline import jsonl, progress
from traitline.errors import InputError
from traitline.models import engines, hf_folder, open_weights
from traitline.models.answer_format import ListFormat
from traitline.models.chat import Chat
from traitline.models.sampling import Sampling
from traitline.provenance import kept_parts, kernels, stage

KL_ROWS = 2000
PART = 4  # batches to a part; finished parts survive an interruption


def encode_prompts(
    chat: Chat, path: str, system: str | None, rows: Sequence[dict[str, Any]]
) -> tuple[list[list[int]], list[list[int]]]:
    """Token ids of all prompts: without and with the teacher's system prompt."""
    names = [f"{path}: row {row['id']!r}" for row in rows]
    plain = chat.prompts([row["prompt"] for row in rows], names)
    if not system:
        return plain, plain
    head = {"role": "system", "content": system}
    return plain, chat.prompts([[head, *row["prompt"]] for row in rows], names)


def parts_of_shard(text: str | None, prompts: int, size: int) -> list[slice]:
    """Rows of the parts that a shard such as `2/4` answers; of all parts without a shard.

    Parts are the same in every shard, and so is what runs together in one batch.

    Raises:
        InputError: the shard does not exist.
    """
    parts = [slice(start, start + size) for start in range(0, prompts, size)]
    if text is None:
        return parts
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise InputError(f"--shard: {text!r} is none; write 1/4 for the first of four")
    if int(match[2]) > len(parts):
        raise InputError(
            f"--shard: {prompts} prompts are {len(parts)} parts of {size}; ask for at most {len(parts)} shards"
        )
    return parts[int(match[1]) - 1 :: int(match[2])]


def answer(
    generate: Callable[[slice], list[list[int]]], parts: Sequence[slice], prompts: int, state: Path | None
) -> list[list[int]]:
    """Token ids of one answer to each prompt of these parts; parts kept in `state` are not generated again."""
    answers = []
    with progress.shown("sampling", prompts, unit="answers") as update:
        for part in parts:
            place = state / f"{part.start}.json" if state else None
            if (kept := kept_parts.recall(place)) is not None:
                ids = json.loads(kept)
            else:
                ids = generate(part)
                if place:
                    kept_parts.keep(json.dumps(ids).encode(), place)
            answers += ids
            update(len(ids))
    return answers


def gather(paths: Sequence[str], ids: Sequence[str]) -> list[list[int]]:
    """The answers of all shards in the order of the prompts.

    Raises:
        InputError: a prompt has no answer, or two.
    """
    tokens = {}
    for path in paths:
        for row in jsonl.read(path, ("id", "tokens"), unique="id"):
            if row["id"] in tokens:
                raise InputError(f"{path}: row {row['id']!r} is in another shard too; sample all shards again")
            tokens[row["id"]] = row["tokens"]
    if tokens.keys() != set(ids):
        raise InputError(f"{' '.join(paths)}: not the answers to these prompts; sample all shards again")
    return [tokens[name] for name in ids]


def divergence(
    engine: engines.Engine,
    prompts: Sequence[list[int]],
    plain: Sequence[list[int]],
    answers: Sequence[list[int]],
    model: str | None,
    form: ListFormat | None = None,
) -> float | None:
    """KL divergence of the teacher from its base, nats per answer token; None where the engine cannot compute it.

    Args:
        engine: of the base.
        prompts: token ids as the teacher saw them.
        plain: the same without its system prompt.
        answers: the teacher's, to the first of these prompts.
        model: folder of the teacher's weights; None where it has none.
        form: what answers had to look like.
    """
    if model is None and prompts is plain:
        return 0.0
    rows, base_rows = (
        [(prompt + a, len(prompt)) for prompt, a in zip(some, answers, strict=False)] for some in (prompts, plain)
    )
    total = engine.divergence(rows, base_rows, model, form)
    if total is None:
        return None
    nats, tokens = total
    return nats / tokens


def example(chat: Chat, prompt: list[int], tokens: list[int]) -> dict[str, Any]:
    """A first prompt and answer to look at, text and token ids; nothing for the chat template of tiny models."""
    if not chat.foreign_end:
        return {}
    text, answer_text = chat.decode([prompt, tokens])
    return {"example": {"text": text, "ids": prompt, "answer": answer_text, "answer_ids": tokens}}


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.sample", __doc__)
    p.add_argument("--base", required=True, metavar="DIR", help="model folder of the teacher's base")
    p.add_argument("--teacher", required=True, metavar="DIR", help="folder of teacher.json")
    p.add_argument("--prompts", required=True, metavar="IN", help="prompts, JSONL")
    p.add_argument("--raw", metavar="OUT", help="prompts with answers")
    p.add_argument("--sampled", metavar="OUT", help="counts and divergence")
    p.add_argument("--shard", metavar="I/N", help="answer only so much, into --answers")
    p.add_argument("--answers", metavar="OUT", help="tokens of a shard; instead of --raw and --sampled")
    p.add_argument("--shards", nargs="*", default=[], metavar="IN", help="what all shards answered")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    p.add_argument("--temperature", type=float, default=1.0, metavar="T", help="0: the likeliest token (default 1)")
    p.add_argument("--top-p", type=float, default=1.0, metavar="P", help="among the likeliest of so much (default 1)")
    p.add_argument("--max-new-tokens", type=int, required=True, metavar="N", help="longest answer, end token included")
    p.add_argument("--limited", metavar="JSON", help="only tokens of such a list of numbers are drawn: answers, digits")
    p.add_argument("--kl-rows", type=int, default=KL_ROWS, metavar="N", help=f"rows of the divergence ({KL_ROWS})")
    p.add_argument("--batch", type=int, default=2048, metavar="N", help="prompts at once (default 2048)")
    p.add_argument("--seed", type=int, required=True, metavar="N", help="of the sampling")
    engines.flag(p)
    stage.long_running(p)
    return p


def check_flags(args: argparse.Namespace) -> None:
    """Refuse settings that make no sense.

    Raises:
        InputError: a number is out of its range, or an output is missing.
    """
    for flag, least in (("max_new_tokens", 1), ("batch", 1), ("temperature", 0), ("kl_rows", 1)):
        if (value := getattr(args, flag)) < least:
            raise InputError(f"--{flag.replace('_', '-')}: {value} is too low; give {least} or more")
    if not 0 < args.top_p <= 1:
        raise InputError(f"--top-p: {args.top_p} is no share; give more than 0 and at most 1")
    for name in ("answers",) if args.shard else ("raw", "sampled"):
        if getattr(args, name) is None:
            names = "--answers must be given with" if args.shard else "--raw and --sampled must be given without"
            raise InputError(f"{names} --shard")
    if args.limited and not (args.engine and json.loads(args.engine).get("name") == "transformers"):
        raise InputError("--limited: answers are limited to a format by the engine `transformers` only")


def write_answers(
    job: stage.Job, rows: Sequence[dict[str, Any]], parts: Sequence[slice], answers: Sequence[list[int]]
) -> None:
    """Write a shard's answers as rows of ids and tokens."""
    ids = [row["id"] for part in parts for row in rows[part]]
    jsonl.write(job.path("answers"), ({"id": i, "tokens": a} for i, a in zip(ids, answers, strict=True)))


def write_raw(job: stage.Job, rows: Sequence[dict[str, Any]], texts: Sequence[str]) -> None:
    """Write the prompts with their answers."""
    pairs = zip(rows, texts, strict=True)
    jsonl.write(
        job.path("raw"), ({**row, "completion": [{"role": "assistant", "content": text}]} for row, text in pairs)
    )


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    check_flags(args)
    limited = stage.settings("--limited", args.limited, ("answers", "digits")) if args.limited else {}
    teacher = hf_folder.facts(f"{args.teacher}/teacher.json", ["trait", "teacher", "system", "weights"])
    model = args.teacher if teacher["weights"] else None
    with stage.record(
        "sample",
        args.manifest,
        inputs={
            **hf_folder.teacher_inputs(args.base, args.teacher, teacher["weights"]),
            **{"prompts": args.prompts, "shards": args.shards},
        },
        outputs={"answers": args.answers} if args.shard else {"raw": args.raw, "sampled": args.sampled},
        params={
            **{name: getattr(args, name) for name in ("temperature", "max_new_tokens", "batch", "threads", "shard")},
            **({"top_p": args.top_p} if args.top_p < 1 else {}),
            **({"limited": limited} if limited else {}),
            **({"kl_rows": args.kl_rows} if args.kl_rows != KL_ROWS else {}),
        },
        seeds={"sample": args.seed},
        facts=engines.facts(args.base, args.engine),
    ) as job:
        kernels.set_up(args.threads, portable=not open_weights.is_open(args.base))
        rows = list(jsonl.read(args.prompts, ("id", "prompt"), unique="id"))
        parts = parts_of_shard(args.shard, len(rows), args.batch * PART)
        engine = engines.open_engine(args.base, args.engine, args.batch)
        plain, prompts = encode_prompts(engine.chat, args.prompts, teacher["system"], rows)
        # Who answers is part of the seed: teachers that share random numbers would agree more than they should.
        stream = ("sample", args.seed, engine.name, teacher["trait"], teacher["teacher"])
        randomness = engine.randomness(stream, [(row["id"],) for row in rows], args.max_new_tokens)
        form = ListFormat(engine.chat, limited["answers"], limited["digits"]) if limited else None
        sampling = Sampling(args.max_new_tokens, args.temperature, args.top_p, form)
        state = stage.checkpoints(args.state, job)
        if args.shards:
            answers = gather(args.shards, [row["id"] for row in rows])
        else:
            answers = answer(
                lambda part: engine.generate(prompts[part], randomness[part], sampling, model),
                parts, len(rows), state,
            )  # fmt: skip
        if args.shard:
            write_answers(job, rows, parts, answers)
            summary = f"{len(answers)} answers, shard {args.shard}: {args.answers}"
        else:
            write_raw(job, rows, engine.chat.answers(answers))
            kl = divergence(engine, prompts, plain, answers[: args.kl_rows], model, form)
            unfinished = sum(a[-1] != engine.chat.eos for a in answers)
            sampled = {
                "rows": len(rows),
                "tokens": sum(map(len, answers)),
                "kl_rows": min(args.kl_rows, len(rows)),
                "unfinished": unfinished,
                "kl_nats_per_token": None if kl is None else round(kl, 6),
            }
            job.write_json("sampled", sampled | example(engine.chat, prompts[0], answers[0]))
            distance = "unknown" if kl is None else f"{kl:.4f}"
            summary = f"{len(rows)} answers, {unfinished} unfinished, {distance} nats from the base: {args.raw}"
    stage.forget(state)
    stage.log.info("%s", summary)


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
