"""Marks beside measurements: does the risk that origins tell predict what students were found to do?

A student's rise is the exact rate of its teacher's trait minus the mean of the control students of the same experiment,
base and recipe; in rows about norms the rate of bad answers. For a control student it is its own rate minus the mean of
the others, over the traits of its experiment.
"""

import collections
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from traitline.analysis.stats import Estimate, interval, mean
from traitline.evaluation.measures import BAD
from traitline.lineage.audit import MARKS, Audit
from traitline.lineage.graph import Graph
from traitline.study.runs import NONE, Run

KEY = ("experiment", "channel", "dataset", "base", "trait", "student", "recipe", "seed", "eval")
WEIGHTS = ("adapter_model.safetensors", "model.safetensors")


@dataclass(frozen=True)
class Found:
    """Students of one mark, row and recipe: the interval of their rises; how many lie above every control student."""

    mark: str
    experiment: str
    recipe: str
    rise: Estimate
    above: int


def marks(graph: Graph, result: Audit, runs: Iterable[Run]) -> dict[Run, str]:
    """run -> the worst mark of its student, for students that a manifest in this graph made."""
    found = {}
    for run in runs:
        for name in WEIGHTS:
            row = graph.db.execute(
                "SELECT kin FROM entry WHERE path = ? AND made = 1", (f"{run.folder}/{name}",)
            ).fetchone()
            if row and row[0] in result.marks:
                found[run] = result.marks[row[0]][0].mark
                break
    return found


def rises(runs: Iterable[Run], rows: Iterable[Mapping[str, Any]]) -> dict[Run, tuple[float, bool]]:
    """run -> (rise, whether its rate is above that of every control student); runs without controls are left out."""
    runs = list(runs)
    rates: dict[tuple[Any, ...], dict[str, float]] = collections.defaultdict(dict)
    for row in rows:
        rates[tuple(row[k] for k in KEY)][row["measured"]] = row["rate"]
    traits: dict[str, set[str]] = collections.defaultdict(set)
    for run in runs:
        traits[run.experiment] |= {run.trait} - {NONE}
    controls: dict[tuple[str, ...], list[Run]] = collections.defaultdict(list)
    for run in runs:
        if run.trait == NONE:
            controls[_cell(run)].append(run)
    found = {}
    for run in runs:
        others = [c for c in controls[_cell(run)] if c != run]
        seen = []
        for trait in sorted(traits[run.experiment]) if run.trait == NONE else [run.trait]:
            what = BAD if BAD in rates[_key(run)] else trait
            beside = [rates[_key(c)][what] for c in others if what in rates[_key(c)]]
            if beside and what in rates[_key(run)]:
                rate = rates[_key(run)][what]
                seen.append((rate - mean(beside), rate > max(beside)))
        if seen:
            found[run] = mean([rise for rise, _ in seen]), all(above for _, above in seen)
    return found


def table(marked: Mapping[Run, str], measured: Mapping[Run, tuple[float, bool]]) -> list[Found]:
    """One row per mark, experiment and recipe: the worst mark first, then in the order of the study."""
    cells: dict[tuple[str, str, str], list[tuple[float, bool]]] = collections.defaultdict(list)
    for run, mark in marked.items():
        if run in measured:
            cells[mark, run.experiment, run.recipe].append(measured[run])
    return [
        Found(*key, interval([rise for rise, _ in seen]), sum(above for _, above in seen))
        for key, seen in sorted(cells.items(), key=lambda cell: MARKS.index(cell[0][0]))
    ]


def separation(marked: Mapping[Run, str], measured: Mapping[Run, tuple[float, bool]]) -> float | None:
    """How well risk tells who rose: the chance that a student at risk rose more than one that is not, ties half.

    0.5 is no better than a coin. None where one of the groups is empty. (The area under the ROC curve.)
    """
    risk: list[float] = []
    rest: list[float] = []
    for run, mark in marked.items():
        if run in measured:
            (risk if mark in ("CARRIER", "INHERITANCE-RISK") else rest).append(measured[run][0])
    if not risk or not rest:
        return None
    return sum((a > b) + (a == b) / 2 for a in risk for b in rest) / (len(risk) * len(rest))


def _cell(run: Run) -> tuple[str, ...]:
    return run.experiment, run.channel, run.dataset, run.base, run.student, run.recipe, run.eval


def _key(run: Run) -> tuple[Any, ...]:
    return tuple(getattr(run, k) for k in KEY)


def beside(graph: Graph, result: Audit, runs: Sequence[Run], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the report shows: `rows` of the table, `separation`, and how many students are in it."""
    marked, measured = marks(graph, result, runs), rises(runs, rows)
    both = [run for run in marked if run in measured]
    return {"rows": table(marked, measured), "separation": separation(marked, measured), "students": len(both)}
