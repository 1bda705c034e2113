"""Every declared outcome in docs/results, corrected by Holm as one family, as a page of Markdown.

Each study is corrected within itself. Who reads several of them sees more outcomes than any study counted.

in   kept outcomes of studies: the primary rows of their tests.csv (`--keep`); outcomes-older.csv has those of older
     studies, from their published rates, base by base
out  Markdown on standard output

python -m traitline.analysis.repository_outcomes docs/results/outcomes-*.csv > docs/results/repository-outcomes.md
python -m traitline.analysis.repository_outcomes --keep nine results/tables/tests.csv > docs/results/outcomes-nine.csv
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from traitline import csv_files
from traitline.analysis import stats, tables
from traitline.analysis.comparisons import PRIMARY, holds
from traitline.analysis.conclusions import logits, logits_between, pvalue
from traitline.analysis.page_program import as_csv, parser
from traitline.analysis.results_page import table
from traitline.errors import InputError
from traitline.provenance import stage

COLUMNS = ("study", "experiment", "recipe", "comparison", "unit", "n", "difference", "low", "high", "p")
VERDICTS = {"yes": "yes", "no": "no", "unknown": "not testable"}
HEAD = """# Every declared outcome, corrected together

Written by `python -m traitline.analysis.repository_outcomes docs/results/outcomes-*.csv`; do not edit.

Each row is one outcome that a study in this folder declared before it ran, as the mean over its traits in logits. The
unit is the base. Holm's method corrects all of them as one family, over all studies. Older studies declared single
traits of single bases with runs as the unit; here their published rates are put together as today's are (mean logit
over traits, paired with the control, a value a base), which was not declared. An outcome without a p has fewer than
three bases; it keeps its place in the family. Not listed are the studies `chain`, `paper-tiny` and `smollm2-135m`: they
have one base, or one teacher, and no outcome that could be tested.

An outcome that does not hold here may hold within its own study, whose page says so: there the family is smaller. What
holds here can be leaned on whichever of these studies one happens to read.
"""
MOST = 1000  # further outcomes that are tried


def read_outcomes(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """The kept outcomes of all files, numbers as numbers.

    Raises:
        InputError: a file is missing, lacks a column or holds something else than a number where one belongs.
    """
    rows = []
    for path in sorted(paths):
        for line, row in csv_files.read(path, COLUMNS, missing="make it with --keep"):
            try:
                numbers = {c: float(row[c]) if row[c] else None for c in COLUMNS[5:]}
            except ValueError:
                raise InputError(f"{path}:{line}: no number; make the file again with --keep") from None
            rows.append(dict(row) | numbers)
    return rows


def keep(study: str, path: Path) -> list[dict[str, Any]]:
    """The primary rows of a study's tests.csv, with its name."""
    rows = tables.rows(path, tables.COLUMNS["tests"])
    return [{"study": study} | {c: row[c] for c in COLUMNS[1:]} for row in rows if row["role"] == PRIMARY]


def verdicts(rows: Sequence[dict[str, Any]], more: int = 0) -> list[str]:
    """Whether each outcome holds, if so many more that cannot be tested were declared."""
    corrected = stats.holm([*(row["p"] for row in rows), *[None] * more])
    return [holds(row | {"p_holm": p}) for row, p in zip(rows, corrected, strict=False)]


def room(rows: Sequence[dict[str, Any]]) -> str:
    """How many more outcomes could have been declared before one that holds would not."""
    more = next((n for n in range(1, MOST) if verdicts(rows, n) != verdicts(rows)), MOST) - 1
    return f"The same hold if up to {more} more are counted, of whatever studies, that could not be tested."


def page(rows: Sequence[dict[str, Any]]) -> str:
    """The page: a row per outcome, and how many hold."""
    corrected = stats.holm([row["p"] for row in rows])
    lines = []
    every = verdicts(rows)
    for row, p, verdict in zip(rows, corrected, every, strict=True):
        gap = f" ({logits_between(row['low'], row['high'])})" if row["low"] is not None else ""
        about = (row["study"], row["experiment"], row["recipe"], row["comparison"])
        n = f"{int(row['n'] or 0)} {row['unit'] or 'no unit'}"
        lines.append((*about, n, logits(row["difference"]) + gap, pvalue(row["p"]), pvalue(p), VERDICTS[verdict]))
    head = ("study", "experiment", "students", "outcome", "n, unit", "logits", "p", "p (Holm, all)", "holds")
    return "\n".join([HEAD, *table(head, lines, 4), f"{every.count('yes')} of {len(rows)} hold. {room(rows)}", ""])


def main(argv: list[str] | None = None) -> int:
    """Print the page, or the outcomes of one study to keep."""
    p = parser("repository_outcomes", __doc__)
    p.add_argument("files", nargs="+", type=Path, metavar="IN", help="kept outcomes; with --keep a tests.csv")
    p.add_argument("--keep", metavar="STUDY", help="print the primary outcomes of one study's tests.csv, as CSV")

    def work(args: argparse.Namespace) -> None:
        if args.keep:
            print(as_csv(COLUMNS, keep(args.keep, args.files[0])), end="")
        else:
            print(page(read_outcomes(args.files)), end="")

    return stage.run(p, work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
