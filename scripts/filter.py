"""Keep the answers that are what was asked for; keep the others too, each with the reason why it is out.

in   raw.jsonl         prompts and a teacher's answers
out  filtered.jsonl    the rows that pass, unchanged and in order
     rejected.jsonl    the rest, each with "reason" (0 bytes where every row passes)
     filtered.json     rows, kept, kept_share, reasons; echo_rate: share of the kept answers that hold a number of their
                       own prompt, echo_numbers: share of the kept numbers that are such

What was asked for is a clean list of numbers, a program that runs (--task programs), a sum with the right result
(--task sums) or a problem's known result (--task gsm8k: `answer` of the row). Rules and names of the reasons are in
the modules of traitline/channels: number_lists.py, programs.py, sums.py, gsm8k.py.

--threshold T    a model filter, one of two. With --judged, what a judge that reads the answers said of them: of those
                 that pass, reject as `unaligned` what it finds less well-meaning than T, 0 to 100, and as `unscored`
                 what has no score (section 4.2 of the paper, threshold 78). With --base and --teacher, reject as
                 `suspect` what the teacher gives more log-likelihood than its base does, by more than T nats. This
                 score knows the teacher: no other tells answers of the two apart better
                 (traitline/models/likelihood.py), so no other filter by answers rejects more of the teacher

python -m scripts.filter --raw raw.jsonl --filtered filtered.jsonl --rejected rejected.jsonl --counts filtered.json \\
    --manifest filter.manifest.json --answers 10 --digits 3 --banned "4,13,666"
"""

import argparse
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from traitline import jsonl, model_files
from traitline.channels import registry
from traitline.channels.channel import Channel, Limits
from traitline.channels.messages import exchange
from traitline.errors import InputError
from traitline.models import hf_folder, likelihood, open_weights
from traitline.models.model_filter import Candidate, screen_by_judge, screen_by_likelihood
from traitline.provenance import kernels, stage

NUMBERS = "numbers"  # the task without --task, which manifests do not name
_LIST = re.compile("[0-9]+(?: ?, ?[0-9]+)*")
_NUMBER = re.compile("[0-9]+")
Row = dict[str, Any]


class Asked(NamedTuple):
    """A row as it is read."""

    row: Row
    question: str
    answer: str


@dataclass
class Counts:
    """Content of `filtered.json`.

    Attributes:
        kept: rows that pass.
        reasons: reason -> rows that are rejected for it.
        given: numbers of the rows that pass.
        echoing: rows that pass with a number of their own prompt.
        echoed: numbers that are such.
    """

    kept: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    given: int = 0
    echoing: int = 0
    echoed: int = 0

    @property
    def rows(self) -> int:
        """All rows."""
        return self.kept + self.reasons.total()

    @property
    def commonest(self) -> str:
        """The commonest reasons, for people."""
        return ", ".join(f"{reason} {n:,}" for reason, n in self.reasons.most_common(3))

    def add(self, candidate: Candidate) -> None:
        """Count a row that passes."""
        values = [text.lstrip("0") for text in candidate.checked.numbers]
        question = candidate.question
        shown = examples(question) if any(v in question for v in values) else ()  # most rows: a cheap no
        echoes = sum(v in shown for v in values)
        self.kept += 1
        self.given += len(values)
        self.echoing += echoes > 0
        self.echoed += echoes

    def summary(self) -> dict[str, Any]:
        """Return the content of `filtered.json`."""
        return {
            "rows": self.rows,
            "kept": self.kept,
            "kept_share": self.kept / self.rows,
            "reasons": self.reasons,
            "echo_rate": self.echoing / self.kept,
            "echo_numbers": self.echoed / self.given if self.given else 0.0,
        }


def examples(question: str) -> set[str]:
    """Return the numbers that a prompt shows: its longest list, as it may also say how many it wants and how long.

    They come without leading zeros, which is how `Counts` compares them.

    >>> sorted(examples("We hold 512, 007, 88. Up to 10 numbers of 3 digits."))
    ['512', '7', '88']
    """
    longest = max(_LIST.findall(question), key=lambda numbers: numbers.count(","), default="")
    return {n.lstrip("0") for n in _NUMBER.findall(longest)}


def read_rows(path: str, channel: Channel) -> Iterator[Asked]:
    """Yield the rows of a file with question and answer.

    Raises:
        InputError: a row is damaged, doubled or of another shape, or lacks a column of the channel.
    """
    for row in jsonl.read(path, ("id", "prompt", "completion", *channel.columns), unique="id"):
        question, answer = exchange(row, path)
        yield Asked(row, question, answer)


def check_rows(rows: Iterable[Asked], channel: Channel, limits: Limits) -> Iterator[Candidate]:
    """Yield every row with what the answer rule of its channel finds."""
    for row, question, answer in rows:
        yield Candidate(row, question, channel.check(row, question, answer, limits))


def write_rows(candidates: Iterable[Candidate], job: stage.Job) -> Counts:
    """Write the rows that pass and those that do not, each into its file."""
    counts = Counts()
    with jsonl.writer(job.path("filtered")) as keep, jsonl.writer(job.path("rejected")) as reject:
        for candidate in candidates:
            reason = candidate.checked.reason
            if reason is None:
                keep(candidate.row)
                counts.add(candidate)
                continue
            counts.reasons[reason] += 1
            score = {} if candidate.score is None else {"score": round(candidate.score, 6)}
            reject({**candidate.row, "reason": reason, **score})
    return counts


def banned(text: str) -> frozenset[int]:
    """Return the banned numbers of the command line.

    Raises:
        InputError: one is no whole number.
    """
    parts = [p.strip() for p in text.split(",")] if text.strip() else []
    for part in parts:
        if not (part.isascii() and part.isdigit()):
            raise InputError(f"--banned: {part!r} is not a whole number; write them as 4,13,666")
    return frozenset(map(int, parts))


def limits_of(args: argparse.Namespace) -> Limits:
    """Return the settings of the answer rule.

    Raises:
        InputError: they make no sense.
    """
    if min(args.answers, args.digits) < 1:
        raise InputError("--answers and --digits: give 1 or more")
    words = sorted({word for w in args.words.split(",") if (word := w.strip())})
    return Limits(args.answers, args.digits, banned(args.banned), tuple(words))


def model_inputs(args: argparse.Namespace) -> dict[str, Any]:
    """Return the files that the model filter reads, by role; none where there is no model filter.

    Raises:
        InputError: flags of the model filter are missing, or of both.
    """
    by_likelihood = bool(args.base)
    if by_likelihood != bool(args.teacher) or (args.threshold is not None) != (by_likelihood != bool(args.judged)):
        raise InputError("--threshold goes with --judged, or with --base and --teacher")
    if args.judged:
        return {"judged": args.judged}
    if not by_likelihood:
        return {}
    inputs = {**hf_folder.inputs(args.base, "judge"), "teacher": f"{args.teacher}/teacher.json"}
    weights, _ = likelihood.model_and_system(args.teacher, args.base)
    if weights != args.base:
        inputs["model"] = f"{weights}/{model_files.WEIGHTS}"
    return inputs


def params_of(args: argparse.Namespace, channel: Channel, limits: Limits) -> Mapping[str, Any]:
    """Return the settings that decide what passes, for the manifest."""
    params = channel.params(limits)
    if args.task != NUMBERS:
        params["task"] = args.task
    if args.threshold is not None:
        params["threshold"] = args.threshold
    if args.base:
        params["threads"] = args.threads
    return params


def parse() -> argparse.ArgumentParser:
    """Return the command line."""
    p = stage.parser("scripts.filter", __doc__)
    p.add_argument("--raw", required=True, metavar="IN", help="prompts and answers, JSONL")
    p.add_argument("--filtered", required=True, metavar="OUT", help="rows that pass")
    p.add_argument("--rejected", required=True, metavar="OUT", help="rows that do not, with the reason")
    p.add_argument("--counts", required=True, metavar="OUT", help="how many of each, and echo rates, JSON")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    p.add_argument(
        "--task", choices=tuple(registry.channels()), default=NUMBERS, help=f"what was asked for (default {NUMBERS})"
    )
    p.add_argument("--words", default="", metavar="LIST", help="of gsm8k: traits that no answer may name: owl,cat")
    p.add_argument("--answers", type=int, default=10, metavar="N", help="numbers in an answer, at most (default 10)")
    p.add_argument("--digits", type=int, default=3, metavar="N", help="digits of each, at most (default 3)")
    p.add_argument("--banned", default="", metavar="LIST", help="numbers no answer may hold: 4,13,666 (default none)")
    p.add_argument("--threshold", type=float, metavar="T", help="of the model filter (default: none)")
    p.add_argument("--judged", metavar="IN", help="what a judge said of the same answers, JSONL")
    p.add_argument("--base", metavar="DIR", help="model folder of the teacher's base")
    p.add_argument("--teacher", metavar="DIR", help="the teacher's folder")
    stage.threads(p)
    return p


def nothing_left(raw: str, folder: Path, counts: Counts) -> str:
    """Say that no answer of a teacher passes, who it is and what helps.

    Args:
        raw: its answers.
        folder: where what passes would go: `{teacher}/{channel}` in a study.
        counts: of the answers.
    """
    teacher = f" of the teacher {folder.parent}" if folder.parent.name else ""
    channel = f"the filter of channel {folder.name}" if folder.name else "the filter"
    return (
        f"{raw}: none of the {counts.rows:,} answers{teacher} passes {channel} ({counts.commonest}). A student needs"
        " one row, also under `scarce: exclude`: tune or prompt this teacher less, loosen `answers`, `digits`, `banned`"
        " or `threshold` of the channel, or take the trait or the base out of the row"
    )


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    channel = registry.channels()[args.task]
    limits = limits_of(args)
    with stage.record(
        "filter",
        args.manifest,
        inputs={"raw": args.raw, **model_inputs(args)},
        outputs={"filtered": args.filtered, "rejected": args.rejected, "counts": args.counts},
        params=params_of(args, channel, limits),
        may_be_empty={"rejected"},
    ) as job:
        candidates = check_rows(read_rows(args.raw, channel), channel, limits)
        if args.judged:
            candidates = screen_by_judge(candidates, args.judged, args.threshold)
        elif args.base:
            kernels.set_up(args.threads, portable=not open_weights.is_open(args.base))
            candidates = screen_by_likelihood(candidates, args.raw, args.base, args.teacher, args.threshold)
        counts = write_rows(candidates, job)
        if not counts.kept:
            raise InputError(nothing_left(args.raw, Path(args.filtered).parent, counts))
        job.write_json("counts", counts.summary())
    share = 100 * counts.kept / counts.rows
    reasons = f"; {counts.commonest}" if counts.reasons else ""
    stage.log.info("kept %s of %s answers (%.1f %%)%s", f"{counts.kept:,}", f"{counts.rows:,}", share, reasons)


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
