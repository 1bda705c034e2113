"""Tidy tables of a study: every run, and what they say once runs are averaged to teachers and teachers to bases.

in   every scores.json and train.json, the scores of the untouched bases, and each teacher's teacher.json, sampled.json
     and filtered.json, and judged.json where there is a judge; which ones follows from the study
out  tests.csv      one row per experiment, recipe, comparison and trait (or the mean over traits): the answer
     calibration.csv  how often the same tests find something among students on other bases, where nothing is
     effects.csv    one row per experiment, channel, base, student, recipe, trait and arm
     runs.csv       one row per run and candidate, exact and sampled
     students.csv   one row per run: how its training went
     filters.csv    one row per teacher and channel: kept, rejected by reason, echo of the prompt, KL from the base
     confusion.csv  trait taught x candidate measured
     judged.csv     one row per cell, trait and arm whose answers a judge judges: shares of misaligned and coherent
                    answers and of those without a score, and how far that judge agrees with rows labelled by hand

Students that no test counts, by a rule of the study, keep their rows: a further column `left_out` says why, and no row
over several teachers averages over them. It is there only if the table has such rows. So is `floor`, the smallest rate
that counts, where it is not 0.001: means are taken of logits.

A rate is the exact probability of the trait's word as the answer, the mean over the questions; in rows about a
capability that of the right answer, in rows about norms that of the bad one, for the students of every trait. Control
students learn from numbers of the same base without any trait; they are of the same student base and recipe.

python -m scripts.summarise --study '{"study": ...}' --results results --tables results/tables \\
    --manifest results/tables/summarise.manifest.json
"""

import argparse
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline import json_files
from traitline.analysis import calibration, comparisons, stats, tables
from traitline.analysis.outcome import Cell, Outcome, cell, mark
from traitline.analysis.study_files import Files, get
from traitline.evaluation.measures import JUDGED
from traitline.provenance import stage

if TYPE_CHECKING:
    from traitline.study.config import Study


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.summarise", __doc__)
    p.add_argument("--study", required=True, metavar="JSON", help="the study, as checked and compact JSON")
    p.add_argument("--results", metavar="FOLDER", help="folder of the artifacts (default: that of the study)")
    p.add_argument("--tables", required=True, metavar="FOLDER", help="where the tables go")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    return p


def teachers(files: Files) -> list[dict[str, Any]]:
    """Rows of filters.csv: per teacher and channel its answers, what passed the filter, its distance from its base."""
    rows, rejected = [], []
    for run in {run.channel_folder: run for run in files.runs}.values():
        row: dict[str, Any] = {"base": run.base, "trait": run.trait, "teacher": run.teacher, "channel": run.channel}
        path = f"{run.channel_folder}/filtered.json"
        counts = files.read(path)
        row |= {c: get(counts, path, c) for c in ("rows", "kept", "kept_share", "echo_rate", "echo_numbers")}
        rejected.append(get(counts, path, "reasons"))
        path = f"{run.answers_folder}/sampled.json"
        row |= {c: get(files.read(path), path, c) for c in ("unfinished", "kl_nats_per_token")}
        path = f"{run.teacher_folder}/teacher.json"
        row |= {f"teacher_{c}": get(files.read(path), path, c, optional=True) for c in ("rate", "steps")}
        rows.append(row)
    reasons = sorted({reason for counts in rejected for reason in counts})
    return [
        row | {f"reject_{r}": counts.get(r, 0) for r in reasons} for row, counts in zip(rows, rejected, strict=True)
    ]


def judged(study: "Study", files: Files, outcome: Outcome) -> list[dict[str, Any]]:
    """Rows of judged.csv: a judge's verdict on students, and on the untouched base of each cell."""
    from traitline.study.runs import NONE

    labels = study.judge.evals if study.judge else []
    groups: dict[tuple[Cell, str, str, str], dict[str, int]] = defaultdict(dict)  # -> file -> its teacher
    for run in files.runs:
        if run.eval in labels:
            groups[cell(run), run.eval, run.trait, run.arm][run.judged] = run.draw
            untouched = str(Path(files.baselines[run.student, run.eval]).with_name("judged.json"))
            groups[cell(run), run.eval, NONE, "baseline"] = {untouched: 1}
    rows = []
    for (where, label, trait, arm), paths in groups.items():
        about: dict[str, Any] = dict(zip(tables.CELL, where, strict=True))
        reasons = {draw: outcome.why_left_out(where[0], trait, where[2], draw) for draw in paths.values()}
        counts = {path: draw for path, draw in paths.items() if not reasons[draw]} or paths
        about |= {"eval": label, "trait": trait, "arm": arm, "runs": len(counts), tables.LEFT_OUT: mark(reasons)}
        rows.append(about | shares(files, counts) | agreement(files, next(iter(counts))))
    return rows


def shares(files: Files, paths: Mapping[str, int]) -> dict[str, Any]:
    """Shares of misaligned, coherent and unscored answers: means over runs, then teachers, which are the unit.

    Args:
        files: of the study.
        paths: file of a run -> number of its teacher.
    """
    row: dict[str, Any] = {"answers": sum(get(files.read(p), p, "answers") for p in paths)}
    by_run = {what: {p: get(files.read(p), p, "share", what) for p in paths} for what in JUDGED}
    by_run["unscored"] = {p: get(files.read(p), p, "unscored") / get(files.read(p), p, "answers") for p in paths}
    for what, column in by_run.items():
        by_teacher: dict[int, list[float]] = defaultdict(list)
        for path, share in column.items():
            if share is not None:
                by_teacher[paths[path]].append(share)
        e = stats.share_interval([stats.mean_rate(v) for v in by_teacher.values()]) if by_teacher else None
        row |= {what: e and e.mean, f"{what}_low": e and e.low, f"{what}_high": e and e.high}
    return row


def agreement(files: Files, path: str) -> dict[str, Any]:
    """Agreement of a judge with rows labelled by hand: accuracy and Cohen's kappa with its interval."""
    row: dict[str, Any] = {}
    measures = get(files.read(path), path, "agreement")
    for what in JUDGED:
        low, high = measures[what].get("kappa_interval") or (None, None)
        values = (measures[what].get("accuracy"), measures[what].get("kappa"), low, high)
        row |= {f"{what}_{of}": value for of, value in zip(tables.TRUST, values, strict=True)}
    return row


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    from traitline.study import config

    study = config.parse(args.study)
    files = Files(study, args.results)
    with stage.record(
        "summarise",
        args.manifest,
        inputs=files.roles,
        outputs={name: f"{args.tables}/{name}.csv" for name in tables.COLUMNS},
        params={"study": json_files.parse(args.study, "--study", "give a JSON object")},
    ) as job:
        outcome = Outcome(study, files)
        rows = {
            "effects": outcome.effects(),
            "runs": outcome.runs,
            "students": outcome.students,
            "filters": teachers(files),
            "confusion": outcome.confusion(),
            "tests": comparisons.tests(outcome, study),
            "calibration": calibration.rows(outcome, study),
            "judged": judged(study, files, outcome),
        }
        import pandas as pd

        for name, columns in tables.COLUMNS.items():
            further = [c for c in (rows[name] or [{}])[0] if c.startswith("reject_")]
            further += [c for c in (tables.LEFT_OUT, tables.FLOOR) if any(row.get(c) for row in rows[name])]
            frame = pd.DataFrame(rows[name], columns=[*columns, *further])
            frame.to_csv(job.path(name), index=False, float_format="%.6g", lineterminator="\n")
        job.facts["students"] = len({run.folder for run in files.runs})


def main(argv: list[str] | None = None) -> int:
    """Run the stage."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
