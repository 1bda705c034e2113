"""The ledger of targets: every figure of the paper beside ours, with a verdict.

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
from traitline.provenance import stage
from traitline.study import artifacts

USED = (*(f"tables/{name}" for name in artifacts.COMPARED_TABLES), artifacts.DEFAULT_ACCURACY, "theorem/theorem.json")
OURS = ("verdict", "ours", "ours_low", "ours_high", "runs", "reading")


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.compare_paper", __doc__)
    p.add_argument("--results", required=True, metavar="FOLDER", help="folder of the artifacts")
    p.add_argument("--targets", required=True, metavar="OUT", help="the ledger")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    return p


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    used = [path for name in USED if (path := f"{args.results}/{name}") and Path(path).exists()]
    used += [
        str(path)
        for name in artifacts.COMPARED_DETECTIONS
        for path in sorted(Path(args.results).glob(f"detect/*/*/{name}"))
    ]
    with stage.record(
        "compare_paper",
        args.manifest,
        inputs={"measured": list(used), "published": str(paper_targets.FILE)},
        outputs={"targets": args.targets},
    ) as job:
        found = paper_targets.compare(paper_targets.Found(args.results))
        with open(job.path("targets"), "w", encoding="utf-8", newline="") as handle:
            out = csv.writer(handle, lineterminator="\n")
            out.writerow([*(f.name for f in fields(paper_targets.Target)), *OURS])
            for v in found:
                e = v.ours
                ours = (
                    [f"{x:.6g}" if isinstance(x, float) else x for x in (e.mean, e.low, e.high, e.runs)]
                    if e
                    else [None] * 4
                )
                out.writerow([*astuple(v.target), v.verdict, *ours, v.reading])
    stage.log.info("%s", ", ".join(f"{n} {verdict}" for verdict, n in Counter(v.verdict for v in found).items()))


def main(argv: list[str] | None = None) -> int:
    """Run the stage."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
