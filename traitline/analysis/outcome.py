"""All rates of a study: effects, declared outcomes, confusion of traits, and the declared checks."""

import dataclasses
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from traitline.analysis import stats, tables
from traitline.analysis.study_files import Files, get, rates

if TYPE_CHECKING:
    from traitline.study.config import Study
    from traitline.study.runs import Run

LEVEL = 0.05  # of the corrected p-values
SHARED = ("experiment", "channel", "base", "recipe", "trait")  # of students of one teacher's answers
SHARE = 1 / 5  # of the same-base difference that the other-base difference may reach

Cell = tuple[str, ...]  # values of tables.CELL


def cell(run: "Run", base: str | None = None) -> Cell:
    """The values that the runs of one group share, apart from the trait."""
    return (run.experiment, run.channel, base or run.base, run.student, run.recipe)


def effect(values: list[float], control: list[float], *, compared: bool) -> dict[str, Any]:
    """Mean and interval of an arm, and its difference to the control.

    The control is not `compared` with itself. A single untouched base gives a difference, but no interval.
    """
    e = stats.interval(values)
    d = stats.difference(values, control) if compared else stats.Difference(float("nan"))
    return {
        "runs": e.runs, "rate": e.mean, "low": e.low, "high": e.high, "control_rate": stats.mean(control),
        "diff": d.diff, "diff_low": d.low, "diff_high": d.high, "p_holm": None, "control_runs": len(control),
        "t": d.t, "df": d.df, "p": d.p, "detectable": d.detectable, "runs_needed": d.needed,
    }  # fmt: skip


class Outcome:
    """All rates of a study, by cell, trait taught, candidate and run.

    Attributes:
        rates: (cell, trait taught, candidate measured) -> a rate a run.
        cells: cell -> trait taught -> arm, in the order of the study.
        runs: rows of runs.csv.
        students: rows of students.csv.
    """

    def __init__(self, study: "Study", files: Files) -> None:
        from traitline.study.runs import NONE

        self.study = study
        self.none = NONE
        # The candidate that is measured in place of the trait: right answers, or bad ones.
        self.measured = {row.name: m for row in study.experiments if (m := study.evals[row.eval].measured)}
        self.traits = {row.name: row.traits for row in study.experiments}
        self.rates: dict[tuple[Cell, str, str], list[float]] = defaultdict(list)
        self.cells: dict[Cell, dict[str, str]] = {}
        self.eval = {row.name: row.eval for row in study.experiments}
        self.runs: list[dict[str, Any]] = []
        self.students: list[dict[str, Any]] = []
        for run in files.runs:
            about = {k: v for k, v in dataclasses.asdict(run).items() if k != "results"}
            candidate = self.measured.get(run.experiment)
            needed = [candidate] if candidate else self.traits[run.experiment]
            self.cells.setdefault(cell(run), {})[run.trait] = run.arm
            for candidate, values in rates(files, run.scores, needed).items():
                self.rates[cell(run), run.trait, candidate].append(values["rate"] or 0.0)
                self.runs.append({**about, "measured": candidate, **values})
            path = f"{run.folder}/train.json"
            facts = files.read(path)
            columns = tables.COLUMNS["students"]
            self.students.append(about | {c: get(facts, path, c, optional=True) for c in columns if c not in about})
        self.untouched = {key: rates(files, path, ()) for key, path in files.baselines.items()}

    def effects(self) -> list[dict[str, Any]]:
        """Rows of effects.csv: one per cell, trait and arm; the taught arm comes first."""
        rows = []
        for where, arms in self.cells.items():
            for trait in self.traits[where[0]]:
                candidate = self.measured.get(where[0], trait)
                control = self.rates[where, self.none, candidate]
                taught = self.rates[where, trait, candidate]
                untouched = [self.untouched[where[3], self.eval[where[0]]][candidate]["rate"] or 0.0]
                about = dict(zip(tables.CELL, where, strict=True)) | {"trait": trait}
                for arm, values in ((arms[trait], taught), ("control", control), ("baseline", untouched)):
                    rows.append(about | {"arm": arm} | effect(values, control, compared=arm != "control"))
        primary = [row for row in rows if self.is_primary(row)]
        corrected = stats.holm([row["p"] for row in primary])
        for row, p in zip(primary, corrected, strict=True):
            row["p_holm"] = p
        return rows

    def is_primary(self, row: dict[str, Any]) -> bool:
        """Tell whether an effect was declared as a primary outcome."""
        declared = self.study.primary
        return (
            row["arm"] == "same-base"
            and row["experiment"] in declared.experiments
            and row["recipe"] in declared.recipes
        )

    def confusion(self) -> list[dict[str, Any]]:
        """Rows of confusion.csv: trait taught x candidate measured, the control students (`none`) last."""
        rows = []
        for (where, taught, measured), values in self.rates.items():
            e = stats.interval(values)
            rows.append(
                dict(zip(tables.CELL, where, strict=True))
                | {"taught": taught, "measured": measured}
                | {"runs": e.runs, "rate": e.mean, "low": e.low, "high": e.high}
            )
        return rows


def checks(effects: list[dict[str, Any]], primary: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of checks.csv: every declared check; one that cannot be made (too few runs) is `unknown`, never passed."""
    rows = []

    def check(name: str, row: dict[str, Any], value: float | None, relation: str, bound: float) -> None:
        met = value is not None and {">": value > bound, "<": value < bound, "<=": value <= bound}[relation]
        holds = "unknown" if value is None else "yes" if met else "no"
        about = {c: row[c] for c in (*tables.CELL, "trait")}
        rows.append({"check": name, **about, "value": value, "relation": relation, "bound": bound, "holds": holds})

    for row in primary:
        check("above-control", row, row["diff_low"], ">", 0.0)
        check("p-holm", row, row["p_holm"], "<", LEVEL)
        for other in effects:
            # the same answers of the same teacher, given to a student on another base
            if other["arm"] == "other-base" and all(other[c] == row[c] for c in SHARED):
                check("other-base", other, other["diff"], "<=", max(0.0, SHARE * row["diff"]))
    return rows
