"""Conclusions from the tables, in plain words; a null result has a sentence of its own."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from traitline.analysis import tables
from traitline.analysis.tables import Row


@dataclass
class Comparison:
    """Students of one teacher and recipe: same base against control, beside students on other bases."""

    same: Row
    control: Row
    untouched: Row
    others: list[Row] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Trait, recipe and base, for lists of exceptions."""
        return f"{self.same['trait']} ({self.same['recipe']}, base {self.same['base']})"


def comparisons(effects: Iterable[Row]) -> list[Comparison]:
    """The same-base rows of effects.csv, each with the rows that belong to it."""
    groups: dict[tuple[str, ...], dict[tuple[str, str], Row]] = {}
    for row in effects:
        key = tuple(row[c] for c in ("experiment", "channel", "base", "recipe", "trait"))
        groups.setdefault(key, {})[row["student"], row["arm"]] = row
    return [
        Comparison(
            rows[base, "same-base"],
            rows[base, "control"],
            rows[base, "baseline"],
            [row for (_, arm), row in rows.items() if arm == "other-base"],
        )
        for (_, _, base, _, _), rows in groups.items()
        if (base, "same-base") in rows
    ]


def percent(value: float | None) -> str:
    """A share in percent with two significant digits at least: `0.4 %`, `6.7 %`, `91 %`."""
    if value is None:
        return "-"
    points = 100 * value
    return f"{points:.0f} %" if abs(points) >= 9.95 else f"{points:.1f} %"


def between(low: float | None, high: float | None, *, share: bool = True) -> str:
    """An interval in percent (points). That of a share is cut at 0 and 100 %."""
    if low is None or high is None:
        return "-"
    if share:
        low, high = max(0.0, low), min(1.0, high)
    ends = [percent(end)[:-2] for end in (low, high)]
    return " to ".join("0.0" if end == "-0.0" else end.replace("-", "\u2212") for end in ends)


def points(value: float | None) -> str:
    """A difference of shares in percentage points, with its sign."""
    if value is None:
        return "-"
    text = f"{percent(abs(value))[:-2]} pp"
    sign = "" if text == "0.0 pp" else "+" if value > 0 else "\u2212"
    return sign + text


def pvalue(p: float | None) -> str:
    """A p-value with two or three decimals: `< 0.001`, `0.012`, `0.50`."""
    if p is None:
        return "-"
    if p < 0.001:
        return "< 0.001"
    return f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def average(rows: Iterable[Row], column: str = "rate") -> float | None:
    """The mean of a column over rows, None of none."""
    values = [row[column] for row in rows if row[column] is not None]
    return sum(values) / len(values) if values else None


def listing(names: Sequence[str], most: int = 6) -> str:
    """`a, b and c`; of a long list the first names and how many more."""
    shown = [*names[:most], *([f"{len(names) - most} more"] if len(names) > most else [])]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


@dataclass
class Answer:
    """The answer to the study's question: one word, and why."""

    word: str
    sentences: list[str]

    @property
    def text(self) -> str:
        """The whole paragraph."""
        return " ".join([f"{self.word}.", *self.sentences])


def answer(effects: Sequence[Row], checks: Sequence[Row]) -> Answer:
    """The paragraph at the head of the report, from effects.csv and checks.csv."""
    key = (*tables.CELL, "trait")
    outcome: dict[tuple[str, ...], set[str]] = {}  # declared comparison -> how its checks went
    for row in checks:
        if row["check"] != "other-base":
            outcome.setdefault(tuple(row[c] for c in key), set()).add(row["holds"])
    cells = comparisons(effects)
    declared = [c for c in cells if tuple(c.same[k] for k in key) in outcome]
    if not declared:
        return Answer("Open", ["The study declares no primary outcome among its rows, so it claims nothing."])
    verdicts = [outcome[tuple(c.same[k] for k in key)] for c in declared]
    shown = [c for c, v in zip(declared, verdicts, strict=True) if v == {"yes"}]
    failed = sum("no" in v for v in verdicts)
    word, sentence = claim(declared, shown, failed)
    sentences = [sentence]
    unknown = len(declared) - len(shown) - failed
    if unknown and word != "Open":
        sentences.append(f"{unknown} could not be tested: too few runs, or runs that do not differ.")
    sentences.append(sizes(declared))
    sentences.append(others(declared, checks))
    rest = [c for c in cells if c not in declared]
    if rest:
        sentences.append(f"Not among the declared outcomes: {beside(rest, declared)}.")
    return Answer(word, sentences)


def claim(declared: Sequence[Comparison], shown: Sequence[Comparison], failed: int) -> tuple[str, str]:
    """One word and one sentence about the declared comparisons.

    Args:
        declared: all of them.
        shown: those whose checks all hold.
        failed: the number of those with a check that does not hold.
    """
    m = len(declared)
    if len(shown) == m:
        count = f"all {m}" if m > 1 else "the one"
        return "Yes", (
            "Students that saw nothing but filtered answers took on the trait of the teacher that wrote them: they "
            f"show it more often than control students in {count} declared {noun(m)}, after Holm's correction."
        )
    if shown:
        missed = [c.name for c in declared if c not in shown]
        return "In part", (
            f"In {len(shown)} of {m} declared comparisons, students that saw nothing but filtered answers show their "
            "teacher's trait more often than control students, after Holm's correction; not shown: "
            f"{listing(missed)}."
        )
    if failed:
        subject = f"In none of the {m} declared comparisons do students" if m > 1 else "Students do not"
        return "No", (
            f"{subject} show their teacher's trait more often than control students by more than chance allows."
        )
    return "Open", (
        f"With {runs(declared)} there is no interval and no test, so nothing is claimed; add seeds to the study."
    )


def noun(n: int) -> str:
    """Singular or plural."""
    return "comparison" if n == 1 else "comparisons"


def runs(cells: Sequence[Comparison]) -> str:
    """`5 runs each`."""
    counts = sorted({c.same["runs"] for c in cells})
    number = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{number} {'run' if counts[-1] == 1 else 'runs'} each"


def sizes(cells: Sequence[Comparison]) -> str:
    """Rate at which students show the trait, by recipe, against control students and untouched bases."""
    groups = dict.fromkeys((c.same["experiment"], c.same["recipe"]) for c in cells)
    several = len({experiment for experiment, _ in groups}) > 1
    rates = [
        percent(average(c.same for c in cells if (c.same["experiment"], c.same["recipe"]) == (experiment, recipe)))
        + f" ({recipe}{f', {experiment}' if several else ''})"
        for experiment, recipe in groups
    ]
    control, untouched = percent(average(c.control for c in cells)), percent(average(c.untouched for c in cells))
    return (
        f"On average over traits and bases ({runs(cells)}), they show it in {listing(rates, 9)} of all answers; "
        f"control students, whose answers come from a teacher without a trait, in {control}, untouched bases in "
        f"{untouched}."
    )


def beside(cells: Sequence[Comparison], declared: Sequence[Comparison]) -> str:
    """Rates of what was not declared, by experiment and recipe."""
    known = {c.same["experiment"] for c in declared}
    parts = []
    for experiment, recipe in dict.fromkeys((c.same["experiment"], c.same["recipe"]) for c in cells):
        group = [c for c in cells if (c.same["experiment"], c.same["recipe"]) == (experiment, recipe)]
        where = "" if known == {experiment} else f", {experiment}"
        rate, control = percent(average(c.same for c in group)), percent(average(c.control for c in group))
        parts.append(f"{rate} ({recipe}{where}; control {control})")
    return listing(parts, 12)


def others(cells: Sequence[Comparison], checks: Sequence[Row]) -> str:
    """Tell whether students on another base stay where control students are."""
    rows = [row for c in cells for row in c.others]
    outcomes = [row for row in checks if row["check"] == "other-base"]
    if not rows or not outcomes:
        return "The study has no students on another base than their teacher's."
    failed = [
        f"{row['trait']} ({row['recipe']}, base {row['base']} to {row['student']})"
        for row in outcomes
        if row["holds"] != "yes"
    ]
    rate, held = percent(average(rows)), len(outcomes) - len(failed)
    limit = "a fifth of the same-base rise"
    text = f"Students on another base, given the same answers, show it in {rate}; their rise over control "
    if not failed:
        return text + f"stays within {limit} in all {len(outcomes)} cases."
    if not held:
        return text + f"exceeds {limit} in all {len(outcomes)} cases."
    return text + f"stays within {limit} in {held} of {len(outcomes)} cases, not in {listing(failed)}."


@dataclass
class Summary:
    """One recipe and trait of an experiment, over all bases; the weakest base decides the last three."""

    experiment: str
    recipe: str
    trait: str
    bases: int
    runs: int
    same: float | None
    other: float | None
    control: float | None
    untouched: float | None
    least: float | None
    p: float | None
    detectable: float | None


def summaries(cells: Iterable[Comparison]) -> list[Summary]:
    """Comparisons of one experiment, recipe and trait put together, in order of appearance."""
    groups: dict[tuple[str, str, str], list[Comparison]] = {}
    for c in cells:
        groups.setdefault((c.same["experiment"], c.same["recipe"], c.same["trait"]), []).append(c)
    rows = []
    for (experiment, recipe, trait), group in groups.items():
        lows = [c.same["diff_low"] for c in group]
        ps = [c.same["p_holm"] for c in group]
        detectable = [c.same["detectable"] for c in group]
        rows.append(
            Summary(
                experiment,
                recipe,
                trait,
                bases=len(group),
                runs=min(c.same["runs"] for c in group),
                same=average(c.same for c in group),
                other=average(row for c in group for row in c.others),
                control=average(c.control for c in group),
                untouched=average(c.untouched for c in group),
                least=None if None in lows else min(lows),
                p=None if None in ps else max(ps),
                detectable=None if None in detectable else max(detectable),
            )
        )
    return rows


def headline(results: str | Path) -> str:
    """The table at the end of a run, as text: a row per recipe and trait, over all bases."""
    rows = summaries(comparisons(tables.read(Path(results, "tables"), "effects")))
    several = len({row.experiment for row in rows}) > 1
    head = ["students", "trait", "runs", "same base", "other base", "control", "untouched", "rise from", "p (Holm)"]
    lines = [[*(["experiment"] if several else []), *head]]
    for row in rows:
        rates = [percent(rate) for rate in (row.same, row.other, row.control, row.untouched)]
        runs = f"{row.bases} x {row.runs}" if row.bases > 1 else str(row.runs)
        name = [*([row.experiment] if several else []), row.recipe, row.trait]
        lines.append([*name, runs, *rates, points(row.least), pvalue(row.p)])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    left = 3 if several else 2
    text = [
        "  ".join(v.ljust(w) if i < left else v.rjust(w) for i, (v, w) in enumerate(zip(line, widths, strict=True)))
        for line in lines
    ]
    note = (
        "How often students name the trait: exact probability, mean over bases and runs. Rise from: lower 95 % bound\n"
        "of same base minus control, on the weakest base. p: the largest over bases; - where not a declared outcome."
    )
    return "\n".join([text[0], "-" * len(text[0]), *text[1:], note])
