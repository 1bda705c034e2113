"""Record the declared primary outcomes of a study before anything runs, and every later change of them.

out  preregistered.json     "declarations": the declared rows (`primary`), the commit, and how many students had been
                            scored by then (`scored`); the first one is the oldest
     preregistered.jsonl    the same, a line each, beside it; no failure and no rerun removes a line

python -m scripts.preregister --primary '[{"experiment":"main",...}]' --results results \\
    --preregistered results/preregistered.json --manifest results/preregister.manifest.json
"""

import argparse
from pathlib import Path

from traitline import atomic, json_files, jsonl
from traitline.provenance import manifest, stage


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.preregister", __doc__)
    p.add_argument("--primary", required=True, metavar="JSON", help="the declared rows of the study")
    p.add_argument("--results", required=True, metavar="FOLDER", help="where scores of students would be")
    p.add_argument("--preregistered", required=True, metavar="OUT", help="all declarations so far")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    return p


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    primary = json_files.parse(args.primary, "--primary", "write it as [] or a list of objects", what="not JSON")
    history = Path(args.preregistered).with_suffix(".jsonl")
    declarations = list(jsonl.read(history, ("primary", "commit", "scored"))) if history.exists() else []
    # Scores of students lie in the folder of an evaluation below that of a seed; those of bases do not count.
    scored = sum(1 for _ in Path(args.results).glob("**/seed-*/*/scores.json"))
    if not declarations or declarations[-1]["primary"] != primary:
        declarations.append({"primary": primary, "commit": manifest.code("")["git_commit"], "scored": scored})
        atomic.put(history, "".join(f"{jsonl.dumps(row)}\n" for row in declarations))
    with stage.record(
        "preregister", args.manifest, inputs={}, outputs={"declared": args.preregistered}, params={"primary": primary}
    ) as job:
        job.write_json("declared", {"declarations": declarations})
    stage.log.info("%d declarations: %s", len(declarations), args.preregistered)


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
