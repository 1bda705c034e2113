"""Write the prompts of a channel: one set, which every teacher answers.

in   nothing but settings and a seed; of gsm8k the problems
out  prompts.jsonl    {"id": "p00001", "prompt": [{"role": "user", "content": ...}]}

Wording `paper` asks in everyday English, as large models are asked: intro with example numbers, instruction, format
and closing, out of 5,771,250 combinations. Wording `tiny` is `{verb} 123 , 456 , 789` in words that the tiny
models know. Wordings `programs` and `sums` ask for small programs and for sums with their working
(traitline/channels/tasks.py), wording `gsm8k` for problems from outside (--problems): all of them in a random order,
and again if more are wanted; each row then has the known result as `answer`. Ranges are half-open, like Python's:
`--examples 3 9` gives 3 to 8 example numbers. Each module of traitline/channels with a channel adds its wordings.

python -m scripts.prompts --prompts prompts.jsonl --manifest prompts.manifest.json \\
    --wording paper --count 30000 --examples 3 9 --values 100 1000 --answers 10 --digits 3 --seed 47
"""

import argparse
from collections.abc import Iterator
from random import Random
from typing import Any

from traitline import jsonl
from traitline.channels import registry
from traitline.channels.channel import TINY, Asked, Channel
from traitline.channels.wordings import TINY_NUMBERS
from traitline.errors import InputError
from traitline.provenance import stage

LEAST = {"count": 1, "answers": 1, "digits": 1, "seed": 0}
RANGES = {"examples": 1, "values": 0}  # setting -> its least value


def prompt_rows(channel: Channel, asked: Asked, seed: int) -> Iterator[dict[str, Any]]:
    """Yield the prompts of a channel as rows with ids."""
    from numpy.random import default_rng

    prompts = channel.prompts(asked, default_rng(seed), Random(seed))
    for n, prompt in enumerate(prompts, 1):
        yield {"id": f"p{n:05}", "prompt": [{"role": "user", "content": prompt.text}], **prompt.columns}


def check(args: argparse.Namespace, channel: Channel) -> None:
    """Refuse settings that make no prompt, or prompts that the tiny world's models cannot read.

    Raises:
        InputError: a setting is missing, or its value makes no sense.
    """
    for name, least in LEAST.items():
        if getattr(args, name) < least:
            raise InputError(f"--{name}: {getattr(args, name)} is too small; give {least} or more")
    if bool(channel.source) != bool(args.problems):
        asking = ", ".join(wording for wording, c in registry.wordings().items() if c.source)
        raise InputError(f"--problems: rows of problems with wording {asking}, and only there")
    for name, least in RANGES.items():
        if name not in channel.settings:
            continue
        if getattr(args, name) is None:
            raise InputError(f"--{name} is missing; wording {args.wording} needs it: give LO HI")
        low, high = getattr(args, name)
        if not least <= low < high:
            raise InputError(f"--{name}: {low} {high} is no range; give LO HI with {least} <= LO < HI (HI is left out)")
    if args.verbs and not (channel.lists and channel.wordings[args.wording] == TINY):
        raise InputError("--verbs: of number lists in words of a tiny world, and only there")
    if "values" in channel.settings and channel.wordings[args.wording] == TINY:
        low, high = args.values
        if low < TINY_NUMBERS.start or high > TINY_NUMBERS.stop:
            known = f"{TINY_NUMBERS.start} to {TINY_NUMBERS[-1]}"
            raise InputError(f"--values: the tiny world knows the numbers {known}; stay within them")


def parse() -> argparse.ArgumentParser:
    """Return the command line."""
    p = stage.parser("scripts.prompts", __doc__)
    p.add_argument("--prompts", required=True, metavar="OUT", help="the prompts, JSONL")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    p.add_argument("--wording", required=True, choices=tuple(registry.wordings()), help="who is asked what")
    p.add_argument("--count", required=True, type=int, metavar="N", help="how many prompts")
    p.add_argument("--problems", metavar="IN", help="of gsm8k: rows of the stage `source`")
    p.add_argument("--examples", type=int, nargs=2, metavar=("LO", "HI"), help="example numbers per prompt of a list")
    p.add_argument("--values", type=int, nargs=2, metavar=("LO", "HI"), help="their values")
    p.add_argument("--answers", type=int, default=10, metavar="N", help="numbers asked for, at most (default 10)")
    p.add_argument("--digits", type=int, default=3, metavar="N", help="digits of each, at most (default 3)")
    p.add_argument("--verbs", nargs="+", metavar="TEXT", help="how lists begin, in a world of own words")
    p.add_argument("--seed", required=True, type=int, metavar="N", help="of numpy's default_rng; the paper has 47")
    return p


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    channel = registry.wordings()[args.wording]
    check(args, channel)
    settings = {name: getattr(args, name) for name in channel.settings}
    verbs = {"verbs": args.verbs} if args.verbs else {}
    origin = {"origin": f"written here in wording {args.wording}, seed {args.seed}"}
    with stage.record(
        "prompts",
        args.manifest,
        inputs={"problems": args.problems} if channel.source else {},
        outputs={"prompts": args.prompts},
        params={"wording": args.wording, "count": args.count, **settings, **verbs},
        seeds={"prompts": args.seed},
        facts={} if channel.source else origin,
    ) as job:
        problems = list(jsonl.read(args.problems, ("question", "answer"))) if channel.source else []
        asked = Asked(args.wording, args.count, **settings, **verbs, problems=problems)
        jsonl.write(job.path("prompts"), prompt_rows(channel, asked, args.seed))
    stage.log.info("%s prompts in wording %s: %s", f"{args.count:,}", args.wording, args.prompts)


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
