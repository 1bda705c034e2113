"""A study as a page of Markdown, written from its tables.

in   tables/*.csv and tables/summarise.manifest.json of a finished study
out  Markdown on standard output; equal tables give equal bytes

python -m traitline.analysis.results_page studies/mine/results > docs/results/mine.md
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from traitline.analysis import conclusions, tables
from traitline.analysis.comparisons import PRIMARY
from traitline.analysis.conclusions import Comparison, between, logits, logits_between, percent, pvalue
from traitline.analysis.page_program import parser
from traitline.analysis.tables import Row
from traitline.provenance import manifest, stage

CLAIMS = {
    "rise": "students on their teacher's base show the trait more often than control students",
    "specificity": "students rise more on their teacher's base than on another",
    "equivalence": "students on another base are equivalent to their control, within the margin",
}


def table(head: Sequence[str], rows: Iterable[Sequence[object]], text: int = 1) -> list[str]:
    """A Markdown table; the first `text` columns are left-aligned, the others right-aligned."""
    rule = ["---" if i < text else "--:" for i in range(len(head))]
    return [f"| {' | '.join(map(str, line))} |" for line in [head, rule, *rows]] + [""]


def spread(rows: Sequence[Row]) -> str:
    """The mean over bases, and from which to which they range."""
    rates = [r["rate"] for r in rows]
    if not rates:
        return "-"
    mean = percent(conclusions.average(rows))
    return mean if len(rates) < 2 else f"{mean} ({percent(min(rates))[:-2]} to {percent(max(rates))[:-2]})"


def with_interval(text: str, low: float | None, high: float | None, show: Callable[..., str] = between) -> str:
    """A figure, and its interval in brackets where there is one."""
    return text if low is None else f"{text} ({show(low, high)})"


def outcomes(tests: Sequence[Row]) -> list[str]:
    """A row per comparison of an experiment, recipe and trait, over its units."""
    rows = [
        (
            r["recipe"],
            r["comparison"],
            r["trait"],
            r["role"],
            with_interval(percent(r["rate"]), r["rate_low"], r["rate_high"]),
            percent(r["beside_rate"]),
            with_interval(logits(r["difference"]), r["low"], r["high"], logits_between),
            pvalue(r["p"]),
            pvalue(r["p_holm"]),
            logits(r["detectable"]),
            r["unit"] or "none",
            r["n"],
            f"{r['bases']} / {r['teachers']} / {r['runs']}",
        )
        for r in tests
    ]
    head = ("students", "comparison", "trait", "role", "rate", "beside", "logits", "p", "p (Holm)", "seen from")
    lines = table((*head, "unit", "n", "bases / teachers / runs"), rows, 4)
    notes = conclusions.distinct_notes(tests)
    return [*lines, *([f"Notes: {'; '.join(notes)}.", ""] if notes else [])]


def every(cells: Sequence[Comparison]) -> list[str]:
    """A row per base, recipe and trait, also of those that no test counts."""

    def rate(row: Row) -> str:
        return with_interval(percent(row["rate"]), row["low"], row["high"])

    rows = []
    for c in cells:
        others = "; ".join(f"{r['student']} {rate(r)}" for r in c.others) or "-"
        size = (f"{c.same['teachers']} / {c.same['runs']}", rate(c.same), rate(c.control), logits(c.same["rise"]))
        base = f"{c.same['base']}{' (left out)' if c.same[tables.LEFT_OUT] else ''}"
        rows.append((c.same["recipe"], c.same["trait"], base, *size, others))
    head = ("students", "trait", "base", "teachers / runs", "same base", "control", "rise, logits", "another base")
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


def introduction(results: str, record: dict[str, Any], rows: dict[str, list[Row]]) -> list[str]:
    """Title, origin of the page, the answer in words, and how to read a rate."""
    recipes = record["params"]["study"]["recipes"]
    soft = [name for name, recipe in recipes.items() if recipe.get("labels") == "soft"]
    answer = conclusions.answer(rows["tests"], rows["calibration"], soft)
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
        "row asks for that, mean over the questions. Runs are averaged to teachers and teachers to bases, on the logit "
        "scale. The unit of an interval (95 %, Student) or test is the base, of which there must be three; else "
        "independent teachers, as many; else there is neither. Holm corrects the declared outcomes (primary) as one "
        "family and single traits (secondary) as another. Control students learn from answers of the same base without "
        "any trait. Seen from: the smallest difference that units like these show in 80 % of studies.",
        "",
    ]


def declared(tests: Sequence[Row]) -> list[str]:
    """Count the declared outcomes that held, and name those that did not."""
    lines = []
    for kind, claim in CLAIMS.items():
        rows = [r for r in tests if (r["role"], r["comparison"]) == (PRIMARY, kind)]
        if rows:
            lines.append((claim, sum(r["holds"] == "yes" for r in rows), len(rows), failed(rows)))
    return ["## Declared outcomes", "", *table(("outcome", "held", "of", "not"), lines)]


def failed(rows: Sequence[Row]) -> str:
    """Name the declared outcomes that did not hold."""
    parts = [
        f"{r['recipe']} ({r['experiment']}): {'not testable' if r['p_holm'] is None else 'p ' + pvalue(r['p_holm'])}"
        for r in rows
        if r["holds"] != "yes"
    ]
    return "; ".join(parts) or "-"


def calibrated(rows: Sequence[Row]) -> list[str]:
    """How often the same tests find something where nothing is."""
    if not rows:
        return []
    lines = [
        (
            r["experiment"],
            r["recipe"],
            r["comparisons"],
            r["rejected"],
            percent(r["rate"]),
            with_interval(percent(r["expected"]), r["low"], r["high"]),
            pvalue(r["p"]),
            r["verdict"],
            r["unit"] or "none",
            r["n"],
            percent(r["over_runs"]),
        )
        for r in rows
    ]
    head = ("experiment", "students", "comparisons", "p < 0.05", "rate", "by chance", "p", "verdict", "unit", "n")
    return [
        "## Calibration",
        "",
        "Students on another base than their teacher's, every trait taught and every word measured: comparisons in "
        "which nothing is to be shown. By chance: the same with the signs of whole units flipped. Over runs: the rate "
        "at which a test over runs would reject.",
        "",
        *table((*head, "over runs"), lines, 2),
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
    tests = [r for r in rows["tests"] if r["experiment"] == name]
    effects = [r for r in tables.counted(rows["effects"]) if r["experiment"] == name]
    crossed = [r for r in tables.counted(rows["confusion"]) if r["experiment"] == name]
    primary = "not declared as a primary outcome."
    if name in study["primary"]["experiments"]:
        primary = f"declared as a primary outcome for {', '.join(study['primary']['recipes'])}."
    return [
        f"## Experiment `{name}`",
        "",
        f"{row['question']} Teachers {row['teacher']}, channel `{row['channel']}`, dataset `{row['dataset']}`, "
        f"{len(row['seeds'])} runs each; {primary}",
        "",
        *outcomes(tests),
        "### Trait taught (rows) and trait measured (columns), same base",
        "",
        *(line for recipe in row["recipes"] for line in confusion(crossed, recipe)),
        "### Teacher's base and student's base: rate of the taught trait, over traits",
        "",
        *(line for recipe in row["recipes"] for line in bases(effects, recipe)),
        "<details><summary>Base by base</summary>",
        "",
        *every(cells),
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
    names = ("effects", "confusion", "filters", "tests", "calibration")
    rows = {name: tables.marked(tables.read(folder, name)) for name in names}
    study = record["params"]["study"]
    lines = [*introduction(results, record, rows), *declared(rows["tests"]), *calibrated(rows["calibration"])]
    for row in study["experiments"]:
        lines += experiment(study, row, rows)
    lines += ["## What the teachers sent", "", *sent_answers(rows["filters"])]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Print the page."""
    p = parser("results_page", __doc__)
    p.add_argument("results", help="folder of the study's artifacts")
    return stage.run(p, lambda args: print(document(args.results), end=""), argv)


if __name__ == "__main__":
    raise SystemExit(main())
