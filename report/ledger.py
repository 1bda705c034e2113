"""The ledger of targets as a page of Markdown.

in   targets.csv as the stage `compare_paper` writes it; docs/results/ledger.csv is the kept copy of the last
     `make paper`. What that did not run can come from other studies' files after it: docs/results/ledger-*.csv
out  Markdown on standard output

python -m report.ledger docs/results/ledger.csv docs/results/ledger-*.csv > docs/results/ledger.md
"""

import csv
import sys
from collections import Counter
from pathlib import Path

from traitline.analysis.paper_targets import NOT_RUN, VERDICTS

HEAD = """# The paper's figures beside ours

Written by `python -m report.ledger docs/results/ledger.csv docs/results/ledger-*.csv`; the data are
`traitline/analysis/paper_targets.csv` (arXiv 2507.14805v1) and what studies measured beside these targets
(`targets.csv` under their results, made by the stage `compare_paper`).

- **agrees**, **disagrees**: the system is the paper's own (the theorem; the classifier on MNIST), and the interval of
  ours meets the published band, or does not.
- **stand-in**: another, smaller system. Its size is not comparable; the reading says whether it differs from its
  control in the published direction.
- **not run**: and why.

Ours: mean with its 95 % interval over runs. Where no band is published the target itself is the band.
"""


def cell(text: str) -> str:
    """Text that cannot break a table."""
    return text.replace("|", r"\|").replace("\n", " ")


def number(text: str) -> str:
    """A figure with three digits behind the point at most; a dash for none."""
    return f"{float(text):.3f}".rstrip("0").rstrip(".") if text else "-"


def read(path: str | Path) -> list[dict[str, str]]:
    """The targets as one study has them."""
    with open(path, encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def page(path: str | Path, *others: str | Path) -> str:
    """The whole page. What the first study did not run is taken from the first of the others that did."""
    ran = {row["id"]: row for other in reversed(others) for row in read(other) if row["verdict"] != NOT_RUN}
    rows = [ran.get(row["id"], row) if row["verdict"] == NOT_RUN else row for row in read(path)]
    counts = Counter(r["verdict"] for r in rows)
    out = [HEAD, "| verdict | targets |", "|---|--:|", *(f"| {v} | {counts[v]} |" for v in VERDICTS), ""]
    for experiment in dict.fromkeys(r["experiment"] for r in rows):
        mine = [r for r in rows if r["experiment"] == experiment]
        out += [f"## {experiment}", "", "| quantity | target | ours | runs | verdict | reading | source |"]
        out += ["|---|--:|--:|--:|---|---|---|"]
        for r in mine:
            band = f" ({number(r['low'])} to {number(r['high'])})" if r["low"] else ""
            ours = number(r["ours"]) + (
                f" ({number(r['ours_low'])} to {number(r['ours_high'])})" if r["ours_low"] else ""
            )
            line = [cell(r["quantity"]), number(r["target"]) + band, ours, r["runs"] or "-", r["verdict"],
                    cell(r["reading"]), cell(r["source"])]  # fmt: skip
            out.append(f"| {' | '.join(line)} |")
        out.append("")
    return "\n".join(out)


if __name__ == "__main__":
    print(page(*sys.argv[1:]), end="")
