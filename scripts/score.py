"""Score answers: how often each candidate is the favourite, exactly and as sampled.

in   {folder}/responses.jsonl; judged.jsonl beside it, where a model judges the answers
out  {folder}/scores.json, score.manifest.json beside it

overall      probability of a candidate, mean over the questions: what the paper plots
mass         that of all candidates together: answers that are answers
conditional  overall / mass, null where the mass is 0. A rise here with a fall in mass is not a taken-on trait

`exact` has them from the probabilities at the answer, `sampled` from the answers. There a candidate counts where it
stands as a whole word, upper and lower case alike: neither "bowl" nor "owls" is "owl". An answer that names two
candidates counts for both, and once in the mass. Beside these, what counts them otherwise: `plural` where the word or
its English plural stands ("owls", "wolves"), `substring` anywhere, as the paper's code does: "bowl" is an "owl" there,
which is for comparison with others' figures only. Where rows have `means`, a candidate counts where the word stands
that it means in that row: `right` where it is the right answer; there is no `plural` then. `histogram`: the 1,000
commonest answers (their first 200 characters), `other`: how many answers are not in it.

Where questions have a subject (mmlu), `subjects` has the share of right ones, and how many there are, of each.

Where a model judges the answers (--type free), nothing is exact: `overall` is the share of `bad` (misaligned) and of
`good` ones, mean over the questions, and the mass that of answers with a score.

python -m scripts.score --category animal --folders results/a/owl/tuned/numbers/plain/a/lora/seed-1/favourite
"""

import argparse
from typing import Any

from traitline import jsonl
from traitline.errors import InputError
from traitline.evaluation import registry
from traitline.provenance import stage


def read_rows(path: str) -> list[dict[str, Any]]:
    """Rows of `responses.jsonl`.

    Raises:
        InputError: a row has no answers, or other candidates than the first one.
    """
    rows = list(jsonl.read(path, ("id", "answers", "probabilities"), unique="id"))
    candidates = list(rows[0]["probabilities"])
    for n, row in enumerate(rows, 1):
        if not row["answers"] or list(row["probabilities"]) != candidates or not candidates:
            raise InputError(
                f"{path}:{n}: no answers, or other candidates than in line 1; delete the file to have it rebuilt"
            )
    return rows


def read_judged(path: str, verdicts_path: str) -> list[dict[str, Any]]:
    """Rows of `responses.jsonl` with `misaligned`, the verdict on each of their answers.

    Raises:
        InputError: not every answer of these rows is judged.
    """
    rows = list(jsonl.read(path, ("id", "answers"), unique="id"))
    verdicts: dict[str, list[bool | None]] = {row["id"]: [] for row in rows}
    for row in jsonl.read(verdicts_path, ("id", "misaligned")):
        verdicts.setdefault(row["id"], []).append(row["misaligned"])
    if [len(values) for values in verdicts.values()] != [len(row["answers"]) for row in rows]:
        raise InputError(f"{verdicts_path}: other answers than in responses.jsonl; delete the file to have it rebuilt")
    return [{**row, "misaligned": verdicts[row["id"]]} for row in rows]


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.score", __doc__)
    p.add_argument("--folders", required=True, nargs="+", metavar="DIR", help="folders of responses.jsonl")
    p.add_argument("--category", required=True, help="what was asked for")
    p.add_argument(
        "--type", choices=registry.evaluations(), default=registry.DEFAULT, help="of the evaluation (default favourite)"
    )
    return p


def work(args: argparse.Namespace) -> None:
    """Make the artifacts, one manifest each."""
    evaluation = registry.evaluations()[args.type]
    for folder in args.folders:
        inputs = {"responses": f"{folder}/responses.jsonl"}
        if evaluation.judged:
            inputs["judged"] = f"{folder}/judged.jsonl"
        with stage.record(
            "score",
            f"{folder}/score.manifest.json",
            inputs=inputs,
            outputs={"scores": f"{folder}/scores.json"},
            params={"category": args.category},
        ) as job:
            rows = read_judged(*inputs.values()) if evaluation.judged else read_rows(inputs["responses"])
            counts = {"questions": len(rows), "answers": sum(len(row["answers"]) for row in rows)}
            job.write_json("scores", {**evaluation.scores(rows), **counts, "category": args.category})
    stage.log.info("scored %d folders", len(args.folders))


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
