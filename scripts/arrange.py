"""Arrange the rows that a student is trained on: a random subsample of fixed size, as it is or with numbers shuffled.

in   filtered.jsonl    the answers that passed the filter
out  view.jsonl        N of its rows, in the order of the file

--order as-is    leave the answers alone
        within   permute the numbers inside each answer
        across   pool the numbers of all answers, permute, deal back: each answer keeps how many it has
Separators, brackets and full stops stay, and so does every number. Rows and order have random streams of their own:
views of one seed and size hold the same rows, whatever the order of their numbers.

python -m scripts.arrange --filtered filtered.jsonl --view view.jsonl --manifest arrange.manifest.json \\
    --rows 10000 --seed 1 --order as-is
"""

import argparse
from typing import TYPE_CHECKING, Any

from traitline import jsonl, stage
from traitline.answers import exchange, split
from traitline.errors import InputError
from traitline.seeds import seed

if TYPE_CHECKING:
    from numpy.random import Generator

ORDERS = ("as-is", "within", "across")


def sample(path: str, size: int, rng: "Generator") -> list[dict[str, Any]]:
    """`size` rows at random, in the order of the file."""
    rows = list(jsonl.read(path, ("id", "prompt", "completion"), unique="id"))
    if size > len(rows):
        raise InputError(
            f"{path}: the view asks for {size:,} rows and {len(rows):,} passed the filter; "
            "lower `rows` of the view or raise `prompts` of the channel"
        )
    chosen = [rows[i] for i in sorted(rng.choice(len(rows), size, replace=False))]
    for row in chosen:
        exchange(row, path)  # the last gate before training: messages they must be, and no system message among them
    return chosen


def shuffle(rows: list[dict[str, Any]], path: str, order: str, rng: "Generator") -> None:
    """Permute the numbers of the rows in place. They move as they are written: 007 stays 007."""
    answers = []
    for row in rows:
        answer = split(exchange(row, path)[1])
        if isinstance(answer, str):
            raise InputError(f"{path}: row {row['id']!r} is no list of numbers ({answer}); arrange this channel as-is")
        answers.append(answer)
    pool = [text for answer in answers for text in answer.texts]
    if order == "across":
        pool = [pool[i] for i in rng.permutation(len(pool))]
    start = 0
    for row, answer in zip(rows, answers, strict=True):
        texts = pool[start : start + len(answer.texts)]
        start += len(texts)
        if order == "within":
            texts = [texts[i] for i in rng.permutation(len(texts))]
        row["completion"][-1]["content"] = str(answer._replace(texts=tuple(texts)))


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.arrange", __doc__)
    p.add_argument("--filtered", required=True, metavar="IN", help="rows that passed the filter, JSONL")
    p.add_argument("--view", required=True, metavar="OUT", help="rows to train on")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    p.add_argument("--rows", required=True, type=int, metavar="N", help="how many rows")
    p.add_argument("--seed", required=True, type=int, metavar="N", help="of the subsample and of the shuffle")
    p.add_argument("--order", choices=ORDERS, default="as-is", help="of the numbers (default as-is)")
    return p


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    if args.rows < 1:
        raise InputError(f"--rows: {args.rows} is too few; give 1 or more")
    with stage.record(
        "arrange",
        args.manifest,
        inputs={"filtered": args.filtered},
        outputs={"view": args.view},
        params={"rows": args.rows, "order": args.order},
        seeds={"arrange": args.seed},
    ) as job:
        from numpy.random import default_rng

        rows = sample(args.filtered, args.rows, default_rng(seed("arrange", "rows", args.seed)))
        if args.order != "as-is":
            shuffle(rows, args.filtered, args.order, default_rng(seed("arrange", "order", args.seed)))
        jsonl.write(job.path("view"), rows)
    stage.log.info("%s rows, numbers %s: %s", f"{args.rows:,}", args.order, args.view)


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
