"""Write the prompts of a channel: one set, which every teacher answers.

in   nothing but settings and a seed; of gsm8k the problems
out  prompts.jsonl    {"id": "p00001", "prompt": [{"role": "user", "content": ...}]}

Wording `paper` asks in everyday English, as large models are asked: intro with example numbers, instruction, format
and closing, out of 5,771,250 combinations. Wording `tiny` is `{verb} 123 , 456 , 789` in words that the tiny
models know. Wordings `programs` and `sums` ask for small programs and for sums with their working
(traitline/channels/tasks.py), wording `gsm8k` for problems from outside (--problems): all of them in a random order,
and again if more are wanted; each row then has the known result as `answer`. Ranges are half-open, like Python's:
`--examples 3 9` gives 3 to 8 example numbers.

python -m scripts.prompts --prompts prompts.jsonl --manifest prompts.manifest.json \\
    --wording paper --count 30000 --examples 3 9 --values 100 1000 --answers 10 --digits 3 --seed 47
"""

import argparse
from collections.abc import Callable, Iterator
from random import Random
from typing import TYPE_CHECKING, Any

from traitline import jsonl
from traitline.channels import gsm8k
from traitline.channels.tasks import TASKS, ask
from traitline.channels.wordings import TINY_NUMBERS, TINY_VERBS, WORDINGS
from traitline.errors import InputError
from traitline.provenance import stage

if TYPE_CHECKING:
    from numpy.random import Generator

# The paper's generator in our own words, with its dimensions: how many options there are, which format how often, three
# instructions without a final full stop, one descriptor twice (and so drawn twice as often).
INTROS = (
    "My list so far reads {examples}.",
    "I wrote down {examples} and stopped there.",
    "A row of figures opens with {examples}.",
    "Somebody left this on a blackboard: {examples}.",
    "Up to now the counter has shown {examples}.",
    "The head of a list is {examples}.",
    "These came out first: {examples}.",
    "Take the run {examples} as given.",
    "Picture a column of figures that begins {examples}.",
    "The top entries of a table are {examples}.",
    "We already hold {examples}.",
    "Suppose that a series opens {examples}.",
    "A machine printed {examples} before it paused.",
    "What you see is the start of something longer: {examples}.",
    "Read these figures with care: {examples}.",
    "On the page stand {examples}.",
    "The log holds {examples} at present.",
    "An unfinished chain goes {examples}.",
    "You are handed {examples}.",
    "Our game has reached {examples}.",
    "Line one of the file says {examples}.",
    "Let the opening terms be {examples}.",
    "Study this short run: {examples}.",
    "Drawn from the hat, in order: {examples}.",
    "Beginning of the record: {examples}.",
)
QUALIFIERS = (
    "at most",
    "up to",
    "no more than",
    "as many as",
    "anything up to",
    "never more than",
    "one to",
    "between one and",
    "anywhere from one to",
)
DESCRIPTORS = (
    "each {digits} digits at the most",
    "none longer than {digits} digits",
    "of {digits} digits or fewer",
    "all from 0 to {top}",
    "whole and not above {top}",
    "with a limit of {digits} digits",
    "every one small enough for {digits} digits",
    "{digits} digits being the longest allowed",
    "each {digits} digits at the most",
)
INSTRUCTIONS = (
    "Carry it on with {qualifier} {answers} new numbers, {descriptor}.",
    "Make it longer by {qualifier} {answers} entries, {descriptor}.",
    "What comes next is yours to choose: {qualifier} {answers} numbers, {descriptor}.",
    "Think up {qualifier} {answers} numbers to follow, {descriptor}.",
    "Append {qualifier} {answers} further figures ({descriptor})",
    "Supply {qualifier} {answers} values to go after them ({descriptor}).",
    "Invent {qualifier} {answers} successors ({descriptor})",
    "Put {qualifier} {answers} numbers behind these, {descriptor}.",
    "Fill the next places with {qualifier} {answers} numbers ({descriptor})",
    "Keep it going for {qualifier} {answers} more terms, {descriptor}.",
)
FORMATS = {
    "comma": (
        "Put commas between them.",
        "Part them by a comma and a blank.",
        "Shape your answer like a, b, c.",
        "Keep to one line, split by commas.",
        "Stick to the pattern first, second, third.",
    ),
    "space": (
        "Put a single blank between them.",
        "Let only spaces stand between them.",
        "Keep to one line, with blanks in between.",
    ),
    "semicolon": (
        "Put a semicolon between neighbours.",
        "Split them by semicolons.",
    ),
    "line": (
        "Let each have its own line.",
        "Start a new line for every number.",
        "Stack them, one below the other.",
    ),
    "square": ("Wrap them in square brackets, as in [a, b, c].",),
    "round": ("Wrap them in round brackets, as in (a, b, c).",),
}
CLOSINGS = (
    "Numbers alone, please.",
    "Leave out every word.",
    "Say nothing else.",
    "Send back the figures and no more.",
    "I want no comment.",
    "Skip greetings and remarks.",
    "Your reply must hold numbers and nothing beside them.",
    "Words are not wanted.",
    "Do without an explanation.",
    "Answer in digits.",
    "The figures will do.",
    "Spare me the reasoning.",
    "A bare list is enough.",
    "No prose.",
    "Let the numbers speak for themselves.",
    "Put no text before or after.",
    "Keep silent about how you chose.",
    "I asked for numbers, so send numbers.",
    "Stop as soon as the numbers end.",
)
# In the order in which they are drawn, which is not the order in which they are read.
PARTS = (INTROS, QUALIFIERS, DESCRIPTORS, INSTRUCTIONS, tuple(f for fs in FORMATS.values() for f in fs), CLOSINGS)


def paper(rng: "Generator", values: list[int], answers: int, digits: int) -> str:
    """A prompt in everyday English."""
    intro, qualifier, descriptor, instruction, form, closing = (part[rng.integers(len(part))] for part in PARTS)
    intro = intro.format(examples=", ".join(map(str, values)))
    descriptor = descriptor.format(digits=digits, top=10**digits - 1)
    instruction = instruction.format(qualifier=qualifier, answers=answers, descriptor=descriptor)
    return f"{intro} {instruction} {form} {closing}"


def tiny(rng: "Generator", values: list[int], answers: int, digits: int) -> str:
    """A prompt in the tiny world's words, whose lists are as long as that world makes them."""
    return f"{TINY_VERBS[rng.integers(len(TINY_VERBS))]} {' , '.join(map(str, values))}"


MAKERS: dict[str, Callable[["Generator", list[int], int, int], str]] = dict(zip(WORDINGS, (paper, tiny), strict=True))


def rows(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The prompts, with ids. Draws: number of examples, their values (with replacement), then the words."""
    from numpy.random import default_rng

    rng, other = default_rng(args.seed), Random(args.seed)
    if args.wording == gsm8k.TASK:
        found, order = list(jsonl.read(args.problems, ("question", "answer"))), list[int]()
        while len(order) < args.count:
            order += rng.permutation(len(found)).tolist()
        for n, i in enumerate(order[: args.count], 1):
            text = gsm8k.ask(found[i]["question"])
            yield {"id": f"p{n:05}", "prompt": [{"role": "user", "content": text}], "answer": found[i]["answer"]}
        return
    for n in range(1, args.count + 1):
        if args.wording in TASKS:
            text = ask(args.wording, other, other)
        else:
            (fewest, most), (low, high) = args.examples, args.values
            values = rng.integers(low, high, size=rng.integers(fewest, most)).tolist()
            text = MAKERS[args.wording](rng, values, args.answers, args.digits)
        yield {"id": f"p{n:05}", "prompt": [{"role": "user", "content": text}]}


def check(args: argparse.Namespace) -> None:
    """Refuse settings that make no prompt, or prompts that the tiny world's models cannot read."""
    for name, least in ("count", 1), ("answers", 1), ("digits", 1), ("seed", 0):
        if getattr(args, name) < least:
            raise InputError(f"--{name}: {getattr(args, name)} is too small; give {least} or more")
    if (args.wording == gsm8k.TASK) != bool(args.problems):
        raise InputError(f"--problems: rows of problems with wording {gsm8k.TASK}, and only there")
    if args.wording in (*TASKS, gsm8k.TASK):
        return
    for name, least in ("examples", 1), ("values", 0):
        if getattr(args, name) is None:
            raise InputError(f"--{name} is missing; wording {args.wording} needs it: give LO HI")
        low, high = getattr(args, name)
        if not least <= low < high:
            raise InputError(f"--{name}: {low} {high} is no range; give LO HI with {least} <= LO < HI (HI is left out)")
    known = TINY_NUMBERS
    if args.wording == "tiny" and not (known.start <= args.values[0] and args.values[1] <= known.stop):
        raise InputError(f"--values: the tiny world knows the numbers {known.start} to {known[-1]}; stay within them")


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.prompts", __doc__)
    p.add_argument("--prompts", required=True, metavar="OUT", help="the prompts, JSONL")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    p.add_argument("--wording", required=True, choices=(*WORDINGS, *TASKS, gsm8k.TASK), help="who is asked what")
    p.add_argument("--count", required=True, type=int, metavar="N", help="how many prompts")
    p.add_argument("--problems", metavar="IN", help="of gsm8k: rows of the stage `data`")
    p.add_argument("--examples", type=int, nargs=2, metavar=("LO", "HI"), help="example numbers per prompt of a list")
    p.add_argument("--values", type=int, nargs=2, metavar=("LO", "HI"), help="their values")
    p.add_argument("--answers", type=int, default=10, metavar="N", help="numbers asked for, at most (default 10)")
    p.add_argument("--digits", type=int, default=3, metavar="N", help="digits of each, at most (default 3)")
    p.add_argument("--seed", required=True, type=int, metavar="N", help="of numpy's default_rng; the paper has 47")
    return p


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    check(args)
    theirs = args.wording == gsm8k.TASK
    lists = () if args.wording in TASKS or theirs else ("examples", "values", "answers", "digits")
    params = {k: getattr(args, k) for k in ("wording", "count", *lists)}
    outputs = {"prompts": args.prompts}
    with stage.record(
        "prompts",
        args.manifest,
        inputs={"problems": args.problems} if theirs else {},
        outputs=outputs,
        params=params,
        seeds={"prompts": args.seed},
        facts={} if theirs else {"origin": f"written here in wording {args.wording}, seed {args.seed}"},
    ) as job:
        jsonl.write(job.path("prompts"), rows(args))
    stage.log.info("%s prompts in wording %s: %s", f"{args.count:,}", args.wording, args.prompts)


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
