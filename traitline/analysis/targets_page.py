"""The paper's targets beside what studies measured, as a page of Markdown.

in   paper_targets.csv, and the targets.csv of studies (stage `compare_paper`), whole or only with the rows that ran
     (`--keep`); what the first study did not run is taken from the next one that did
out  Markdown on standard output

python -m traitline.analysis.targets_page docs/results/paper-targets.csv docs/results/paper-targets-*.csv \\
    > docs/results/paper-targets.md
python -m traitline.analysis.targets_page --keep studies/paper/results/targets.csv > docs/results/paper-targets.csv
"""

import argparse
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from traitline import csv_files
from traitline.analysis.page_program import as_csv, parser
from traitline.analysis.paper_targets import NOT_RUN, OURS, VERDICTS, Target, load
from traitline.errors import InputError
from traitline.provenance import stage

Row = dict[str, str]
COLUMNS = ("id", *OURS)  # of a file of what was run
HEAD = """# The paper's figures beside ours

Written by `python -m traitline.analysis.targets_page docs/results/paper-targets.csv docs/results/paper-targets-*.csv`.
The data are `traitline/analysis/paper_targets.csv` (arXiv 2507.14805v1) and what studies measured beside these targets:
`targets.csv` under their results, made by the stage `compare_paper`, of which the files here keep the rows that ran.

- **agrees**, **disagrees**: the system is the paper's own (the theorem; the classifier on MNIST), and the interval of
  ours meets the published band, or does not.
- **stand-in**: another, smaller system. Its size is not comparable; the reading says whether it differs from its
  control in the published direction.
- **not run**: and why.

Ours: mean with its 95 % interval over units (n), which are bases, or teachers, models or cases where these are
independent; below three there is none. A direction is a paired difference over bases. Rows without a unit are from
older studies of one to three bases, in which runs were taken for units: their means stand, their intervals and
directions do not; they hold all students, for whether a teacher reached its rate was not asked then. Newer rows leave
out the students that no test counts. Where no band is published the target itself is the band.
"""


def cell(text: str) -> str:
    """Text that cannot break a table."""
    return text.replace("|", r"\|").replace("\n", " ")


def number(value: float | None) -> str:
    """A figure with three digits behind the point at most; a dash for none."""
    return "-" if value is None else f"{value:.3f}".rstrip("0").rstrip(".")


def figure(value: float | None, low: float | None, high: float | None) -> str:
    """A figure with its band or interval."""
    return number(value) + (f" ({number(low)} to {number(high)})" if low is not None else "")


def read_run(path: str | Path) -> list[Row]:
    """Rows of a study's targets that were run.

    Raises:
        InputError: no such file, a column is missing, or an id is none of the paper's targets.
    """
    known = {t.id for t in load()}
    table = csv_files.read(
        path, COLUMNS, missing="make it with `compare_paper`", remedy="give a targets.csv of `compare_paper`"
    )
    rows = [{c: row[c] for c in COLUMNS} for _, row in table if row["verdict"] != NOT_RUN]
    if strangers := [row["id"] for row in rows if row["id"] not in known]:
        raise InputError(f"{path}: {strangers[0]} is no target of paper_targets.csv; run `compare_paper` again")
    return rows


def ran_line(target: Target, row: Row) -> str:
    """The row of a target that a study measured."""
    ours, low, high = (float(text) if (text := row.get(c)) else None for c in ("ours", "ours_low", "ours_high"))
    cells = (
        cell(target.quantity),
        figure(target.target, target.low, target.high),
        figure(ours, low, high),
        row.get("students") or "-",
        f"{row['n']} {row['unit']}" if row.get("n") else "-",
        row.get("runs") or "-",
        row["verdict"],
        cell(row["reading"]) or "-",
        cell(target.source),
    )
    return f"|{'|'.join(cells)}|"


def table(head: str, align: str, lines: list[str]) -> list[str]:
    """A table of Markdown with an empty line behind it; nothing for no lines."""
    return [head, align, *lines, ""] if lines else []


def unrun_tables(targets: list[Target]) -> list[str]:
    """Targets that no study measured: a table for each reason and source, which stand above it."""
    groups: dict[tuple[str, str], list[str]] = {}
    for t in targets:
        text = f"|{cell(t.quantity)}|{figure(t.target, t.low, t.high)}|"
        groups.setdefault((t.why or "no study kept here has it", t.source), []).append(text)
    out = []
    for (why, source), lines in groups.items():
        out += [f"Not run ({why}), {source}:", "", *table("|quantity|target|", "|---|--:|", lines)]
    return out


def page(paths: Iterable[str | Path]) -> str:
    """The whole page. What the first study did not run is taken from the first of the others that did."""
    ran: dict[str, Row] = {}
    for path in paths:
        for row in read_run(path):
            ran.setdefault(row["id"], row)
    targets = load()
    counts = Counter(ran[t.id]["verdict"] if t.id in ran else NOT_RUN for t in targets)
    out = [HEAD, *table("|verdict|targets|", "|---|--:|", [f"|{v}|{counts[v]}|" for v in VERDICTS])]
    for experiment in dict.fromkeys(t.experiment for t in targets):
        here = [t for t in targets if t.experiment == experiment]
        out += [f"## {experiment}", ""]
        out += table(
            "|quantity|target|ours|students|n, unit|runs|verdict|reading|source|",
            "|---|--:|--:|---|--:|--:|---|---|---|",
            [ran_line(t, ran[t.id]) for t in here if t.id in ran],
        )
        out += unrun_tables([t for t in here if t.id not in ran])
    return "\n".join(out)


def main(argv: list[str] | None = None) -> int:
    """Print the page, or the rows of a study that were run."""
    p = parser("targets_page", __doc__)
    p.add_argument("files", nargs="+", metavar="IN", help="what studies measured; earlier files win")
    p.add_argument("--keep", action="store_true", help="print the rows of the first file that were run, as CSV")

    def work(args: argparse.Namespace) -> None:
        print(as_csv(COLUMNS, read_run(args.files[0])) if args.keep else page(args.files), end="")

    return stage.run(p, work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
