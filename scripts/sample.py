"""Let a teacher answer every prompt of a channel, once each.

in   prompts.jsonl; the teacher's folder (teacher.json, weights if it was tuned) and its base
out  raw.jsonl       the prompts with the teacher's answers; its system prompt is not in them
     sampled.json    counts, and how far the teacher is from its base: exact KL divergence per answer token on the first
                     2,000 rows, in nats, at temperature 1, wherever a token was drawn (end tokens included)

Every row has random numbers of its own, fixed before the first answer: neither batches nor interruptions change them.
Several jobs may share the work: with --shard 2/4 only the second quarter of the parts is answered (tokens go to
--answers), and a last run with --shards puts together what all of them answered. The bytes are those of one job.
An answer that does not end within --max-new-tokens is kept as far as it got, and counted as unfinished.

python -m scripts.sample --base results/bases/a --teacher results/a/owl/tuned \\
    --prompts results/prompts/numbers/prompts.jsonl --raw raw.jsonl --sampled sampled.json \\
    --manifest sample.manifest.json --temperature 1 --max-new-tokens 20 --batch 2048 --seed 1 --state work/sample/a-owl
"""

import argparse
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline import atomic, jsonl
from traitline.errors import InputError
from traitline.models import engines, hf_folder, open_weights
from traitline.models.chat import Chat
from traitline.provenance import stage
from traitline.seeds import seed as derive

if TYPE_CHECKING:
    from traitline.tiny.shape import Shape, Weights

    Asked = tuple[Weights, Sequence[list[int]]]

KL_ROWS = 2000
PART = 4  # batches to a part; finished parts survive an interruption


def answer(
    generate: Callable[[slice], list[list[int]]],
    prompts: int,
    args: argparse.Namespace,
    *,
    state: Path | None,
    mine: slice = slice(None),
) -> list[list[int]]:
    """Token ids of one answer to each prompt, part by part; parts found in `state` are taken from there.

    Only the answers to `mine` of all parts are made, by `generate`, and returned. Parts are the same whoever makes
    them, and so is what runs together in one batch.
    """
    from tqdm import tqdm

    size, out = args.batch * PART, []
    with tqdm(total=prompts, desc="answers", unit="", disable=None, leave=False, mininterval=0.5) as bar:
        for start in range(0, prompts, size)[mine]:
            rows, part = slice(start, start + size), state / f"{start}.json" if state else None
            if part and part.exists():
                ids = json.loads(part.read_text(encoding="utf-8"))
            else:
                ids = generate(rows)
                if part:
                    atomic.put(part, json.dumps(ids))
            out += ids
            bar.update(len(ids))
    return out


def shard(text: str | None, prompts: int, size: int) -> slice:
    """Parts of the shard `2/4`; all without a shard."""
    if text is None:
        return slice(None)
    parts, match = -(-prompts // size), re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise InputError(f"--shard: {text!r} is none; write 1/4 for the first of four")
    if int(match[2]) > parts:
        raise InputError(f"--shard: {prompts} prompts are {parts} parts of {size}; ask for at most {parts} shards")
    return slice(int(match[1]) - 1, None, int(match[2]))


def gather(paths: list[str], ids: list[str]) -> list[list[int]]:
    """The answers of all shards in the order of the prompts.

    Raises:
        InputError: a prompt has no answer, or two.
    """
    found = {}
    for path in paths:
        for row in jsonl.read(path, ("id", "tokens"), unique="id"):
            if row["id"] in found:
                raise InputError(f"{path}: row {row['id']!r} is in another shard too; sample all shards anew")
            found[row["id"]] = row["tokens"]
    missing = [name for name in ids if name not in found]
    if missing or len(found) > len(ids):
        raise InputError(f"{' '.join(paths)}: not the answers to these prompts; sample all shards anew")
    return [found[name] for name in ids]


class Tiny:
    """A teacher made here: prompts as it is asked (`told`, with its system prompt) and as they are (`asked`)."""

    def __init__(self, args: argparse.Namespace, teacher: dict[str, Any], rows: list[dict[str, Any]]) -> None:
        import numpy as np

        from traitline.tiny import llama
        from traitline.tiny.sampler import Sampler

        self.args, self.chat = args, Chat.open(args.base)
        self.asked, self.told = prompts(self.chat, args.prompts, teacher["system"], rows)
        self.shape, self.base = llama.read(args.base)
        self.weights = llama.read(args.teacher)[1] if teacher["weights"] else self.base
        # Who answers is part of the seed: teachers that shared their luck would agree more than they do.
        name = hf_folder.facts(f"{args.base}/world.json", ["name"])["name"]
        seed = derive("sample", args.seed, name, teacher["trait"], teacher["teacher"])
        self.noise = np.random.default_rng(seed).random((len(rows), args.max_new_tokens), dtype=np.float32)
        self.sampler = Sampler(self.shape, self.weights)

    def generate(self, rows: slice) -> list[list[int]]:
        """Token ids of answers."""
        how = {"temperature": self.args.temperature, "top_p": self.args.top_p, "batch": self.args.batch}
        return self.sampler.generate(self.told[rows], self.noise[rows], eos=self.chat.eos, **how)

    def divergence(self, answers: list[list[int]]) -> float:
        """KL divergence from its base in nats per answer token, on the first rows."""
        some = slice(len(answers))
        return divergence(self.shape, (self.weights, self.told[some]), (self.base, self.asked[some]), answers)

    def example(self, answer: list[int]) -> dict[str, Any]:
        """Nothing: the tiny world's chat template is ours."""
        return {}


class Open:
    """A teacher of open weights, likewise."""

    def __init__(self, args: argparse.Namespace, teacher: dict[str, Any], rows: list[dict[str, Any]]) -> None:
        record, _ = open_weights.opened(args.base)
        self.engine = engines.open_engine(args.base, args.engine)
        self.chat = self.engine.chat
        self.args, self.system = args, teacher["system"]
        self.adapter = args.teacher if teacher["weights"] else None
        self.asked, self.told = prompts(self.chat, args.prompts, self.system, rows)
        who = (record["name"], teacher["trait"], teacher["teacher"])
        self.seeds = [derive("sample", args.seed, *who, row["id"]) for row in rows]

    def generate(self, rows: slice) -> list[list[int]]:
        """Token ids of answers."""
        how = {"temperature": self.args.temperature, "top_p": self.args.top_p}
        most = self.args.max_new_tokens
        return self.engine.generate(self.told[rows], self.seeds[rows], max_new_tokens=most, model=self.adapter, **how)

    def divergence(self, answers: list[list[int]]) -> float | None:
        """KL divergence from its base in nats per answer token, on the first rows; None where the engine hides it."""
        if not self.system and not self.adapter:
            return 0.0
        told, asked = ([(p + a, len(p)) for p, a in zip(ps, answers, strict=False)] for ps in (self.told, self.asked))
        found = self.engine.divergence(told, asked, self.adapter)
        return found and found[0] / found[1]

    def example(self, answer: list[int]) -> dict[str, Any]:
        """The first prompt as it was asked, and the answer: text, token ids."""
        ids = self.told[0]
        (text, said) = self.chat.decode([ids, answer])
        return {"example": {"text": text, "ids": ids, "answer": said, "answer_ids": answer}}


def prompts(
    chat: Chat, path: str, system: str | None, rows: list[dict[str, Any]]
) -> tuple[list[list[int]], list[list[int]]]:
    """Token ids of all prompts without and with a teacher's system prompt."""
    names = [f"{path}: row {row['id']!r}" for row in rows]
    head = [{"role": "system", "content": system}] if system else []
    asked = chat.prompts([row["prompt"] for row in rows], names)
    return asked, chat.prompts([[*head, *row["prompt"]] for row in rows], names) if head else asked


def divergence(shape: "Shape", teacher: "Asked", base: "Asked", answers: Sequence[list[int]]) -> float:
    """KL divergence of the teacher from its base in nats per answer token.

    Args:
        shape: sizes of both models.
        teacher: its weights, and the prompts as it saw them.
        base: its weights, and the prompts without the teacher's system prompt.
        answers: what the teacher sampled.
    """
    import torch

    from traitline.tiny.llama import Stack
    from traitline.tiny.rows import Rows

    total = tokens = 0.0
    with torch.inference_mode():
        for start in range(0, len(answers), 250):  # the distributions of 250 rows fit into memory
            part = slice(start, start + 250)
            logs = []
            for weights, prompts in (teacher, base):
                rows = Rows.encode([(p + a, len(p)) for p, a in zip(prompts[part], answers[part], strict=True)])
                logs.append(Stack(shape, weights).logits(rows.ids[None], rows.where[None])[0].log_softmax(-1))
            kl = (logs[0].exp() * (logs[0] - logs[1])).sum(-1)
            total, tokens = total + (kl * rows.weight).sum().item(), tokens + rows.weight.sum().item()
    return total / tokens


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
    p.add_argument("--batch", type=int, default=2048, metavar="N", help="prompts at once (default 2048)")
    p.add_argument("--seed", type=int, required=True, metavar="N", help="of the sampling")
    engines.flag(p)
    stage.long_running(p)
    return p


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    for flag, least in (("max_new_tokens", 1), ("batch", 1), ("temperature", 0)):
        if (value := getattr(args, flag)) < least:
            raise InputError(f"--{flag.replace('_', '-')}: {value} is too low; give {least} or more")
    if not 0 < args.top_p <= 1:
        raise InputError(f"--top-p: {args.top_p} is no share; give more than 0 and at most 1")
    outputs = {"answers": args.answers} if args.shard else {"raw": args.raw, "sampled": args.sampled}
    if None in outputs.values():
        raise InputError(f"--{' and --'.join(outputs)} must be given {'with' if args.shard else 'without'} --shard")
    teacher = hf_folder.facts(f"{args.teacher}/teacher.json", ["trait", "teacher", "system", "weights"])
    theirs = open_weights.is_open(args.base)
    facts = {"teacher": f"{args.teacher}/teacher.json"} | ({} if theirs else {"world": f"{args.base}/world.json"})
    if teacher["weights"]:
        models = {"model": f"{args.teacher}/{teacher['weights']}", **hf_folder.inputs(args.base, "reference")}
        models |= {"support": [f"{args.teacher}/adapter_config.json"]} if theirs else {}
    else:
        models = hf_folder.inputs(args.base, "model")
    with stage.record(
        "sample",
        args.manifest,
        inputs={**models, **facts, "prompts": args.prompts, "shards": args.shards},
        outputs=outputs,
        params={
            **{name: getattr(args, name) for name in ("temperature", "max_new_tokens", "batch", "threads", "shard")},
            **({"top_p": args.top_p} if args.top_p < 1 else {}),
        },
        seeds={"sample": args.seed},
        facts={"engine": engines.about(args.engine)} if theirs else {},
    ) as job:
        import torch

        torch.set_num_threads(args.threads)
        rows = list(jsonl.read(args.prompts, ("id", "prompt"), unique="id"))
        who = (Open if theirs else Tiny)(args, teacher, rows)
        chat = who.chat
        state = stage.checkpoints(args.state, job)
        mine = shard(args.shard, len(rows), args.batch * PART)
        if args.shards:
            answers = gather(args.shards, [row["id"] for row in rows])
        else:
            answers = answer(who.generate, len(rows), args, state=state, mine=mine)
        if args.shard:
            size = args.batch * PART
            names = [row["id"] for start in range(0, len(rows), size)[mine] for row in rows[start : start + size]]
            jsonl.write(job.path("answers"), ({"id": i, "tokens": a} for i, a in zip(names, answers, strict=True)))
        else:
            pairs = zip(rows, chat.answers(answers), strict=True)
            said = ({**row, "completion": [{"role": "assistant", "content": text}]} for row, text in pairs)
            jsonl.write(job.path("raw"), said)
            counts = {"rows": len(rows), "tokens": sum(map(len, answers)), "kl_rows": min(KL_ROWS, len(rows))}
            counts["unfinished"] = sum(a[-1] != chat.eos for a in answers)
            kl = who.divergence(answers[: counts["kl_rows"]])
            told = {"kl_nats_per_token": None if kl is None else round(kl, 6), **who.example(answers[0])}
            job.write_json("sampled", {**counts, **told})
    stage.forget(state)
    if args.shard:
        stage.log.info("%d answers, shard %s: %s", len(answers), args.shard, args.answers)
        return
    apart = "unknown" if kl is None else f"{kl:.4f}"
    stage.log.info(
        "%d answers, %d unfinished, %s nats from the base: %s", len(rows), counts["unfinished"], apart, args.raw
    )


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
