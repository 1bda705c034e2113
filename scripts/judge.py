"""Judge the answers of students: how well-meaning, how coherent, and how far the judge agrees with people.

in   responses.jsonl of every student that is asked an evaluation under `judge` of the study; the judge's record
out  judged.csv       one row per cell, evaluation, trait taught and arm: mean share of misaligned and of coherent
                      answers over runs with Student's interval, answers in all, those without a score; then the judge's
                      own accuracy and Cohen's kappa, with its interval, on rows labelled by hand
     answers.jsonl    one row per answer: whose it is, both scores, the rule that spoke

Who judges, and what counts as misaligned: traitline/judge.py. The unit is the run: a student's share is one value.

python -m scripts.judge --study '{"study": ...}' --results results --base results/bases/qwen --engine '{...}' \\
    --folder results/judge
"""

import argparse
import dataclasses
from collections import defaultdict
from pathlib import Path
from typing import Any

from traitline import engines, jsonl, stage, stats, tables
from traitline import judge as judges
from traitline.judge import WHAT

CACHE = Path(".traitline/judge.jsonl")
WHOSE = ("experiment", "channel", "base", "trait", "student", "kind", "seed", "eval", "arm")
TRUST = ("accuracy", "kappa", "kappa_low", "kappa_high")
COLUMNS = (
    *tables.CELL, "eval", "trait", "arm", "runs", "answers", "unscored",
    *(f"{what}{end}" for what in WHAT for end in ("", "_low", "_high")),
    *(f"{what}_{of}" for what in WHAT for of in TRUST),
)  # fmt: skip


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.judge", __doc__)
    p.add_argument("--study", required=True, metavar="JSON", help="the study, as checked and compact JSON")
    p.add_argument("--results", required=True, metavar="FOLDER", help="folder of the artifacts")
    p.add_argument("--base", metavar="DIR", help="record of the open weights that judge; without it, a hosted model")
    engines.flag(p)
    p.add_argument("--folder", required=True, metavar="OUT", help="where the table and the answers go")
    stage.threads(p)
    return p


def trust(agreement: dict[str, Any]) -> dict[str, Any]:
    """Columns that say how far the judge agrees with labels."""
    out: dict[str, Any] = {}
    for what, said in agreement.items():
        low, high = said.get("kappa_interval") or (None, None)
        values = (said.get("accuracy"), said.get("kappa"), low, high)
        out |= {f"{what}_{of}": v for of, v in zip(TRUST, values, strict=True)}
    return out


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    from traitline import config

    study = config.parse(args.study)
    runs = [dataclasses.replace(run, results=args.results) for run in study.judged]
    asked = study.judge.model_dump() if study.judge else {}
    hosted = None if args.base else {
        "address": asked["address"], "model": asked["model"], "key": asked["key_from"], "cache": CACHE,
        "budget": asked["budget"],
    }  # fmt: skip
    read = {run: f"{run.folder}/{run.eval}/responses.jsonl" for run in runs}
    with stage.record(
        "judge",
        f"{args.folder}/judge.manifest.json",
        inputs={
            "responses": list(dict.fromkeys(read.values())),
            **({"judge": f"{args.base}/base.json"} if args.base else {}),
        },
        outputs={"table": f"{args.folder}/judged.csv", "answers": f"{args.folder}/answers.jsonl"},
        params={"judge": {k: v for k, v in asked.items() if k not in ("key_from", "budget")}, "threads": args.threads},
    ) as job:
        import torch

        torch.set_num_threads(args.threads)
        judge, told, _ = judges.who(args.base, args.engine, hosted)
        agreement = judges.agreement(judge)  # first: a judge that is no good costs no more than this
        job.facts |= {"by": told, "agreement": agreement}
        found: dict[str, list[dict[str, Any]]] = {}  # a student may stand in several rows of the study
        lines = []
        for run, path in read.items():
            whose = {k: getattr(run, k) for k in WHOSE}
            if path not in found:
                rows = judges.read(path)
                found[path] = judges.judged(judge, [(question, answer) for _, question, answer in rows])
                lines += [{**whose, "id": i, "answer": a, **f} for (i, _, a), f in zip(rows, found[path], strict=True)]
        jsonl.write(job.path("answers"), lines)
        groups: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
        for run, path in read.items():
            key = (run.experiment, run.channel, run.base, run.student, run.kind, run.eval, run.trait, run.arm)
            groups[key].append(judges.shares(found[path]))
        out = []
        for key, students in groups.items():
            row: dict[str, Any] = dict(zip((*tables.CELL, "eval", "trait", "arm"), key, strict=True))
            row |= {k: sum(s[k] for s in students) for k in ("answers", "unscored")} | {"runs": len(students)}
            for what in WHAT:
                values = [s["share"][what] for s in students if s["share"][what] is not None]
                e = stats.interval(values) if values else stats.Estimate(0, float("nan"))
                row |= {what: e.mean, f"{what}_low": e.low, f"{what}_high": e.high}
            out.append(row | trust(agreement))
        import pandas as pd

        pd.DataFrame(out, columns=COLUMNS).to_csv(
            job.path("table"), index=False, float_format="%.6g", lineterminator="\n"
        )
    for what, said in agreement.items():
        stage.log.info("%s: %s", what, judges.told(said))


def main(argv: list[str] | None = None) -> int:
    """Run the stage."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
