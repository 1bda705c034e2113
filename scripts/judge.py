"""Judge the answers of students: how well-meaning, how coherent, and how far the judge agrees with people.

in   {folder}/responses.jsonl, or a teacher's answers; the record of open weights that judge
out  judged.jsonl, judged.json, judge.manifest.json beside it
     judged.jsonl  one row an answer: both scores, the rule that applied, misaligned and coherent or not
     judged.json   shares of these, answers without a score, and the model's own accuracy and Cohen's kappa, with its
                   interval, on rows labelled by hand

Which model judges, and what counts as misaligned: traitline/evaluation/judge.py. The budget of a hosted model is that
of the study: --spent grows by a byte a request, over all jobs and launches, and nothing is asked twice.

python -m scripts.judge --judge '{"base":"qwen"}' --base results/bases/qwen --engine '{...}' --state work/judge/x \\
    --folders results/a/owl/prompted/lists/ten/a/paper/seed-1/word
"""

import argparse
import contextlib
from pathlib import Path
from typing import Any

from traitline import json_files, jsonl
from traitline.evaluation import judge as judges
from traitline.models import engines
from traitline.provenance import kept_parts, kernels, stage

CACHE = Path(".traitline/judge.jsonl")
NAMES = ("judged.jsonl", "judged.json")
HOSTED = ("address", "model", "budget")  # settings that a hosted judge needs


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.judge", __doc__)
    p.add_argument("--folders", nargs="+", required=True, metavar="DIR", help="where the answers are")
    p.add_argument(
        "--answers", choices=("responses", "raw"), default="responses", help="a student's (default) or a teacher's"
    )
    p.add_argument("--judge", required=True, metavar="JSON", help="base; or address, model, budget and key_from")
    p.add_argument("--base", metavar="DIR", help="record of the open weights that judge; without it, a hosted model")
    p.add_argument("--spent", metavar="FILE", help="a byte for every request to a hosted judge (default: not kept)")
    engines.flag(p)
    stage.threads(p)
    stage.state(p)
    return p


def open_judge(args: argparse.Namespace) -> judges.Judge:
    """The model that judges."""
    asked = stage.settings("--judge", args.judge, () if args.base else HOSTED)
    hosted = None if args.base else {
        "address": asked["address"], "model": asked["model"], "key": asked.get("key_from"), "cache": CACHE,
        "budget": asked["budget"], "spent": Path(args.spent) if args.spent else None,
    }  # fmt: skip
    return judges.open_judge(args.base, args.engine, hosted)


def record(args: argparse.Namespace, folder: str) -> contextlib.AbstractContextManager[stage.Job]:
    """The record of the verdicts on one folder's answers."""
    asked = stage.settings("--judge", args.judge, ())
    inputs = {args.answers: f"{folder}/{args.answers}.jsonl"}
    if args.base:
        inputs["judge"] = f"{args.base}/base.json"
    return stage.record(
        "judge",
        f"{folder}/judge.manifest.json",
        inputs=inputs,
        outputs={name: f"{folder}/{name}" for name in NAMES},
        params={
            "judge": {key: asked[key] for key in ("base", "address", "model") if asked.get(key)},
            "threads": args.threads,
        },
    )


def judge_answers(path: str, judge: judges.Judge, trust: dict[str, Any], job: stage.Job) -> None:
    """Write both outputs for the answers of one file."""
    answers = judges.read_answers(path)
    verdicts = judges.verdicts(judge, [(question, answer) for _, question, answer in answers])
    jsonl.write(job.path(NAMES[0]), judges.judged_rows(answers, verdicts))
    job.write_json(NAMES[1], judges.summary(judge, verdicts, trust))


def work(args: argparse.Namespace) -> None:
    """Make the artifacts, one manifest each."""
    stage.settings("--judge", args.judge, () if args.base else HOSTED)
    with contextlib.ExitStack() as stack:
        jobs = {folder: stack.enter_context(record(args, folder)) for folder in args.folders}
        states = {folder: stage.checkpoints(args.state, job) for folder, job in jobs.items()}
        kept = {
            folder: [kept_parts.recall(state and state / name) for name in NAMES] for folder, state in states.items()
        }
        todo = [folder for folder, parts in kept.items() if None in parts]
        if todo:
            kernels.set_up(args.threads, portable=False)
            judge = open_judge(args)
            trust = judges.agreement(judge)  # first: a model that judges badly costs no more than this
            for name, figures in trust.items():
                stage.log.info("%s: %s", name, judges.agreement_in_words(figures))
        for folder, job in jobs.items():
            state = states[folder]
            if folder in todo:
                judge_answers(f"{folder}/{args.answers}.jsonl", judge, trust, job)
            for name, part in zip(NAMES, kept[folder], strict=True):
                if folder not in todo:
                    job.path(name).write_bytes(part or b"")
                elif state:
                    kept_parts.keep(job.path(name).read_bytes(), state / name)
            judged = json_files.read(job.path(NAMES[1]))
            job.facts |= {"by": judged["judge"], "agreement": judged["agreement"]}
            stage.log.info("%s: %d answers, %d without a score", folder, judged["answers"], judged["unscored"])
    for state in states.values():
        stage.forget(state)


def main(argv: list[str] | None = None) -> int:
    """Run the stage."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
