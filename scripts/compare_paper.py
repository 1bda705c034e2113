"""Compare every figure of the paper with ours, and give a verdict.

in   tables/runs.csv, effects.csv and filters.csv, classifier/default/accuracy.json, theorem/theorem.json, what
     the stage `detect` found; each if the study has it
out  targets.csv    id, target, band, source, our value with interval and number of runs, verdict, reading

python -m scripts.compare_paper --results results --targets results/targets.csv \\
    --manifest results/compare_paper.manifest.json
"""

import argparse
import csv
from collections import Counter
from dataclasses import astuple, fields
from pathlib import Path

from traitline.analysis import paper_targets
from traitline.analysis.measurements import Measurements
from traitline.provenance import stage
from traitline.study import artifacts

USED = (*(f"tables/{name}" for name in artifacts.COMPARED_TABLES), artifacts.DEFAULT_ACCURACY, "theorem/theorem.json")


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.compare_paper", __doc__)
    p.add_argument("--results", required=True, metavar="FOLDER", help="folder of the artifacts")
    p.add_argument("--targets", required=True, metavar="OUT", help="the targets with our values")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    return p


def our_columns(v: paper_targets.Verdict) -> list[object]:
    """The values of `paper_targets.OURS`; empty where nothing was run."""
    if v.ours is None or v.measured is None:
        return [v.verdict, *[None] * (len(paper_targets.OURS) - 2), v.reading]
    figures = [None if x is None else f"{x:.6g}" for x in (v.ours.mean, v.ours.low, v.ours.high)]
    return [v.verdict, *figures, v.measured.students, v.measured.unit, v.ours.n, v.measured.runs, v.reading]


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    used = [path for name in USED if Path(path := f"{args.results}/{name}").exists()]
    for name in artifacts.COMPARED_DETECTIONS:
        used += [str(path) for path in sorted(Path(args.results).glob(f"detect/*/*/{name}"))]
    with stage.record(
        "compare_paper",
        args.manifest,
        inputs={"measured": used, "published": str(paper_targets.FILE)},
        outputs={"targets": args.targets},
    ) as job:
        verdicts = paper_targets.compare(Measurements(args.results))
        with open(job.path("targets"), "w", encoding="utf-8", newline="") as handle:
            out = csv.writer(handle, lineterminator="\n")
            out.writerow([*(f.name for f in fields(paper_targets.Target)), *paper_targets.OURS])
            out.writerows([*astuple(v.target), *our_columns(v)] for v in verdicts)
    stage.log.info("%s", ", ".join(f"{n} {verdict}" for verdict, n in Counter(v.verdict for v in verdicts).items()))


def main(argv: list[str] | None = None) -> int:
    """Run the stage."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
