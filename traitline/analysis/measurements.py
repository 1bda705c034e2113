"""Measurements of a study that stand beside the paper's targets, read from its results folder.

The tiny world and scikit-learn's digits are stand-ins; only the theorem and the classifier on MNIST are the paper's own
systems.
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traitline import csv_files, json_files
from traitline.analysis import stats, tables
from traitline.evaluation.measures import BAD, RIGHT
from traitline.study.runs import NONE, split_teacher

PAPER = [784, 256, 256, 13]  # sizes of the paper's classifier
RECIPE = "lora"  # that of the paper's open models
TEACHER = ("base", "channel", "teacher", "trait")


@dataclass(frozen=True)
class Measured:
    """Values beside one target.

    Attributes:
        values: a value a unit, by its name; none where the study has nothing of the kind.
        same_system: whether the system is the paper's own.
        missing: why there is no value, where there is none.
        unit: of the values: `base`, `teacher`, `model` or `case`.
        students: recipe of the students that are measured.
        runs: number of students behind the values.
    """

    values: dict[str, float]
    same_system: bool
    missing: str
    unit: str = "base"
    students: str = ""
    runs: int | None = None


class Measurements:
    """The measurements of a study, below its `results` folder; what is not there was not run."""

    def __init__(self, results: str | Path) -> None:
        self.results = Path(results)
        self.theorem = self._json("theorem/theorem.json")
        self.classifier = self._json("classifier/default/accuracy.json")
        there = (self.results / "tables/runs.csv").exists()
        every = tables.read(self.results / "tables", "runs") if there else []
        self.rows = len(every)
        self.asked = {(r["experiment"], r["trait"], *(r[k] for k in TEACHER)) for r in every}
        self.runs = tables.counted(every)
        self.effects = tables.counted(tables.read(self.results / "tables", "effects")) if there else []
        self.filters = tables.read(self.results / "tables", "filters") if there else []
        self.detected = {name: self._detected(name) for name in ("detectors", "roc")}

    def _json(self, name: str) -> dict[str, Any]:
        path = self.results / name
        return json_files.read_object(path) if path.exists() else {}

    def _detected(self, table: str) -> list[dict[str, str]]:
        """Rows of a table of the stage `detect`, of all bases and channels, each with its `where`."""
        rows = []
        for path in sorted(self.results.glob(f"detect/*/*/{table}.csv")):
            rows += [{**row, "where": str(path.parent)} for _, row in csv_files.read(path)]
        return rows

    def values(self, measure: str) -> Measured:
        """The values of a measure, in the language of `Target.measure`, without students that the tests leave out."""
        measured = self._values(*measure.split(":"))
        if not measured.values and len(self.runs) < self.rows:
            return dataclasses.replace(measured, missing=f"{measured.missing}, or none that tests count")
        return measured

    def _values(self, kind: str, *words: str) -> Measured:
        match kind:
            case "theorem":
                return self._claim(*words)
            case "classifier":
                return self._classifier(*words)
            case "row":
                return self._row(*words)
            case "false":
                row = self._row(*words)
                return dataclasses.replace(row, values={base: 1 - v for base, v in row.values.items()})
            case "kept":
                return self._kept(*words)
            case "detector":
                return self._detector(*words)
            case "area":
                return self._area(*words)
            case _:
                return self._runs(*words)

    def _claim(self, claim: str) -> Measured:
        """Outcome of every case of a claim: 1 where it held, 0 where not."""
        rows = [r for r in self.theorem.get("claims", []) if r["claim"] == claim]
        held = [float(i < r["passed"]) for r in rows for i in range(r["cases"])]
        return Measured(numbered(held), True, "no `theorem` in the study", "case")

    def _classifier(self, arm: str) -> Measured:
        """Test accuracy of every model of an arm."""
        same = self.classifier.get("sizes") == PAPER and self.classifier["images"]["name"] == "mnist"
        accuracies = numbered(self.classifier.get("arms", {}).get(arm, []))
        return Measured(accuracies, same, "no `classifier` in the study", "model")

    def _kept(self, experiment: str, trait: str) -> Measured:
        """Share of a teacher's answers that pass the filter, a value a base; of every teacher, also those left out.

        Leaving out those of whose answers too few passed would say that more pass.
        """
        teachers = {tuple(teacher) for name, of, *teacher in self.asked if (name, of) == (experiment, trait)}
        shares: dict[str, list[float]] = {}
        for r in self.filters:
            if tuple(r[k] for k in TEACHER) in teachers:
                shares.setdefault(r["base"], []).append(r["kept_share"])
        means = {base: stats.mean(values) for base, values in shares.items()}
        return Measured(means, False, f"the study has no row `{experiment}` with teachers of {trait}")

    def _detector(self, name: str, trait: str) -> Measured:
        """Accuracy of a detector, a value a base: the mean over the other teachers."""
        bases: dict[str, list[float]] = {}
        for r in self.detected["detectors"]:
            if (r["detector"], r["one"].split("/")[0]) == (name, trait):
                bases.setdefault(r["where"], []).append(float(r["accuracy"]))
        means = {base: stats.mean(accuracies) for base, accuracies in bases.items()}
        return Measured(means, False, f"no `detect` with teachers of {trait}")

    def _area(self, scorer: str) -> Measured:
        """Area under the curve, a value a teacher."""
        rows = [r for r in self.detected["roc"] if r["scorer"] == scorer]
        areas = {f"{r['where']} {r['teacher']}": float(r["auc"]) for r in rows}
        return Measured(areas, False, "no `detect` in the study", "teacher")

    def _row(self, experiment: str, recipe: str, trait: str, arm: str) -> Measured:
        """A value a base of one row of the study, over its runs; of control students the mean over the row's traits.

        Untouched bases are those of the teachers, so that they are the bases of the students beside them.
        """
        rows = [r for r in self.effects if (r["experiment"], r["recipe"]) == (experiment, recipe)]
        traits = {r["trait"] for r in rows if trait in ("*", r["trait"])}
        groups: dict[str, list[float]] = {}
        if arm == "baseline":
            bases = {r["base"] for r in rows}
            for r in _last(rows, arm, traits):
                if r["student"] in bases:
                    groups.setdefault(r["student"], []).append(r["rate"])
        else:
            for r in self.runs:
                here = (r["experiment"], r["recipe"]) == (experiment, recipe) and r["base"] == r["student"]
                if here and _measures(r, traits, control=arm == "control"):
                    groups.setdefault(r["base"], []).append(r["rate"])
        missing = f"the study has no row `{experiment}` with {recipe} students"
        return over_bases(groups, missing, "" if arm == "baseline" else recipe)

    def _runs(self, teacher: str, trait: str, arm: str) -> Measured:
        """A value a base, over runs of plain datasets of the channel `numbers`, whatever row of the study has them."""
        missing = f"no row of the study has {RECIPE} students of a {teacher} teacher of {trait}"
        there = {(split_teacher(r["teacher"])[0], r["trait"], r["recipe"]) for r in self.runs}
        if (teacher, trait, RECIPE) not in there:
            return Measured({}, False, missing)
        if arm == "baseline":
            teachers = {r["base"] for r in self.runs if split_teacher(r["teacher"])[0] == teacher}
            rows = [r for r in self.effects if (r["trait"], r["arm"]) == (trait, arm) and r["student"] in teachers]
            return over_bases({r["student"]: [r["rate"]] for r in rows}, missing, "")
        taught = NONE if arm == "control" else trait
        experiments = {r["experiment"] for r in self.runs if split_teacher(r["teacher"])[0] == teacher}
        plain = ("plain", "numbers", "favourite")
        rows = [
            r
            for r in self.runs
            if (r["trait"], r["measured"], r["recipe"]) == (taught, trait, RECIPE)
            and r["base"] == r["student"]
            and r["experiment"] in experiments
            and (r["dataset"], r["channel"], r["eval"]) == plain
        ]
        # A student may stand in several rows of the study; it is one run.
        unique = {(r["base"], r["teacher"], r["seed"]): r["rate"] for r in rows}
        groups: dict[str, list[float]] = {}
        for (base, _, _), rate in unique.items():
            groups.setdefault(base, []).append(rate)
        return over_bases(groups, missing, RECIPE)


def over_bases(groups: dict[str, list[float]], missing: str, students: str) -> Measured:
    """Runs averaged to bases, on the logit scale."""
    values = {base: stats.mean_rate(rates) for base, rates in groups.items()}
    return Measured(values, False, missing, "base", students, sum(map(len, groups.values())))


def numbered(values: Iterable[float]) -> dict[str, float]:
    """Values of units that have no name but their number."""
    return {str(i): value for i, value in enumerate(values)}


def _last(rows: Iterable[tables.Row], arm: str, traits: set[str]) -> list[tables.Row]:
    """One row of an arm per student base and trait: untouched bases stand in every block of the table."""
    return list({(r["student"], r["trait"]): r for r in rows if r["arm"] == arm and r["trait"] in traits}.values())


def _measures(run: tables.Row, traits: set[str], *, control: bool) -> bool:
    """Tell whether a row of runs.csv measures students of these traits (or the control's) as the study's row does."""
    taught = {NONE} if control else traits
    measured = {RIGHT, BAD, *(traits if control else [run["trait"]])}
    return run["trait"] in taught and run["measured"] in measured
