"""All rates of a study by cell, teacher and run: rows of effects.csv, runs.csv, students.csv and confusion.csv."""

import dataclasses
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from traitline.analysis import stats, tables
from traitline.analysis.study_files import Files, get, rates

if TYPE_CHECKING:
    from traitline.study.config import Study
    from traitline.study.experiments import Experiment
    from traitline.study.runs import Run

Cell = tuple[str, ...]  # values of tables.CELL
Rates = dict[int, list[float]]  # number of an independent teacher -> a rate a run
MISSED, SCARCE = "rate of the teacher not reached", "too few answers passed the filter"  # why no test counts students


def cell(run: "Run", base: str | None = None) -> Cell:
    """The values that the runs of one group share, apart from the trait."""
    return (run.experiment, run.channel, base or run.base, run.student, run.recipe)


def effect(values: Rates, control: Rates | None, floor: float = stats.FLOOR) -> dict[str, Any]:
    """Rate of one arm of one cell, over teachers of one base, and its difference in logits to the control.

    The control has no difference to itself: there `control` is None. `floor` is that of the rates.
    """
    logits = by_teacher(values, floor)
    e = stats.rate_interval(list(logits.values()))
    every = [rate for of_teacher in values.values() for rate in of_teacher]
    against = by_teacher(control, floor) if control else {}
    rises = [logits[k] - against[k] for k in logits if k in against]
    return {
        "teachers": len(values), "runs": len(every),
        "rate": e.mean if stats.variance(every) else stats.mean(every), "low": e.low, "high": e.high,
        "rise": stats.mean(rises) if rises else None,
    }  # fmt: skip


def by_teacher(values: Rates, floor: float) -> dict[int, float]:
    """Mean logit over the runs of each teacher."""
    return {draw: stats.mean([stats.logit(rate, floor) for rate in rates]) for draw, rates in values.items()}


def kept(values: Rates, reasons: Mapping[int, str]) -> Rates:
    """Rates of the teachers that tests count; of a cell that has none, all, for the row is marked then."""
    return {draw: rates for draw, rates in values.items() if not reasons.get(draw)} or values


def mark(reasons: Mapping[int, str]) -> str:
    """Why a row of several teachers is left out: if none of them counts, the reasons, each once."""
    return "; ".join(dict.fromkeys(reasons.values())) if all(reasons.values()) else ""


def missing_rows(study: "Study", run: "Run", rows: int) -> str:
    """`151 of 4,000` where a student had fewer rows than its dataset asks for, and the study lets that pass.

    Args:
        study: of the run.
        run: the student.
        rows: that it had.
    """
    dataset = study.datasets[run.dataset]
    if dataset.scarce != "exclude" or study.recipes[run.recipe].trains == "context" or rows >= dataset.rows:
        return ""
    return f"{rows:,} of {dataset.rows:,}"


class Outcome:
    """All rates of a study, by cell, trait taught, candidate, teacher and run.

    Attributes:
        rates: (cell, trait taught, candidate measured) -> number of the teacher -> a rate a run.
        cells: cell -> trait taught -> arm, in the order of the study.
        floors: experiment -> the smallest rate that counts. Words that an evaluation names have exact probabilities, of
            which no sampled answer decides anything; these may be far smaller.
        left_out: (experiment, trait, base, number) of teachers whose students no test counts, by the rules that the
            study declared -> which rule, and how far they were from passing it.
        runs: rows of runs.csv.
        students: rows of students.csv.
    """

    def __init__(self, study: "Study", files: Files) -> None:
        from traitline.study.runs import NONE

        self.study = study
        self.none = NONE
        # The candidate that is measured in place of the trait: right answers, or bad ones.
        self.measured = {row.name: m for row in study.experiments if (m := study.evals[row.eval].measured)}
        evals = {row.name: study.evals[row.eval] for row in study.experiments}
        self.floors = {name: stats.EXACT if e.candidates else stats.FLOOR for name, e in evals.items()}
        self.rates: dict[tuple[Cell, str, str], Rates] = defaultdict(lambda: defaultdict(list))
        self.cells: dict[Cell, dict[str, str]] = {}
        self.left_out: dict[tuple[str, str, str, int], tuple[str, str]] = {}
        self.runs: list[dict[str, Any]] = []
        self.students: list[dict[str, Any]] = []
        rows = {row.name: row for row in study.experiments}
        for run in files.runs:
            about = {k: v for k, v in dataclasses.asdict(run).items() if k != "results"}
            needed = [self.candidate(rows[run.experiment], trait) for trait in rows[run.experiment].traits]
            self.cells.setdefault(cell(run), {})[run.trait] = run.arm
            for candidate, values in rates(files, run.scores, needed).items():
                self.rates[cell(run), run.trait, candidate][run.draw].append(values["rate"] or 0.0)
                self.runs.append({**about, "measured": candidate, **values})
            path = f"{run.folder}/train.json"
            facts = files.read(path)
            key = (run.experiment, run.trait, run.base, run.draw)
            if files.read(f"{run.teacher_folder}/teacher.json").get("reached", True) is False:
                self.left_out[key] = (MISSED, "")
            elif rows_short := missing_rows(study, run, get(facts, path, "rows")):
                self.left_out[key] = (SCARCE, rows_short)
            columns = tables.COLUMNS["students"]
            self.students.append(about | {c: get(facts, path, c, optional=True) for c in columns if c not in about})
        for student in [*self.runs, *self.students]:
            about = {k: student[k] for k in ("trait", "base", "draw")}
            reason = self.why_left_out(student["experiment"], measured=student.get("measured", ""), **about)
            student[tables.LEFT_OUT] = reason
        self.untouched = {key: rates(files, path, ()) for key, path in files.baselines.items()}

    def why_left_out(self, experiment: str, trait: str, base: str, draw: int, measured: str = "") -> str:
        """Why no test counts the students of a teacher, of itself or of the control beside it; nothing if it does.

        Args:
            experiment, trait, base, draw: of the students.
            measured: word whose rate is asked; that of a control student counts where the word's own teacher does.
        """
        for name in (trait if trait != self.none else measured, self.none):
            if found := self.left_out.get((experiment, name, base, draw)):
                rule, short = found
                return f"{'the control: ' if name == self.none else ''}{rule}{f' ({short})' if short else ''}"
        return ""

    def reasons(self, where: Cell, trait: str, candidate: str) -> dict[int, str]:
        """Number of each teacher of a cell -> why its students are left out, or nothing."""
        draws = self.rates[where, trait, candidate]
        return {draw: self.why_left_out(where[0], trait, where[2], draw, candidate) for draw in draws}

    def candidate(self, row: "Experiment", trait: str) -> str:
        """The answer whose rate shows a trait: its word, or the right or the bad answer."""
        return self.measured.get(row.name, trait)

    def about(self, where: Cell, reasons: Mapping[int, str]) -> dict[str, Any]:
        """The columns of a row over several teachers that say where it belongs and how it is to be read."""
        floor = self.floors[where[0]]
        special = {tables.LEFT_OUT: mark(reasons), tables.FLOOR: floor if floor != stats.FLOOR else None}
        return dict(zip(tables.CELL, where, strict=True)) | special

    def effects(self) -> list[dict[str, Any]]:
        """Rows of effects.csv: one per cell, trait and arm; the taught arm comes first."""
        rows = []
        experiments = {row.name: row for row in self.study.experiments}
        for where, arms in self.cells.items():
            row, floor = experiments[where[0]], self.floors[where[0]]
            for trait in row.traits:
                candidate = self.candidate(row, trait)
                reasons = self.reasons(where, trait, candidate)
                control = kept(self.rates[where, self.none, candidate], reasons)
                taught = kept(self.rates[where, trait, candidate], reasons)
                untouched = {1: [self.untouched[where[3], row.eval][candidate]["rate"] or 0.0]}
                about = self.about(where, reasons) | {"trait": trait}
                rows += [
                    about | {"arm": arms[trait]} | effect(taught, control, floor),
                    about | {"arm": "control"} | effect(control, None, floor),
                    about | {"arm": "baseline"} | effect(untouched, None, floor),
                ]
        return rows

    def confusion(self) -> list[dict[str, Any]]:
        """Rows of confusion.csv: trait taught x candidate measured, the control students (`none`) last."""
        rows = []
        for (where, taught, measured), values in self.rates.items():
            reasons = self.reasons(where, taught, measured)
            about = self.about(where, reasons) | {"taught": taught, "measured": measured}
            rows.append(about | effect(kept(values, reasons), None, self.floors[where[0]]))
        return rows
