"""Content of the report's template, gathered from tables, artifacts and manifests of a study."""

import base64
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline import jsonl
from traitline.analysis import (
    comparisons,
    conclusions,
    report_branches,
    report_decoder,
    report_provenance,
    tables,
    trace_svg,
)
from traitline.errors import InputError, visible
from traitline.provenance import manifest

if TYPE_CHECKING:
    from traitline.study.config import Study
    from traitline.study.experiments import Experiment
    from traitline.study.runs import Run

EXAMPLES = 4  # rejected answers that are shown
TURNS = 5  # messages that are shown of a prompt or an answer
TABLES = ("tests", "calibration", "effects", "confusion", "filters", "judged")
DOWNLOADS = ("tests", "calibration", "effects", "confusion", "filters")
KINDS = {  # comparison -> words of its table
    "rise": {
        "title": "Students on their teacher's base against control students",
        "claim": "Students on their teacher's base show its trait more often than control students",
        "shown": "same base",
        "beside": "control",
        "difference": "rise, logits",
    },
    "specificity": {
        "title": "The rise on the teacher's base against that on other bases",
        "claim": "Students rise more on their teacher's base than on another",
        "shown": "same base",
        "beside": "another base",
        "difference": "difference of rises, logits",
    },
    "equivalence": {
        "title": "Students on another base against their control, equivalence by two one-sided tests",
        "claim": "Students on another base are equivalent to their control",
        "shown": "another base",
        "beside": "control",
        "difference": "difference, logits",
    },
}


def messages(turns: Any) -> list[tuple[str, str]]:
    """(role, text) of the first messages of a list, made safe to show.

    Raises:
        InputError: it is no list of messages.
    """
    if not isinstance(turns, list) or not all(isinstance(t, dict) for t in turns):
        raise InputError("an answer file holds a row without messages; delete the file to have it rebuilt")
    return [(visible(str(t.get("role", "?"))), visible(str(t.get("content", "")))) for t in turns[:TURNS]]


def example(run: "Run") -> dict[str, Any]:
    """The first answer of a teacher that passed the filter, and the first rejected one for each of a few reasons."""
    kept = next(jsonl.read(f"{run.channel_folder}/filtered.jsonl", ("prompt", "completion")))
    rejected = dict[str, Any]()
    path = Path(run.channel_folder, "rejected.jsonl")
    if path.stat().st_size:
        for row in jsonl.read(path, ("prompt", "completion", "reason")):
            rejected.setdefault(str(row["reason"]), row)
            if len(rejected) == EXAMPLES:
                break
    return {
        "run": run,
        "kept": {"prompt": messages(kept["prompt"]), "answer": messages(kept["completion"])},
        "rejected": [
            {"reason": visible(reason), "prompt": messages(row["prompt"]), "answer": messages(row["completion"])}
            for reason, row in rejected.items()
        ],
    }


def matrices(crossed: Sequence[tables.Row], experiment: str) -> list[dict[str, Any]]:
    """Trait taught x trait measured, for each recipe and for same and other bases; means over bases."""
    rows = [r for r in crossed if r["experiment"] == experiment]
    taught = list(dict.fromkeys(r["taught"] for r in rows))
    measured = [t for t in taught if t != "none"]
    if not {r["measured"] for r in rows} >= set(measured):
        measured = list(dict.fromkeys(r["measured"] for r in rows))  # right answers
    cells: dict[tuple[str, bool, str, str], list[tables.Row]] = defaultdict(list)
    for r in rows:
        cells[r["recipe"], r["base"] == r["student"], r["taught"], r["measured"]].append(r)
    return [
        {
            "recipe": recipe,
            "same": same,
            "measured": measured,
            "bases": max(len(cells[recipe, same, t, m]) for t in taught for m in measured),
            "rows": [(t, [(m, conclusions.average(cells[recipe, same, t, m])) for m in measured]) for t in taught],
        }
        for recipe in dict.fromkeys(r["recipe"] for r in rows)
        for same in (True, False)
        if any((recipe, same, t, m) in cells for t in taught for m in measured)
    ]


def experiments(
    study: "Study", cells: Sequence[conclusions.Comparison], rows: dict[str, list[tables.Row]]
) -> list[dict[str, Any]]:
    """The rows of a study with their tests, comparisons and matrices, primary ones first."""

    def place(row: "Experiment", c: conclusions.Comparison) -> tuple[int, int]:
        return row.traits.index(c.same["trait"]), row.bases.index(c.same["base"])

    shown = []
    for row in sorted(study.experiments, key=lambda row: row.name not in study.primary.experiments):
        of_row = [(place(row, c), c) for c in cells if c.same["experiment"] == row.name]
        shown.append(
            {
                "row": row,
                "primary": row.name in study.primary.experiments,
                "cells": [c for _, c in sorted(of_row, key=lambda pair: pair[0])],
                "tests": (tests := [r for r in rows["tests"] if r["experiment"] == row.name]),
                "notes": conclusions.distinct_notes(tests),
                "matrices": matrices(tables.counted(rows["confusion"]), row.name),
            }
        )
    return shown


def reject_reasons(filters: Sequence[tables.Row]) -> dict[str, str]:
    """Columns of filters.csv that count rejected answers, without those of zeros -> what the reason means."""
    from traitline.channels import registry
    from traitline.models import likelihood

    meanings = {**registry.reasons(), **likelihood.REASONS}
    columns = [c for c in (filters or [{}])[0] if c.startswith("reject_")]
    return {c: meanings.get(c.removeprefix("reject_"), "") for c in columns if any(r[c] for r in filters)}


def branches(study: "Study", results: str) -> dict[str, Any]:
    """The parts of the page about branches without language models; empty where the study has none."""
    detected = report_branches.detection(study, results)
    predicted = report_branches.influence(study, results)
    decoded = report_decoder.decodings(study, results)
    return {
        "decoded": decoded,
        "decoded_totals": report_decoder.totals(decoded),
        "beside": report_decoder.beside(study, decoded, predicted, detected),
        "detected": detected,
        "areas": report_branches.areas(detected),
        "predicted": predicted,
        "classifier": report_branches.classifier(study, results),
        "targets": report_branches.targets(results) if study.side_folders else [],
        "theorem": report_branches.read_json(results, "theorem/theorem.json") if study.theorem else None,
    }


def origins(run: "Run", results: str) -> dict[str, Any]:
    """Origin of one student: the jobs, and a drawing of them."""
    manifests = (manifest.load(p) for p in sorted(Path(results).glob("**/*.manifest.json")))
    nodes = trace_svg.lineage(run, trace_svg.Origins(manifests))
    return {"nodes": nodes, "drawing": trace_svg.drawing(nodes)}


def content(
    study: "Study", runs: "Sequence[Run]", shown: "Run", folder: str, results: str, settings: str
) -> dict[str, Any]:
    """Content of the template without the marks of the lineage.

    Args:
        study: the study.
        runs: its runs.
        shown: the run whose teacher's answers and whose origins are shown.
        folder: where the tables are.
        results: where the artifacts are.
        settings: the study as JSON.
    """
    import yaml

    rows = {name: tables.marked(tables.read(folder, name)) for name in TABLES}
    cells = conclusions.comparisons(rows["effects"])
    jobs = [manifest.load(p) for p in report_provenance.expected(study, results) if Path(p).exists()]
    declared = [r for r in rows["tests"] if r["role"] == comparisons.PRIMARY]
    primary = {kind: [r for r in declared if r["comparison"] == kind] for kind in KINDS}
    soft = [name for name, recipe in study.recipes.items() if recipe.labels == "soft"]
    return {
        "study": study,
        "answer": conclusions.answer(rows["tests"], rows["calibration"], soft),
        "experiments": experiments(study, cells, rows),
        "primary": {kind: of_kind for kind, of_kind in primary.items() if of_kind},
        "kinds": KINDS,
        "calibration": rows["calibration"],
        "filters": rows["filters"],
        "left_out": any(row[tables.LEFT_OUT] for row in rows["effects"]),
        "reasons": reject_reasons(rows["filters"]),
        "declared": report_branches.declarations(results),
        "judged": rows["judged"],
        **branches(study, results),
        "example": example(shown),
        **origins(shown, results),
        "making": report_provenance.making(jobs),
        "installed": report_provenance.installed(),
        "students": len({r.folder for r in runs}),
        "traits": len({r.trait for r in runs if r.arm != "control"}),
        "bases": len({base for r in runs for base in (r.base, r.student)}),
        "config": yaml.safe_dump(
            json.loads(settings), sort_keys=False, allow_unicode=True, default_flow_style=None, width=110
        ),
        "ended": max((job["ended"][:16].replace("T", " ") for job in jobs), default=""),
        "downloads": {
            f"{name}.csv": base64.b64encode(Path(folder, f"{name}.csv").read_bytes()).decode() for name in DOWNLOADS
        },
    }
