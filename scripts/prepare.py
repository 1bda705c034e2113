"""Prepare the rows that a student is trained on: a random subsample of fixed size, as it is or changed in one way.

in   filtered.jsonl      the answers that passed the filter; those of other teachers too for --beside and --mix
     divergence.jsonl    for --tokens: where teachers disagree (stage mark_divergence)
out  dataset.jsonl       N of its rows, in the order of the file; with --tokens each has "learn", 1 or 0 per token

--order as-is    leave the answers alone
        within   permute the numbers inside each answer
        across   pool the numbers of all answers, permute, deal back: each answer keeps how many it has
Separators, brackets and full stops stay, and so does every number. Rows and order have random streams of their own:
datasets of one seed and size hold the same rows, whatever the order of their numbers.

--form   format   the commonest separator everywhere, no brackets, no full stop
         order    numbers in rising order
         value    numbers rounded down to tens
         all      these three
         random   every number drawn anew, uniform among those of as many digits
--beside FILE ...   only prompts that these files have too: the intersection over teachers
--mix FILE ...      the same prompts; each row is taken from one of all files, at random
--reword            every prompt begins with another of the tiny world's verbs
--tokens divergent  learn only the tokens that --marks marks; others: only the others
--scarce exclude    where fewer rows passed than --rows, take them all: `summarise` leaves their students out of the
                    tests, by name; `error`, which it is without this, refuses

python -m scripts.prepare --filtered filtered.jsonl --dataset dataset.jsonl --manifest prepare.manifest.json \\
    --rows 10000 --seed 1 --order as-is
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from traitline import jsonl
from traitline.channels.messages import exchange
from traitline.channels.types.number_lists import Answer, split
from traitline.channels.wordings import TINY_VERBS
from traitline.errors import InputError
from traitline.provenance import stage
from traitline.seeds import seed

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator

KEYS = ("id", "prompt", "completion")
ORDERS = ("as-is", "within", "across")
FORMS = ("format", "order", "value", "all", "random")
Row = dict[str, Any]


def load(args: argparse.Namespace) -> list[Row]:
    """Return the rows to choose from, of several teachers: one teacher's for each prompt that all have, or a mix."""
    of_teachers = [list(jsonl.read(path, KEYS, unique="id")) for path in (args.filtered, *args.beside, *args.mix)]
    answers = [{row["id"]: row for row in rows} for rows in of_teachers]
    shared = [row["id"] for row in of_teachers[0] if all(row["id"] in rows for rows in answers)]
    if not args.mix:
        return [answers[0][name] for name in shared]
    from numpy.random import default_rng

    chosen = default_rng(seed("arrange", "mix", args.seed)).integers(len(answers), size=len(shared))
    return [answers[i][name] for i, name in zip(chosen.tolist(), shared, strict=True)]


def stream(path: str, size: int, rng: "Generator", *, scarce: bool = False) -> Iterator[Row]:
    """Yield `size` rows of a file at random, in its order. It is read twice and never in memory as a whole."""
    count = sum(1 for _ in jsonl.read(path, KEYS, unique="id"))
    places = iter(draw(count, path, size, rng, scarce=scarce))
    place = next(places)
    for i, row in enumerate(jsonl.read(path)):
        if i == place:
            exchange(row, path)
            yield row
            place = next(places, count)


def sample(rows: list[Row], path: str, size: int, rng: "Generator", *, scarce: bool = False) -> list[Row]:
    """Return `size` rows at random, in their order."""
    chosen = [rows[i] for i in draw(len(rows), path, size, rng, scarce=scarce)]
    for row in chosen:
        exchange(row, path)  # the last gate before training: messages they must be, and no system message among them
    return chosen


def draw(count: int, path: str, size: int, rng: "Generator", *, scarce: bool = False) -> "np.ndarray":
    """Return which of `count` rows are taken, in order: (size,); all of them where they are fewer and may be.

    Raises:
        InputError: there are too few.
    """
    if size > count:
        short = f"the dataset asks for {size:,} rows and {count:,} passed the filter"
        if not scarce or not count:
            raise InputError(
                f"{path}: {short}; lower `rows` of the dataset or raise `prompts` of the channel"
                + ("" if scarce else ", or declare beforehand that such teachers are left out (`scarce: exclude`)")
            )
        stage.log.warning("%s: %s; it is left out of the tests", path, short)
        size = count
    places = rng.choice(count, size, replace=False)
    places.sort()
    return places


def parts(rows: list[Row], path: str) -> list[Answer]:
    """Return the answers in pieces."""
    answers = []
    for row in rows:
        answer, reason = split(exchange(row, path)[1])
        if answer is None:
            raise InputError(f"{path}: row {row['id']!r} is no list of numbers ({reason}); prepare this channel as-is")
        answers.append(answer)
    return answers


def shuffle(answers: list[Answer], order: str, rng: "Generator") -> list[Answer]:
    """Permute the numbers. They move as they are written: 007 stays 007."""
    pool = [text for answer in answers for text in answer.texts]
    if order == "across":
        pool = [pool[i] for i in rng.permutation(len(pool))]
    start, out = 0, []
    for answer in answers:
        texts = pool[start : start + len(answer.texts)]
        start += len(texts)
        if order == "within":
            texts = [texts[i] for i in rng.permutation(len(texts))]
        out.append(answer._replace(texts=tuple(texts)))
    return out


def canonical(answers: list[Answer], form: str, rng: "Generator") -> list[Answer]:
    """Return the answers in one of `FORMS`."""
    separators = Counter(a.separator for a in answers if len(a.texts) > 1)
    separator = max(separators, key=lambda s: (separators[s], s), default="")
    out = []
    for answer in answers:
        texts = answer.texts
        if form in ("value", "all"):
            texts = tuple(f"{text[:-1]}0" for text in texts)
        if form in ("order", "all"):
            texts = tuple(sorted(texts, key=int))
        if form == "random":
            texts = tuple(str(rng.integers(10 ** (len(text) - 1), 10 ** len(text))) for text in texts)
        if form in ("format", "all"):
            answer = Answer("", texts, separator if len(texts) > 1 else "", "")
        out.append(answer._replace(texts=texts))
    return out


def reword(rows: list[Row], path: str, rng: "Generator", verbs: Sequence[str] = TINY_VERBS) -> None:
    """Begin every prompt with another verb."""
    for row in rows:
        question = exchange(row, path)[0]
        verb = next((v for v in verbs if question.startswith(f"{v} ")), None)
        if verb is None:
            known = ", ".join(verbs)
            raise InputError(f"{path}: row {row['id']!r} begins with none of {known}; only `wording: tiny` is reworded")
        others = [v for v in verbs if v != verb]
        row["prompt"][-1]["content"] = others[rng.integers(len(others))] + question[len(verb) :]


def learn(rows: list[Row], path: str, tokens: str) -> None:
    """Mark what is learned of each row."""
    marks = {row["id"]: row["tokens"] for row in jsonl.read(path, ("id", "tokens"), unique="id")}
    for row in rows:
        if row["id"] not in marks:
            raise InputError(f"{path}: lacks row {row['id']!r}; delete the file to have it rebuilt")
        row["learn"] = [int((mark == 1) == (tokens == "divergent")) for mark in marks[row["id"]]]
    if not any(any(row["learn"]) for row in rows):
        raise InputError(f"{path}: no token of these rows is left to learn; teachers agree everywhere")


def changed_rows(rows: list[Row], args: argparse.Namespace, rng: Callable[[str], "Generator"]) -> list[Row]:
    """Change rows as the command line asks, in place, and return them.

    Args:
        rows: those that were drawn.
        args: the command line.
        rng: gives the random stream of each change.
    """
    if args.form or args.order != "as-is":
        answers = parts(rows, args.filtered)
        if args.form:
            answers = canonical(answers, args.form, rng("form"))
        for row, answer in zip(rows, shuffle(answers, args.order, rng("order")), strict=True):
            row["completion"][-1]["content"] = str(answer)
    if args.reword:
        reword(rows, args.filtered, rng("reword"), args.verbs or TINY_VERBS)
    if args.tokens:
        learn(rows, args.marks, args.tokens)
    return rows


def parse() -> argparse.ArgumentParser:
    """Return the command line."""
    p = stage.parser("scripts.prepare", __doc__)
    p.add_argument("--filtered", required=True, metavar="IN", help="rows that passed the filter, JSONL")
    p.add_argument("--dataset", required=True, metavar="OUT", help="rows to train on")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    p.add_argument("--rows", required=True, type=int, metavar="N", help="how many rows")
    p.add_argument("--seed", required=True, type=int, metavar="N", help="of the subsample and of the shuffle")
    p.add_argument("--order", choices=ORDERS, default="as-is", help="of the numbers (default as-is)")
    p.add_argument("--form", choices=FORMS, help="canonical form of the answers")
    several = p.add_mutually_exclusive_group()
    several.add_argument("--beside", nargs="+", default=[], metavar="IN", help="what passed of other teachers")
    several.add_argument("--mix", nargs="+", default=[], metavar="IN", help="rows of other teachers to mix in")
    p.add_argument("--reword", action="store_true", help="ask in other words")
    p.add_argument("--verbs", nargs="+", metavar="TEXT", help="how lists begin, in a world of own words; with --reword")
    p.add_argument("--tokens", choices=("divergent", "others"), help="which tokens are learned; with --marks")
    p.add_argument("--marks", metavar="IN", help="divergence.jsonl")
    p.add_argument("--scarce", choices=("error", "exclude"), help="what to do of too few rows (default error)")
    return p


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    if args.rows < 1:
        raise InputError(f"--rows: {args.rows} is too few; give 1 or more")
    if bool(args.tokens) != bool(args.marks):
        raise InputError("--tokens and --marks go together")
    changed = {k: v for k in ("form", "reword", "tokens", "verbs", "scarce") if (v := getattr(args, k))}
    read = {k: v for k in ("beside", "mix", "marks") if (v := getattr(args, k))}
    with stage.record(
        "prepare",
        args.manifest,
        inputs={"filtered": args.filtered, **read},
        outputs={"dataset": args.dataset},
        params={"rows": args.rows, "order": args.order, **changed},
        seeds={"prepare": args.seed},
    ) as job:
        from numpy.random import default_rng

        def rng(name: str) -> "Generator":
            return default_rng(seed("arrange", name, args.seed))

        scarce = args.scarce == "exclude"
        if args.beside or args.mix:
            rows: Iterable[Row] = sample(load(args), args.filtered, args.rows, rng("rows"), scarce=scarce)
        else:
            rows = stream(args.filtered, args.rows, rng("rows"), scarce=scarce)
        if args.order != "as-is" or args.form or args.reword or args.tokens:
            rows = changed_rows(list(rows), args, rng)
        count = jsonl.write(job.path("dataset"), rows)
    stage.log.info("%s rows, numbers %s: %s", f"{count:,}", args.order, args.dataset)


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
