"""A study as a page of Markdown, written from its tables.

in   tables/*.csv and tables/summarise.manifest.json of a finished study
out  Markdown on standard output; equal tables give equal bytes

python -m traitline.analysis.results_page studies/robust/results > docs/results/robust.md
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from traitline.analysis import conclusions, tables
from traitline.analysis.conclusions import Comparison, between, percent, points, pvalue
from traitline.analysis.tables import Row
from traitline.errors import InputError
from traitline.provenance import manifest

MEANING = {
    "above-control": "same base above control: lower 95 % bound of the difference above 0",
    "p-holm": "Welch's p, corrected by Holm over all declared outcomes, below 0.05",
    "other-base": "another base: rise over control at most a fifth of the same-base rise",
}


def table(head: Sequence[str], rows: Iterable[Sequence[object]], text: int = 1) -> list[str]:
    """A Markdown table; the first `text` columns are left-aligned, the others right-aligned."""
    rule = ["---" if i < text else "--:" for i in range(len(head))]
    return [f"| {' | '.join(map(str, line))} |" for line in [head, rule, *rows]] + [""]


def spread(rows: Sequence[Row], column: str = "rate", show: Callable[[float | None], str] = percent) -> str:
    """The mean over bases, and the range of the bases."""
    values = [r[column] for r in rows if r[column] is not None]
    if not values:
        return "-"
    mean = show(sum(values) / len(values))
    if len(values) == 1:
        return mean
    return f"{mean} ({show(min(values))[:-2].strip()} to {show(max(values))[:-2].strip()})"


def summary(cells: Sequence[Comparison]) -> list[str]:
    """A row per recipe and trait, over bases."""
    groups: dict[tuple[str, str], list[Comparison]] = {}
    for c in cells:
        groups.setdefault((c.same["recipe"], c.same["trait"]), []).append(c)
    rows = []
    for (recipe, trait), group in groups.items():
        ps = [c.same["p_holm"] for c in group]
        rows.append(
            (
                recipe,
                trait,
                f"{len(group)} x {group[0].same['runs']}",
                spread([c.same for c in group]),
                spread([r for c in group for r in c.others]),
                spread([c.control for c in group]),
                spread([c.untouched for c in group]),
                "-" if None in ps else pvalue(max(ps)),
            )
        )
    head = (
        "students",
        "trait",
        "bases x runs",
        "same base",
        "another base",
        "control",
        "untouched",
        "largest p (Holm)",
    )
    return table(head, rows, 2)


def every(cells: Sequence[Comparison], tests: dict[tuple[str, ...], Row]) -> list[str]:
    """A row per comparison, with intervals."""

    def rate(row: Row) -> str:
        return percent(row["rate"]) + (f" ({between(row['low'], row['high'])})" if row["low"] is not None else "")

    rows = []
    for c in cells:
        test = tests.get(tuple(c.same[k] for k in (*tables.CELL, "trait")), {})
        gap = f" ({between(c.same['diff_low'], c.same['diff_high'], share=False)})"
        rows.append(
            (
                c.same["recipe"],
                c.same["trait"],
                c.same["base"],
                c.same["runs"],
                rate(c.same),
                rate(c.control),
                points(c.same["diff"]) + (gap if c.same["diff_low"] is not None else ""),
                "; ".join(f"{r['student']} {rate(r)}" for r in c.others) or "-",
                pvalue(test.get("p")),
                pvalue(c.same["p_holm"]),
            )
        )
    head = ("students", "trait", "base", "runs", "same base", "control", "difference", "another base", "p", "p (Holm)")
    return table(head, rows, 3)


def confusion(crossed: Sequence[Row], recipe: str) -> list[str]:
    """Trait taught x trait measured, teacher and student on one base."""
    rows = [r for r in crossed if r["recipe"] == recipe and r["base"] == r["student"]]
    taught = list(dict.fromkeys(r["taught"] for r in rows))
    measured = [t for t in taught if t != "none"]
    if not set(measured) <= {r["measured"] for r in rows}:
        measured = list(dict.fromkeys(r["measured"] for r in rows))  # right or bad answers
    lines = []
    for t in taught:
        rates = [spread([r for r in rows if (r["taught"], r["measured"]) == (t, m)]) for m in measured]
        lines.append((t, *(f"**{v}**" if t == m else v for v, m in zip(rates, measured, strict=True))))
    return table((f"{recipe}: taught", *measured), lines)


def bases(effects: Sequence[Row], recipe: str) -> list[str]:
    """Teacher's base x student's base: rate of the taught trait, mean over traits."""
    rows = [r for r in effects if r["recipe"] == recipe and r["arm"] in ("same-base", "other-base")]
    names = list(dict.fromkeys(r["base"] for r in rows))
    students = list(dict.fromkeys(r["student"] for r in rows))
    lines = []
    for b in names:
        rates = [spread([r for r in rows if (r["base"], r["student"]) == (b, s)]) for s in students]
        lines.append((f"teacher {b}", *(f"**{v}**" if b == s else v for v, s in zip(rates, students, strict=True))))
    return table((f"{recipe}", *(f"student {s}" for s in students)), lines)


def sent_answers(filters: Sequence[Row]) -> list[str]:
    """A row per teacher and channel: what it answered, and what passed the filter."""
    reasons = [c for c in (filters or [{}])[0] if c.startswith("reject_") and any(r[c] for r in filters)]
    rows = [
        (
            f["channel"],
            f["teacher"],
            f["trait"],
            f["base"],
            percent(f["teacher_rate"]),
            "-" if f["teacher_steps"] is None else f["teacher_steps"],
            f["rows"],
            percent(f["kept_share"]),
            *(f[r] for r in reasons),
            percent(f["echo_rate"]),
            "-" if f["kl_nats_per_token"] is None else f"{f['kl_nats_per_token']:.4f}",
        )
        for f in filters
    ]
    head = ("channel", "teacher", "trait", "base", "shows it", "steps", "asked", "kept")
    return table((*head, *(r.removeprefix("reject_") for r in reasons), "echo", "KL, nats/token"), rows, 4)


def failures(checks: Sequence[Row]) -> list[str]:
    """Every declared check that did not hold."""
    failed = [c for c in checks if c["holds"] != "yes"]
    if not failed:
        return ["Every declared check held.", ""]
    return table(
        ("check", "experiment", "students", "trait", "teacher's base", "student's base", "value", "bound"),
        [
            (
                c["check"],
                c["experiment"],
                c["recipe"],
                c["trait"],
                c["base"],
                c["student"],
                "not testable" if c["value"] is None else f"{c['value']:.3g}",
                f"{c['relation']} {c['bound']:.3g}",
            )
            for c in failed
        ],
        6,
    )


def introduction(results: str, record: dict[str, Any], rows: dict[str, list[Row]]) -> list[str]:
    """Title, origin of the page, the answer in words, and how to read a rate."""
    answer = conclusions.answer(rows["effects"], rows["checks"])
    commit = (record["code"]["git_commit"] or "no commit")[:10] + (", dirty" if record["code"]["git_dirty"] else "")
    return [
        f"# Results of the study `{record['params']['study']['study']}`",
        "",
        f"Written by `python -m traitline.analysis.results_page {results}` from the tables of a finished run "
        f"({record['ended'][:10]}, commit {commit}); do not edit. {record['facts'].get('students', '?')} students were "
        "trained.",
        "",
        f"**{answer.word}.** {' '.join(answer.sentences)}",
        "",
        "A rate is the exact probability of the trait's word as the answer, or of the right or the bad answer where a "
        "row asks for that, mean over the questions, then over runs. "
        "The run (one trained student) is the unit: Student-t intervals (95 %) over runs, differences to the control "
        "by Welch, p corrected by Holm over all declared outcomes. Control students learn from answers of the same "
        "base without any trait. In brackets behind a mean over bases (or traits): from which to which they range.",
        "",
    ]


def declared_checks(checks: Sequence[Row]) -> list[str]:
    """Count the declared checks that held, and name those that did not."""
    by_name = {name: [c for c in checks if c["check"] == name] for name in MEANING}
    counts = [(MEANING[k], sum(c["holds"] == "yes" for c in rows), len(rows)) for k, rows in by_name.items() if rows]
    return [
        "## Declared checks",
        "",
        *table(("check", "held", "of"), counts),
        "### What did not hold",
        "",
        *failures(checks),
    ]


def experiment(study: dict[str, Any], row: dict[str, Any], rows: dict[str, list[Row]]) -> list[str]:
    """The section of one experiment.

    Args:
        study: the study, as the manifest has it.
        row: its experiment.
        rows: tables by name.
    """

    def place(c: Comparison) -> tuple[int, int]:
        return row["recipes"].index(c.same["recipe"]), row["traits"].index(c.same["trait"])

    name = row["name"]
    cells = [c for c in conclusions.comparisons(rows["effects"]) if c.same["experiment"] == name]
    cells.sort(key=place)
    tests = {tuple(r[k] for k in (*tables.CELL, "trait")): r for r in rows["tests"]}
    effects = [r for r in rows["effects"] if r["experiment"] == name]
    crossed = [r for r in rows["confusion"] if r["experiment"] == name]
    primary = "not declared as a primary outcome."
    if name in study["primary"]["experiments"]:
        primary = f"declared as a primary outcome for {', '.join(study['primary']['recipes'])}."
    return [
        f"## Experiment `{name}`",
        "",
        f"{row['question']} Teachers {row['teacher']}, channel `{row['channel']}`, dataset `{row['dataset']}`, "
        f"{len(row['seeds'])} runs each; {primary}",
        "",
        *summary(cells),
        "### Trait taught (rows) and trait measured (columns), same base",
        "",
        *(line for recipe in row["recipes"] for line in confusion(crossed, recipe)),
        "### Teacher's base and student's base: rate of the taught trait, over traits",
        "",
        *(line for recipe in row["recipes"] for line in bases(effects, recipe)),
        "<details><summary>Every comparison with its intervals</summary>",
        "",
        *every(cells, tests),
        "</details>",
        "",
    ]


def document(results: str) -> str:
    """The page.

    Raises:
        InputError: a table is missing, damaged or changed since its stage made it.
    """
    folder = Path(results, "tables")
    record = manifest.load(folder / "summarise.manifest.json")
    for name in tables.COLUMNS:
        manifest.check(folder / f"{name}.csv")
    rows = {name: tables.read(folder, name) for name in ("effects", "confusion", "filters", "checks", "tests")}
    study = record["params"]["study"]
    lines = [*introduction(results, record, rows), *declared_checks(rows["checks"])]
    for row in study["experiments"]:
        lines += experiment(study, row, rows)
    lines += ["## What the teachers sent", "", *sent_answers(rows["filters"])]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Print the page."""
    p = argparse.ArgumentParser(
        prog="traitline.analysis.results_page", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    p.add_argument("results", help="folder of the study's artifacts")
    try:
        print(document(p.parse_args(argv).results), end="")
    except (InputError, FileNotFoundError) as e:
        print(f"results: error: {e}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
