"""Comparisons of a study's arms, unit by unit: runs are averaged to teachers, teachers to bases, all in logits.

A rise is the mean logit of the students of one taught teacher minus that of the control teacher of the same base and
number, both trained on the same student's base. On other bases it is the mean over these. Three comparisons are made
of it for every experiment and recipe, for the mean over its traits (`all`) and for each trait:

rise           same-base students against control students
specificity    the rise on the teacher's base minus that on other bases, paired by the teacher's base
equivalence    the rise on other bases, against the declared margin up and down (TOST)

The unit is the teacher's base, of which there must be three. Where there are fewer, independent teachers (`teachers`
of the row) are the unit, and the result is about these bases only. Where these are fewer than three too, there is
neither interval nor p.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from traitline.analysis import stats
from traitline.plurals import counted

if TYPE_CHECKING:
    from traitline.analysis.outcome import Outcome
    from traitline.study.config import Study
    from traitline.study.experiments import Experiment

ALL = "all"  # the mean over the traits of a row
LEVEL = 0.05  # of the corrected p-values
COMPARISONS = ("rise", "specificity", "equivalence")
PRIMARY, SECONDARY, EXPLORED = ("primary", "secondary", "explored")

Teacher = tuple[str, int]  # base and number of an independent teacher
Values = dict[Teacher, float]


@dataclass(frozen=True)
class Units:
    """Values that are independent of each other: of bases, or of teachers on fewer than three bases.

    Attributes:
        name: `base`, `teacher`, or nothing where both are fewer than three.
        values: one a unit.
        bases: number of bases behind them.
        teachers: number of teachers.
    """

    name: str
    values: list[float]
    bases: int
    teachers: int


def units(values: Mapping[Teacher, float]) -> Units:
    """Average teachers to bases, where these are enough to be the unit."""
    by_base: dict[str, list[float]] = defaultdict(list)
    for (base, _), value in values.items():
        by_base[base].append(value)
    bases, teachers = len(by_base), len(values)
    if bases >= stats.LEAST:
        return Units("base", [stats.mean(v) for v in by_base.values()], bases, teachers)
    return Units("teacher" if teachers >= stats.LEAST else "", list(values.values()), bases, teachers)


def average(parts: Iterable[Mapping[Teacher, float]]) -> Values:
    """Mean of the values of each teacher; a trait whose teacher is left out has none there."""
    columns: dict[Teacher, list[float]] = defaultdict(list)
    for part in parts:
        for teacher, value in part.items():
            columns[teacher].append(value)
    return {teacher: stats.mean(values) for teacher, values in columns.items()}


class Arms:
    """Logits of the arms of one experiment and recipe, a value a teacher.

    Args:
        outcome: all rates of the study.
        row: the experiment.
        recipe: of its students.
    """

    def __init__(self, outcome: "Outcome", row: "Experiment", recipe: str) -> None:
        self.outcome = outcome
        self.row = row
        self.cells = {
            (where[2], where[3]): where for where in outcome.cells if (where[0], where[4]) == (row.name, recipe)
        }

    def others(self) -> bool:
        """Tell whether the row has students on another base than their teacher's."""
        return any(base != student for base, student in self.cells)

    def comparisons(self) -> list[str]:
        """The comparisons that the bases of the row allow."""
        same = {base for base, student in self.cells if base == student}
        other = {base for base, student in self.cells if base != student}
        allowed = {"rise": same, "specificity": same & other, "equivalence": other}
        return [comparison for comparison in COMPARISONS if allowed[comparison]]

    def logits(self, trait: str, candidate: str, *, same: bool) -> Values:
        """Mean logit of a candidate among the students of a teacher, on its base or over other ones."""
        parts: dict[Teacher, list[float]] = defaultdict(list)
        floor = self.outcome.floors[self.row.name]
        for (base, student), where in self.cells.items():
            if (base == student) == same:
                for draw, rates in self.outcome.rates.get((where, trait, candidate), {}).items():
                    if not self.left_out(trait, base, draw):
                        parts[base, draw].append(stats.mean([stats.logit(rate, floor) for rate in rates]))
        return {teacher: stats.mean(values) for teacher, values in parts.items()}

    def left_out(self, trait: str, base: str, draw: int) -> bool:
        """Tell whether no test counts the students of a teacher: of itself, or of the control beside it."""
        return bool(self.outcome.why_left_out(self.row.name, trait, base, draw))

    def control(self, trait: str, candidate: str, *, same: bool) -> Values:
        """Logits of the control beside the students of one trait."""
        taught = self.logits(trait, candidate, same=same)
        control = self.logits(self.outcome.none, candidate, same=same)
        return {t: control[t] for t in taught if t in control}

    def rise(self, trait: str, candidate: str, *, same: bool) -> Values:
        """Logits of taught students minus those of the control of the same base and number."""
        taught = self.logits(trait, candidate, same=same)
        return {t: taught[t] - value for t, value in self.control(trait, candidate, same=same).items()}

    def candidates(self) -> list[str]:
        """Every word or answer whose rate the students of the row have."""
        of_row = set(self.cells.values())
        return list(dict.fromkeys(c for where, _, c in self.outcome.rates if where in of_row))


def compare(arms: Arms, trait: str, comparison: str) -> tuple[Values, Values, Values]:
    """(differences, logits, logits beside them) of one comparison, a value a teacher; `all` averages over traits."""
    traits = arms.row.traits if trait == ALL else [trait]
    same = comparison != "equivalence"

    def over_traits(what: Any) -> Values:
        return average([what(t, arms.outcome.candidate(arms.row, t)) for t in traits])

    differences = over_traits(lambda t, c: arms.rise(t, c, same=same))
    shown = over_traits(lambda t, c: arms.logits(t, c, same=same))
    beside = over_traits(lambda t, c: arms.control(t, c, same=same))
    if comparison == "specificity":
        elsewhere = over_traits(lambda t, c: arms.rise(t, c, same=False))
        differences = {t: d - elsewhere[t] for t, d in differences.items() if t in elsewhere}
        beside = over_traits(lambda t, c: arms.logits(t, c, same=False))
    return differences, shown, beside


def result(arms: Arms, trait: str, comparison: str, margin: float) -> dict[str, Any]:
    """One row of tests.csv, without its role."""
    differences, shown, beside = compare(arms, trait, comparison)
    if not differences:  # every teacher is left out
        about = {"trait": trait, "comparison": comparison, "unit": "", "n": 0, "bases": 0, "teachers": 0, "runs": 0}
        return about | {"difference": None, "p": None, "note": left_out(arms, trait)}
    of = units(differences)
    test = stats.tested(of.values)
    rate = stats.rate_interval(units(shown).values)
    p = stats.equivalence(of.values, margin) if comparison == "equivalence" else test.p
    return {
        "trait": trait, "comparison": comparison, "unit": of.name, "n": test.n if of.name else 0,
        "bases": of.bases, "teachers": of.teachers, "runs": runs(arms, trait, same=comparison != "equivalence"),
        "rate": rate.mean, "rate_low": rate.low, "rate_high": rate.high,
        "beside_rate": stats.rate_interval(units(beside).values).mean,
        "difference": test.mean, "low": test.low, "high": test.high, "t": test.t, "df": test.df, "p": p,
        "detectable": test.detectable, "margin": margin if comparison == "equivalence" else None,
        "note": "; ".join(filter(None, (why_untested(of, p), left_out(arms, trait)))),
    }  # fmt: skip


def runs(arms: Arms, trait: str, *, same: bool) -> int:
    """Students of the taught arm behind a comparison."""
    traits = arms.row.traits if trait == ALL else [trait]
    return sum(
        len(rates)
        for (base, student), where in arms.cells.items()
        if (base == student) == same
        for t in traits
        for draw, rates in arms.outcome.rates.get((where, t, arms.outcome.candidate(arms.row, t)), {}).items()
        if not arms.left_out(t, base, draw)
    )


def left_out(arms: Arms, trait: str) -> str:
    """Name the teachers whose students are left out, rule by rule."""
    names: dict[str, list[str]] = {}
    for (row, who, base, draw), (rule, short) in sorted(arms.outcome.left_out.items()):
        if row == arms.row.name and (trait == ALL or who in (trait, arms.outcome.none)):
            about = ", ".join(filter(None, (str(draw) if draw > 1 else "", short)))
            label = "the control" if who == arms.outcome.none else who
            names.setdefault(rule, []).append(f"{label} on {base}" + (f" ({about})" if about else ""))
    return "; ".join(f"left out, {rule}: {', '.join(of_rule)}" for rule, of_rule in names.items())


def why_untested(of: Units, p: float | None) -> str:
    """Why there is no interval and no p; nothing where there are."""
    if p is not None:
        return ""
    if not of.name:
        bases = counted(of.bases, "base")
        teachers = f"{counted(of.teachers, 'independent teacher')} a trait"
        return f"{bases} and {teachers}; below {stats.LEAST} units there is no interval"
    return "the units do not differ, so nothing says how far units differ"


def tests(outcome: "Outcome", study: "Study") -> list[dict[str, Any]]:
    """Rows of tests.csv: every comparison of every experiment, recipe and trait, with its role and Holm's p."""
    rows = []
    for row in study.experiments:
        for recipe in row.recipes:
            arms = Arms(outcome, row, recipe)
            declared = row.name in study.primary.experiments and recipe in study.primary.recipes
            for comparison in arms.comparisons():
                for trait in (ALL, *row.traits) if len(row.traits) > 1 else (ALL,):
                    role = PRIMARY if trait == ALL else SECONDARY
                    if not declared or comparison not in study.primary.outcomes:
                        role = EXPLORED
                    about = {"experiment": row.name, "recipe": recipe, "role": role}
                    rows.append(about | result(arms, trait, comparison, study.primary.margin))
    for role in (PRIMARY, SECONDARY):
        family = [test for test in rows if test["role"] == role]
        for test, p in zip(family, stats.holm([test["p"] for test in family]), strict=True):
            test["p_holm"] = p
            test["holds"] = holds(test)
    return rows


def holds(row: Mapping[str, Any]) -> str:
    """`yes` if the corrected p is below the level and the difference has the declared sign; `unknown` without a p."""
    if row["p_holm"] is None:
        return "unknown"
    sign = row["comparison"] == "equivalence" or row["difference"] > 0
    return "yes" if row["p_holm"] < LEVEL and sign else "no"
