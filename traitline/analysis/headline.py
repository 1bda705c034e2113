"""The headline: the main table as text, at the end of a run, on a screen of any width."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from traitline.analysis import tables
from traitline.analysis.calibration import sentence as calibrated
from traitline.analysis.comparisons import ALL
from traitline.analysis.conclusions import (
    average,
    between,
    logits,
    logits_between,
    over,
    percent,
    pvalue,
    without_repeats,
)
from traitline.analysis.tables import Row

HEAD = ["students", "trait", "same base", "control", "another base", "untouched", "rise, logits", "p (Holm)"]
WIDEST = 110
INTERVALS = "intervals of rates"
# What a narrow screen goes without, in this order.
LAST_NEEDED = ("untouched", "another base", INTERVALS, "p (Holm)", "control")


def headline(results: str | Path, columns: int = WIDEST) -> str:
    """A row per recipe and trait, over bases, no wider than `columns`; what has no room is named."""
    folder = Path(results, "tables")
    tests, effects = tables.read(folder, "tests"), tables.counted(tables.read(folder, "effects"))
    several = len({row["experiment"] for row in tests}) > 1
    lines = [[*(["experiment"] if several else []), *HEAD]]
    for row in tests:
        if row["comparison"] == "rise":
            lines.append([*([row["experiment"]] if several else []), *cells(row, effects)])
    columns = min(columns, WIDEST)
    lacks = list[str]()
    for name in LAST_NEEDED:
        if width(lines) <= columns:
            break
        at = lines[0].index("same base" if name == INTERVALS else name)
        kept = [line[at].split(" (")[0] if name == INTERVALS else "" for line in lines]
        lines = [
            [*line[:at], *([cell] if cell else []), *line[at + 1 :]] for line, cell in zip(lines, kept, strict=True)
        ]
        lacks.append(name)
    text = aligned(lines, 3 if several else 2)
    notes = dict.fromkeys(unit_and_note(row) for row in without_repeats(tests))
    below = [
        f"Too narrow for: {', '.join(lacks)}; see {folder}/tests.csv, effects.csv." if lacks else "",
        "How often students name the trait: exact probability, means on the logit scale over runs, teachers and bases."
        " In brackets 95 % intervals over units. p: corrected by Holm over declared outcomes, or over single traits.",
        f"Units: {'; '.join(notes)}.",
        calibrated(tables.read(folder, "calibration")),
    ]
    return "\n".join([text[0], "-" * len(text[0]), *text[1:], *(textwrap.fill(x, columns) for x in below if x)])


def width(lines: Sequence[Sequence[str]]) -> int:
    """How many characters a table has in a line."""
    return sum(max(len(line[i]) for line in lines) + 2 for i in range(len(lines[0]))) - 2


def aligned(lines: Sequence[Sequence[str]], left: int) -> list[str]:
    """A table as lines of text; the first `left` columns are words, the others figures."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return [
        "  ".join(v.ljust(w) if i < left else v.rjust(w) for i, (v, w) in enumerate(zip(line, widths, strict=True)))
        for line in lines
    ]


def unit_and_note(row: Row) -> str:
    """What a row of tests.csv is over, and what else is to be said of it."""
    unit = f" (the unit is the {row['unit']})" if row["unit"] else ""
    return f"{over(row)}{unit}" + (f", {row['note']}" if row["note"] else "")


def cells(row: Row, effects: Sequence[Row]) -> list[str]:
    """Recipe, trait and figures of one row of tests.csv, for a table of text."""
    span = f" ({between(row['rate_low'], row['rate_high'])})" if row["rate_low"] is not None else ""
    rise = logits(row["difference"]) + (
        f" ({logits_between(row['low'], row['high'])})" if row["low"] is not None else ""
    )
    here = [
        e
        for e in effects
        if (e["experiment"], e["recipe"]) == (row["experiment"], row["recipe"]) and row["trait"] in (e["trait"], ALL)
    ]
    arms = {arm: percent(average(e for e in here if e["arm"] == arm)) for arm in ("other-base", "baseline")}
    rates = [percent(row["rate"]) + span, percent(row["beside_rate"]), arms["other-base"], arms["baseline"]]
    return [row["recipe"], row["trait"], *rates, rise, pvalue(row["p_holm"])]
