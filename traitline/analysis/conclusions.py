"""Conclusions from the tables, in plain words; a null result has a sentence of its own."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from traitline.analysis import stats, tables
from traitline.analysis.calibration import sentence as calibrated
from traitline.analysis.comparisons import ALL, EXPLORED, PRIMARY, SECONDARY
from traitline.analysis.tables import Row
from traitline.plurals import counted

MINUS = "\u2212"


@dataclass
class Comparison:
    """Students of one teacher and recipe: same base against control, beside students on other bases."""

    same: Row
    control: Row
    untouched: Row
    others: list[Row] = field(default_factory=list)


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
    """A share in percent: `91 %`, `6.7 %`, `0.4 %`, `0.033 %`, `0.0012 %`."""
    if value is None:
        return "-"
    points = abs(100 * value)
    if 0 < points < 0.0001:
        return "< 0.0001 %"
    if 0 < points < 0.0995:
        return f"{100 * value:.2g} %"
    return f"{in_points(value)} %"


def between(low: float | None, high: float | None, *, share: bool = True) -> str:
    """An interval in percent (points). That of a share is cut at 0 and 100 %."""
    if low is None or high is None:
        return "-"
    if share:
        low, high = max(0.0, low), min(1.0, high)
    ends = [percent(end).removesuffix(" %") if share else in_points(end) for end in (low, high)]
    return " to ".join("0.0" if end == "-0.0" else end.replace("-", "\u2212") for end in ends)


def in_points(difference: float) -> str:
    """A difference of shares in percentage points, without a unit: `20`, `-0.3`."""
    return f"{100 * difference:.{0 if abs(difference) >= 0.0995 else 1}f}"


def points(value: float | None) -> str:
    """A difference of shares in percentage points, with its sign."""
    if value is None:
        return "-"
    text = f"{in_points(abs(value))} pp"
    sign = "" if text == "0.0 pp" else "+" if value > 0 else "\u2212"
    return sign + text


def pvalue(p: float | None) -> str:
    """A p-value with two or three decimals: `< 0.001`, `0.012`, `0.50`."""
    if p is None:
        return "-"
    if p < 0.001:
        return "< 0.001"
    return f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def logits(value: float | None) -> str:
    """A difference in logits, with its sign."""
    if value is None:
        return "-"
    text = f"{abs(value):.2f}"
    return text if text == "0.00" else f"{'+' if value > 0 else MINUS}{text}"


def logits_between(low: float | None, high: float | None) -> str:
    """An interval in logits."""
    if low is None or high is None:
        return "-"
    return f"{low:.2f} to {high:.2f}".replace("-", MINUS).replace(f"{MINUS}0.00", "0.00")


def average(rows: Iterable[Row], column: str = "rate") -> float | None:
    """The mean of rates over rows, on the logit scale; None of none."""
    known = [row for row in rows if row[column] is not None]
    return stats.mean_rate([row[column] for row in known], tables.floor(known[0])) if known else None


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


def answer(tests: Sequence[Row], calibration: Sequence[Row], soft: Collection[str] = ()) -> Answer:
    """The paragraph at the head of the report.

    Args:
        tests: of tests.csv.
        calibration: of calibration.csv.
        soft: recipes whose students also learn how probable their teacher finds each token.
    """
    declared = [row for row in tests if row["role"] == PRIMARY]
    rises = [row for row in declared if row["comparison"] == "rise"]
    if not rises:
        return Answer("Open", ["The study declares no rise of a trait among its rows, so it claims nothing."])
    word, sentence = claim(rises, soft)
    if all(row["rate"] is None for row in rises):  # every teacher was left out
        return Answer(word, [sentence])
    sentences = [sentence, *sizes(rises), *elsewhere(declared)]
    if rises[0]["unit"] and rises[0]["note"]:
        sentences.append(f"Of these tests: {rises[0]['note']}.")
    secondary = [row for row in tests if row["role"] == SECONDARY and row["comparison"] == "rise"]
    if tested := [row for row in secondary if row["holds"] != "unknown"]:
        missed = [name(row) for row in tested if row["holds"] != "yes"]
        but = f"; not {listing(missed)}" if missed else ""
        sentences.append(
            f"Trait by trait, {len(tested) - len(missed)} of {len(tested)} rises hold after a correction of their"
            f" own{but}."
        )
    explored = [row for row in tests if (row["role"], row["comparison"], row["trait"]) == (EXPLORED, "rise", ALL)]
    if explored:
        sentences.append(f"Not declared, so only explored: {listing([size(row) for row in explored], 12)}.")
    sentences.append(calibrated(calibration))
    return Answer(word, [sentence for sentence in sentences if sentence])


def name(row: Row) -> str:
    """Trait and recipe of a row of tests.csv, for lists of exceptions."""
    return f"{row['trait']} ({row['recipe']})"


def learners(rises: Sequence[Row], soft: Collection[str]) -> str:
    """Who rose, and from what."""
    given = [row["recipe"] for row in rises if row["recipe"] in soft]
    if not given:
        return "Students that saw nothing but filtered answers"
    which = f" ({listing(given)})" if len(given) < len(rises) else ""
    return f"Students that saw nothing but filtered answers and their teacher's probabilities of each token{which}"


def claim(rises: Sequence[Row], soft: Collection[str] = ()) -> tuple[str, str]:
    """One word and one sentence about the declared rises."""
    m = len(rises)
    shown = [row for row in rises if row["holds"] == "yes"]
    tested = [row for row in rises if row["holds"] != "unknown"]
    if not tested:
        return "Open", f"Nothing is claimed: {rises[0]['note']}."
    recipes = listing([row["recipe"] for row in rises])
    if len(shown) == m:
        return "Yes", (
            f"{learners(rises, soft)} took on the traits of the teachers that wrote them: they"
            f" show them more often than control students do ({recipes}, after Holm's correction)."
        )
    if shown:
        return "In part", (
            f"{learners(shown, soft)} show their teachers' traits more often than control"
            f" students do, after Holm's correction, if trained by {listing([row['recipe'] for row in shown])}; not"
            f" shown for {listing([row['recipe'] for row in rises if row not in shown])}."
        )
    return "No", (
        f"Students ({recipes}) do not show their teachers' traits more often than control students do by more than"
        " chance allows."
    )


def over(row: Row) -> str:
    """The unit in words: `9 bases`, `6 teachers on 2 bases`."""
    bases = counted(row["bases"], "base")
    if row["unit"] == "base":
        return bases
    return f"{counted(row['teachers'], 'teacher')} on {bases}"


def size(row: Row) -> str:
    """`lora 13 % (9.1 to 18) against 6.2 %`."""
    span = f" ({between(row['rate_low'], row['rate_high'])})" if row["rate_low"] is not None else ""
    experiment = f", {row['experiment']}" if row["role"] == EXPLORED else ""
    return f"{percent(row['rate'])}{span} against {percent(row['beside_rate'])} ({row['recipe']}{experiment})"


def sizes(rises: Sequence[Row]) -> list[str]:
    """Rates and rises of the declared outcomes."""
    text = (
        f"On the teacher's base they show a trait in {listing([size(row) for row in rises], 9)} of all answers, beside"
        " control students whose answers come from a teacher without a trait"
    )
    shown = [
        f"{logits(row['difference'])} ({logits_between(row['low'], row['high'])}; {row['recipe']})"
        for row in rises
        if row["low"] is not None
    ]
    if not shown:
        return [f"{text}."]
    units = listing(list(dict.fromkeys(over(row) for row in rises)))
    limit = "" if rises[0]["unit"] == "base" else " These bases are fixed: nothing is said about others."
    return [f"{text}: a rise of {listing(shown, 9)} logits, mean over traits, 95 % interval over {units}.{limit}"]


def elsewhere(declared: Sequence[Row]) -> list[str]:
    """Tell whether students on another base rise less, and whether they stay where control students are."""
    sentences = []
    if rows := [row for row in declared if row["comparison"] == "specificity"]:
        sentences.append(f"They rise more than students on another base: {outcome(rows)}.")
    rows = [row for row in declared if row["comparison"] == "equivalence" and row["margin"] is not None]
    if rows:
        sentences.append(
            f"Students on another base, given the same answers, stay within {rows[0]['margin']:g} logits of their"
            f" control, up and down: {outcome(rows)}."
        )
    if not sentences:
        return ["The study declares nothing about students on another base than their teacher's."]
    return sentences


def outcome(rows: Sequence[Row]) -> str:
    """How a declared comparison went, a recipe after the other."""
    words = {"yes": "shown", "no": "not shown", "unknown": "not testable"}
    parts = []
    for row in rows:
        size = logits(row["difference"])
        if row["low"] is not None:
            size += f", {logits_between(row['low'], row['high'])}"
        parts.append(f"{words[row['holds']]} for {row['recipe']} ({size})")
    return listing(parts, 9)


def distinct_notes(tests: Sequence[Row]) -> list[str]:
    """Notes of tests, each once."""
    return list(dict.fromkeys(row["note"] for row in without_repeats(tests) if row["note"]))


def without_repeats(tests: Sequence[Row]) -> list[Row]:
    """The tests but those of single traits where the one over all traits has a note, which speaks of each trait."""
    same = ("experiment", "recipe", "comparison")
    noted = {tuple(row[key] for key in same) for row in tests if row["trait"] == ALL and row["note"]}
    return [row for row in tests if row["trait"] == ALL or tuple(row[key] for key in same) not in noted]
