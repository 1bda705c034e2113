"""Marks beside measurements: does the risk that origins imply predict what students do?

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
from traitline.lineage.audit import Audit
from traitline.lineage.graph import Graph
from traitline.lineage.marks import MARKS
from traitline.model_files import ADAPTER, WEIGHTS
from traitline.study.runs import NONE, Run

KEY = ("experiment", "channel", "dataset", "base", "teacher", "trait", "student", "recipe", "seed", "eval")
AT_RISK = ("CARRIER", "INHERITANCE-RISK")


@dataclass(frozen=True)
class MarkedRises:
    """Students of one mark, row and recipe: the mean of their rises, and how many lie above every control student.

    The interval is over bases of teachers; of fewer than three there is none.
    """

    mark: str
    experiment: str
    recipe: str
    students: int
    rise: Estimate
    above: int


def students(graph: Graph, result: Audit, runs: Iterable[Run]) -> dict[Run, int]:
    """run -> the artifact of its student, for students that a manifest in this graph made."""
    known = {}
    for run in runs:
        for name in (ADAPTER, WEIGHTS):
            row = graph.db.execute(
                "SELECT artifact_id FROM entry WHERE path = ? AND output = 1", (f"{run.folder}/{name}",)
            ).fetchone()
            if row and row[0] in result.marks:
                known[run] = row[0]
                break
    return known


def standings(result: Audit, known: Mapping[Run, int]) -> dict[str, list[str]]:
    """mark -> what it rests on for one of these students or more (`Audit.standing`)."""
    by_mark = collections.defaultdict[str, set[str]](set)
    for artifact_id in known.values():
        by_mark[result.marks[artifact_id].worst].add(result.standing(artifact_id))
    return {mark: sorted(words) for mark, words in by_mark.items()}


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
    measured = {}
    for run in runs:
        others = [c for c in controls[_cell(run)] if c != run]
        by_trait = []
        for trait in sorted(traits[run.experiment]) if run.trait == NONE else [run.trait]:
            candidate = BAD if BAD in rates[_key(run)] else trait
            of_controls = [rates[_key(c)][candidate] for c in others if candidate in rates[_key(c)]]
            if of_controls and candidate in rates[_key(run)]:
                rate = rates[_key(run)][candidate]
                by_trait.append((rate - mean(of_controls), rate > max(of_controls)))
        if by_trait:
            measured[run] = mean([rise for rise, _ in by_trait]), all(above for _, above in by_trait)
    return measured


def table(marked: Mapping[Run, str], measured: Mapping[Run, tuple[float, bool]]) -> list[MarkedRises]:
    """One row per mark, experiment and recipe: the worst mark first, then in the order of the study."""
    cells: dict[tuple[str, str, str], list[Run]] = collections.defaultdict(list)
    for run, mark in marked.items():
        if run in measured:
            cells[mark, run.experiment, run.recipe].append(run)
    rows = []
    for key, students in sorted(cells.items(), key=lambda cell: MARKS.index(cell[0][0])):
        bases: dict[str, list[float]] = collections.defaultdict(list)
        for run in students:
            bases[run.base].append(measured[run][0])
        rise = interval([mean(of_base) for of_base in bases.values()])
        rows.append(MarkedRises(*key, len(students), rise, sum(measured[run][1] for run in students)))
    return rows


def separation(marked: Mapping[Run, str], measured: Mapping[Run, tuple[float, bool]]) -> float | None:
    """Area under the ROC curve: the chance that a student at risk rose more than one that is not, ties half.

    0.5 is no better than a coin. None where one of the groups is empty.
    """
    from sklearn.metrics import roc_auc_score

    runs = [run for run in marked if run in measured]
    at_risk = [marked[run] in AT_RISK for run in runs]
    if all(at_risk) or not any(at_risk):
        return None
    return float(roc_auc_score(at_risk, [measured[run][0] for run in runs]))


def _cell(run: Run) -> tuple[str, ...]:
    return run.experiment, run.channel, run.dataset, run.base, run.student, run.recipe, run.eval


def _key(run: Run) -> tuple[Any, ...]:
    return tuple(getattr(run, k) for k in KEY)


def beside(graph: Graph, result: Audit, runs: Sequence[Run], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The part of the report about marks.

    That is `rows` of the table, `standings` of its marks, `separation`, and how many students are in it.
    """
    known, measured = students(graph, result, runs), rises(runs, rows)
    marked = {run: result.marks[artifact_id].worst for run, artifact_id in known.items()}
    both = [run for run in marked if run in measured]
    return {
        "rows": table(marked, measured),
        "standings": standings(result, known),
        "separation": separation(marked, measured),
        "students": len(both),
    }
