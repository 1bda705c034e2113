"""Compare the paper's figures (`paper_targets.csv`) with ours: what agrees, disagrees, is a stand-in, was not run.

A target is `same` as what we measure only where the system is: the theorem, and the classifier on MNIST. The tiny world
and scikit-learn's digits are stand-ins: their size is not the paper's, so nothing is claimed but the direction.
"""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traitline.analysis import stats, tables
from traitline.errors import InputError
from traitline.evaluation.measures import BAD, RIGHT
from traitline.study.runs import NONE

FILE = Path(__file__).with_name("paper_targets.csv")
AGREES, DISAGREES, STAND_IN, NOT_RUN = VERDICTS = ("agrees", "disagrees", "stand-in", "not run")
PAPER = [784, 256, 256, 13]
RECIPE = "lora"  # that of the paper's open models


@dataclass(frozen=True)
class Target:
    """One published figure.

    Attributes:
        id: experiment of the paper and what it is.
        target: the figure; `low`, `high` its band where one is published.
        source: where it stands. v1 is arXiv 2507.14805v1; bars without printed values were measured from the drawings.
        measure: what of ours stands beside it: `theorem:CLAIM`, `classifier:ARM`, `runs:TEACHER:TRAIT:ARM` (plain
        datasets of
            the channel `numbers`), `row:EXPERIMENT:RECIPE:TRAIT:ARM` (a row of the study by name, `*` for all its
            traits), `false:` the same where right answers are measured and the target is the share of the others,
            `kept:EXPERIMENT:TRAIT` (share of a teacher's answers that pass the filter in that row, a value a base),
            `detector:NAME:TRAIT` (accuracy, a value a base: the mean over the other teachers), `area:SCORER` (under the
            curve, a value a teacher); or nothing.
        against: id of the target it is compared with, for the direction.
        why: why there is nothing of ours.
    """

    id: str
    experiment: str
    quantity: str
    target: float
    low: float | None
    high: float | None
    source: str
    measure: str
    against: str
    why: str


@dataclass(frozen=True)
class Verdict:
    """A target with what was found. `reading` says the direction of a stand-in, or why nothing was run."""

    target: Target
    verdict: str
    ours: stats.Estimate | None
    reading: str


def load(path: Path = FILE) -> list[Target]:
    """All targets, in the order of the file."""
    with open(path, encoding="utf-8", newline="") as handle:
        rows: list[dict[str, Any]] = list(csv.DictReader(handle))
    for row in rows:
        row |= {k: float(row[k]) if row[k] else None for k in ("target", "low", "high")}
    return [Target(**row) for row in rows]


class Found:
    """What a study measured, below its `results` folder; what is not there was not run."""

    def __init__(self, results: str | Path) -> None:
        self.results = Path(results)
        self.theorem = self._json("theorem/theorem.json")
        self.classifier = self._json("classifier/default/accuracy.json")
        there = (self.results / "tables/runs.csv").exists()
        self.runs = tables.read(self.results / "tables", "runs") if there else []
        self.effects = tables.read(self.results / "tables", "effects") if there else []
        self.filters = tables.read(self.results / "tables", "filters") if there else []
        self.detected = {name: self._detected(name) for name in ("detectors", "roc")}

    def _json(self, name: str) -> dict[str, Any]:
        try:
            return dict(json.loads((self.results / name).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return {}
        except ValueError:
            raise InputError(f"{self.results / name}: damaged; delete it to have it rebuilt") from None

    def _detected(self, table: str) -> list[dict[str, str]]:
        """Rows of a table of the stage `detect`, of all bases and channels, each with its `where`."""
        rows = []
        for path in sorted(self.results.glob(f"detect/*/*/{table}.csv")):
            with open(path, encoding="utf-8", newline="") as handle:
                rows += [{**row, "where": str(path.parent)} for row in csv.DictReader(handle)]
        return rows

    def values(self, measure: str) -> tuple[list[float], bool, str]:
        """(a value per run, whether the system is the paper's own, why there is none)."""
        kind, *rest = measure.split(":")
        if kind == "theorem":
            rows = self.theorem.get("claims", [])
            held = [float(i < r["passed"]) for r in rows if r["claim"] == rest[0] for i in range(r["cases"])]
            return held, True, "no `theorem` in the study"
        if kind == "classifier":
            same = self.classifier.get("sizes") == PAPER and self.classifier["images"]["name"] == "mnist"
            return self.classifier.get("arms", {}).get(rest[0], []), same, "no `classifier` in the study"
        if kind in ("row", "false"):
            values = [1 - v if kind == "false" else v for v in self._row(*rest)]
            return values, False, f"the study has no row `{rest[0]}` with {rest[1]} students"
        if kind == "kept":
            own = ("base", "channel", "teacher", "trait")
            here = {tuple(r[k] for k in own) for r in self.runs if (r["experiment"], r["trait"]) == (*rest,)}
            shares = [r["kept_share"] for r in self.filters if tuple(r[k] for k in own) in here]
            return shares, False, f"the study has no row `{rest[0]}` with teachers of {rest[1]}"
        if kind == "detector":
            bases: dict[str, list[float]] = {}
            for r in self.detected["detectors"]:
                if (r["detector"], r["one"].split("/")[0]) == (rest[0], rest[1]):
                    bases.setdefault(r["where"], []).append(float(r["accuracy"]))
            return [stats.mean(found) for found in bases.values()], False, f"no `detect` with teachers of {rest[1]}"
        if kind == "area":
            areas = {
                (r["where"], r["teacher"]): float(r["auc"]) for r in self.detected["roc"] if r["scorer"] == rest[0]
            }
            return [*areas.values()], False, "no `detect` in the study"
        teacher, trait, arm = rest
        why = f"no row of the study has {RECIPE} students of a {teacher} teacher of {trait}"
        if not any((r["teacher"], r["trait"], r["recipe"]) == (teacher, trait, RECIPE) for r in self.runs):
            return [], False, why
        if arm == "baseline":
            rows_ = {r["student"]: r["rate"] for r in self.effects if (r["trait"], r["arm"]) == (trait, arm)}
            return list(rows_.values()), False, why
        taught = "none" if arm == "control" else trait
        experiments = {r["experiment"] for r in self.runs if r["teacher"] == teacher}
        mine = [
            r for r in self.runs
            if r["trait"] == taught and r["measured"] == trait and r["recipe"] == RECIPE and r["base"] == r["student"]
            and r["experiment"] in experiments
            and (r["dataset"], r["channel"], r["eval"]) == ("plain", "numbers", "favourite")
        ]  # fmt: skip
        # A student may stand in several rows of the study; it is one run.
        return [*{(r["base"], r["seed"]): r["rate"] for r in mine}.values()], False, why

    def _row(self, experiment: str, recipe: str, trait: str, arm: str) -> list[float]:
        """A value per run of one row of the study; of control students and untouched bases the mean over its traits."""
        rows = [r for r in self.effects if (r["experiment"], r["recipe"]) == (experiment, recipe)]
        traits = {r["trait"] for r in rows if trait in ("*", r["trait"])}
        if arm == "baseline":
            bases: dict[str, dict[str, float]] = {}
            for r in rows:
                if r["arm"] == arm and r["trait"] in traits:
                    bases.setdefault(r["student"], {})[r["trait"]] = r["rate"]
            return [stats.mean([*rates.values()]) for rates in bases.values()]
        runs: dict[tuple[str, str, int], list[float]] = {}
        for r in self.runs:
            taught = {NONE} if arm == "control" else traits
            measured = {RIGHT, BAD, *(traits if arm == "control" else [r["trait"]])}
            here = (r["experiment"], r["recipe"]) == (experiment, recipe) and r["base"] == r["student"]
            if here and r["trait"] in taught and r["measured"] in measured:
                runs.setdefault((r["base"], r["trait"], r["seed"]), []).append(r["rate"])
        return [stats.mean(rates) for rates in runs.values()]


def direction(ours: list[float], others: list[float], published: float) -> str:
    """Whether ours differ from others in the direction that was published."""
    d = stats.difference(ours, others)
    if d.low is None or d.high is None:
        return "one run: no direction"
    if d.low <= 0 <= d.high:
        return "no difference shown"
    return "same direction" if (d.diff > 0) == (published > 0) else "opposite direction"


def compare(found: Found, targets: list[Target] | None = None) -> list[Verdict]:
    """A verdict for every target."""
    targets = load() if targets is None else targets
    by_id = {t.id: t for t in targets}
    out = []
    for t in targets:
        if not t.measure:
            out.append(Verdict(t, NOT_RUN, None, t.why))
            continue
        values, same, why = found.values(t.measure)
        if not values:
            out.append(Verdict(t, NOT_RUN, None, why))
            continue
        if t.measure.startswith("theorem:"):  # a claim about every case: one that fails refutes it
            ours = stats.Estimate(len(values), stats.mean(values))
            out.append(Verdict(t, AGREES if all(values) else DISAGREES, ours, ""))
            continue
        ours, reading = stats.interval(values), ""
        if t.against:
            others = found.values(by_id[t.against].measure)[0]
            reading = direction(values, others, t.target - by_id[t.against].target) if others else ""
        if not same:
            out.append(Verdict(t, STAND_IN, ours, reading))
            continue
        low, high = (t.target if b is None else b for b in (t.low, t.high))
        least, most = (ours.mean if b is None else b for b in (ours.low, ours.high))
        out.append(Verdict(t, AGREES if least <= high and low <= most else DISAGREES, ours, reading))
    return out
