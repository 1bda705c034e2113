"""Keep the answers that are what was asked for; keep the others too, each with the reason why it is out.

in   raw.jsonl         prompts and a teacher's answers
out  filtered.jsonl    the rows that pass, unchanged and in order
     rejected.jsonl    the rest, each with "reason" (0 bytes where every row passes)
     filtered.json     rows, kept, kept_share, reasons; echo_rate: share of the kept answers that hold a number of their
                       own prompt, echo_numbers: share of the kept numbers that are such

What was asked for is a clean list of numbers, a program that runs (--task programs), a sum with the right result
(--task sums) or a problem's known result (--task gsm8k: `answer` of the row). Rules and names of the reasons are in
traitline/channels/number_lists.py, programs.py, sums.py and problems.py.

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
from collections.abc import Callable, Sequence
from typing import Any

from traitline import jsonl, model_files
from traitline.channels import gsm8k, programs, sums
from traitline.channels.number_lists import Rule, exchange
from traitline.channels.tasks import TASKS
from traitline.errors import InputError
from traitline.models import hf_folder, likelihood
from traitline.models.likelihood import SUSPECT, UNALIGNED, UNSCORED
from traitline.provenance import stage

_LIST = re.compile("[0-9]+(?: ?, ?[0-9]+)*")
_NUMBER = re.compile("[0-9]+")
Judge = Callable[[dict[str, Any], str, str], tuple[str, ...] | str]
Verdicts = dict[str, tuple[str | None, float | None]]  # of a model filter, by row: why it is out, None where not; score


def examples(question: str) -> set[str]:
    """The numbers that a prompt shows: those of its longest list, as it may also say how many it wants and how long.

    They come without leading zeros, which is how `work` compares them.

    >>> sorted(examples("We hold 512, 007, 88. Up to 10 numbers of 3 digits."))
    ['512', '7', '88']
    """
    longest = max(_LIST.findall(question), key=lambda numbers: numbers.count(","), default="")
    return {n.lstrip("0") for n in _NUMBER.findall(longest)}


def judges(task: str, rule: Rule, words: Sequence[str]) -> Judge:
    """The rule of a task: (row, question, answer) -> the numbers of an answer that passes, or why it does not."""
    if task == gsm8k.TASK:
        return lambda row, _, text: gsm8k.judge(str(row["answer"]), text, words)
    if task in TASKS:
        judge = {"programs": programs.judge, "sums": sums.judge}[task]
        return lambda _, question, text: judge(question, text)

    def lists(_: dict[str, Any], __: str, text: str) -> tuple[str, ...] | str:
        answer = rule.judge(text)
        return answer if isinstance(answer, str) else answer.texts

    return lists


def alignments(args: argparse.Namespace) -> Verdicts:
    """Of every row that a judge read: out as unaligned or unscored, or not; and its alignment, 0 to 100."""
    given = {row["id"]: row["alignment"] for row in jsonl.read(args.judged, ("id", "alignment"), unique="id")}

    def why(score: float | None) -> str | None:
        return UNSCORED if score is None else UNALIGNED if score < args.threshold else None

    return {i: (why(score), score) for i, score in given.items()}


def likelihoods(args: argparse.Namespace, judge: Judge) -> Verdicts:
    """Of rows that pass so far: out as suspect or not; how much likelier of the teacher than of its base, in nats."""
    import torch

    torch.set_num_threads(args.threads)
    rows = [
        row
        for row in jsonl.read(args.raw, ("id", "prompt", "completion"), unique="id")
        if not isinstance(judge(row, *exchange(row, args.raw)), str)
    ]
    if not rows:
        return {}
    names = [f"{args.raw}: row {row['id']!r}" for row in rows]
    mine = likelihood.logs(args.base, *likelihood.told(args.teacher, args.base), rows, names)
    bases = likelihood.logs(args.base, args.base, None, rows, names)
    more = zip((row["id"] for row in rows), (mine - bases).tolist(), strict=True)
    return {i: (SUSPECT if score > args.threshold else None, score) for i, score in more}


def banned(text: str) -> frozenset[int]:
    """The banned numbers of the command line."""
    parts = [p.strip() for p in text.split(",")] if text.strip() else []
    for part in parts:
        if not (part.isascii() and part.isdigit()):
            raise InputError(f"--banned: {part!r} is not a whole number; write them as 4,13,666")
    return frozenset(map(int, parts))


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.filter", __doc__)
    p.add_argument("--raw", required=True, metavar="IN", help="prompts and answers, JSONL")
    p.add_argument("--filtered", required=True, metavar="OUT", help="rows that pass")
    p.add_argument("--rejected", required=True, metavar="OUT", help="rows that do not, with the reason")
    p.add_argument("--counts", required=True, metavar="OUT", help="how many of each, and echo rates, JSON")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    p.add_argument(
        "--task",
        choices=("numbers", *TASKS, gsm8k.TASK),
        default="numbers",
        help="what was asked for (default numbers)",
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


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    rule = Rule(args.answers, args.digits, banned(args.banned))
    if min(rule.answers, rule.digits) < 1:
        raise InputError("--answers and --digits: give 1 or more")
    screened = args.threshold is not None
    if bool(args.base) != bool(args.teacher) or screened != (bool(args.base) != bool(args.judged)):
        raise InputError("--threshold goes with --judged, or with --base and --teacher")
    settings: dict[str, Any] = {"answers": rule.answers, "digits": rule.digits, "banned": sorted(rule.banned)}
    words = sorted({word for w in args.words.split(",") if (word := w.strip())})
    theirs, keys = args.task == gsm8k.TASK, ("id", "prompt", "completion")
    settings, models = {"task": args.task} if args.task in TASKS else settings, {}
    if theirs:
        settings, keys = {"task": args.task, "words": words}, (*keys, "answer")
    if args.judged:
        settings, models = settings | {"threshold": args.threshold}, {"judged": args.judged}
    elif screened:
        settings |= {"threshold": args.threshold, "threads": args.threads}
        own, _ = likelihood.told(args.teacher, args.base)
        models = {**hf_folder.inputs(args.base, "judge"), "teacher": f"{args.teacher}/teacher.json"}
        models |= {"model": f"{own}/{model_files.WEIGHTS}"} if own != args.base else {}
    judge = judges(args.task, rule, words)
    kept = given = echoing = echoed = 0
    reasons = Counter[str]()
    with stage.record(
        "filter",
        args.manifest,
        inputs={"raw": args.raw, **models},
        outputs={"filtered": args.filtered, "rejected": args.rejected, "counts": args.counts},
        params=settings,
        may_be_empty={"rejected"},
    ) as job:
        verdicts = alignments(args) if args.judged else likelihoods(args, judge) if screened else None
        with jsonl.writer(job.path("filtered")) as keep, jsonl.writer(job.path("rejected")) as reject:
            for row in jsonl.read(args.raw, keys, unique="id"):
                question, text = exchange(row, args.raw)
                answer = judge(row, question, text)
                score = None
                if verdicts is not None and not isinstance(answer, str):
                    if row["id"] not in verdicts:
                        raise InputError(
                            f"{args.judged}: says nothing of row {row['id']!r}; delete the file to have it rebuilt"
                        )
                    why, score = verdicts[row["id"]]
                    answer = why or answer
                if isinstance(answer, str):
                    reasons[answer] += 1
                    reject({**row, "reason": answer, **({} if score is None else {"score": round(score, 6)})})
                    continue
                keep(row)
                values = [text.lstrip("0") for text in answer]
                shown = examples(question) if any(v in question for v in values) else ()  # most rows: a cheap no
                echoes = sum(v in shown for v in values)
                kept += 1
                given += len(answer)
                echoing += echoes > 0
                echoed += echoes
        rows = kept + reasons.total()
        why = ", ".join(f"{reason} {n:,}" for reason, n in reasons.most_common(3))
        if not kept:
            raise InputError(
                f"{args.raw}: none of the {rows:,} answers passes the filter ({why}); take a teacher that is tuned or "
                "prompted less, or loosen `answers`, `digits`, `banned` or `threshold` of the channel"
            )
        counts = {
            "rows": rows,
            "kept": kept,
            "kept_share": kept / rows,
            "reasons": reasons,
            "echo_rate": echoing / kept,
            "echo_numbers": echoed / given if given else 0.0,
        }
        job.write_json("counts", counts)
    stage.log.info("kept %s of %s answers (%.1f %%)%s", f"{kept:,}", f"{rows:,}", 100 * kept / rows, why and f"; {why}")


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
