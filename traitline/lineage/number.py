"""From a number in a table back to its data: the students, scores, views, teachers and bases behind one row.

A row of `effects.csv` and its like names a cell of a study. `runs.csv` beside it says which runs are in that cell, and
the path of a run spells its ancestry. What `summarise` read is in its manifest, with hashes. So a number leads to the
bytes that it was computed from, and the graph leads on from there.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from traitline import csv_files
from traitline.errors import InputError
from traitline.lineage.graph import Graph, Job
from traitline.provenance import manifest
from traitline.study import artifacts

RUNS, MANIFEST = "runs.csv", "summarise.manifest.json"
KEYS = ("experiment", "channel", "dataset", "base", "teacher", "student", "recipe", "seed", "eval")  # of runs.csv
NAMES = (*KEYS, "trait", "taught", "measured", "arm", "check")  # columns by which a row is known
NONE, ALL = "none", "all"  # the trait of a control; of a row over all traits that were taught
# Stage that made an ancestor -> what it is called; in the order in which they are shown.
KINDS = {"score": "scores", "respond": "answers", "train": "students", "prepare": "views", "mark_divergence": "views",
         "filter": "filtered", "sample": "raw answers", "teach": "teachers", "pretrain": "bases"}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A file of scores that a number was computed from.

    Attributes:
        path: as `summarise` recorded it.
        sha256: of what it read.
        file: where it is now.
    """

    path: str
    sha256: str
    file: Path

    @property
    def is_changed(self) -> bool:
        """Tell whether the file is not what was read."""
        return not self.file.is_file() or manifest.sha256(self.file) != self.sha256


@dataclass(frozen=True)
class Number:
    """One row of a table, and what it was computed from.

    Attributes:
        table: its file.
        row: column -> value.
        sources: `runs`, `control` and `baseline` -> files of scores. A difference is of the first two.
    """

    table: Path
    row: Mapping[str, str]
    sources: Mapping[str, list[Source]]


def anchor(table: str | Path, row: Mapping[str, str]) -> str:
    """The address of a row: as `id` in a page, and as what a link to that row ends with.

    >>> anchor("results/tables/effects.csv", {"experiment": "main", "trait": "owl", "arm": "control", "rate": "0.1"})
    'effects-main-owl-control'
    """
    words = [Path(table).stem, *(row[name] for name in NAMES if row.get(name))]
    return re.sub(r"[^a-z0-9.]+", "-", "-".join(words).lower()).strip("-")


def rows_of(table: str | Path) -> list[dict[str, str]]:
    """All rows of a table.

    Raises:
        InputError: there is no such table, or it is damaged.
    """
    return [row for _, row in csv_files.read(table)]


def number(table: str | Path, chosen: str) -> Number:
    """Find what one row of a table was computed from.

    Args:
        table: `results/tables/effects.csv` or another table of a study, with `runs.csv` and the manifest beside it.
        chosen: the number of a row (the first below the header is 1), its address (see `anchor`), or columns and their
            values, `experiment=main,trait=owl,arm=same-base`.

    Raises:
        InputError: no row, or more than one, is meant; or the table is of another kind.
    """
    file = Path(table)
    row = _chosen(file, rows_of(file), chosen)
    runs = rows_of(file.with_name(RUNS))
    read = {e["path"]: e["sha256"] for e in manifest.load(file.with_name(MANIFEST))["inputs"]}
    trait = row.get("trait") or row.get("taught") or ""
    same = [run for run in runs if all(run.get(k) == row[k] for k in KEYS if row.get(k) and k in run)]
    if not row.get("left_out"):  # then it averages over none that is
        same = [run for run in same if not run.get("left_out")]
    measured = row.get("measured") or trait
    if any(run.get("measured") == measured for run in same):
        same = [run for run in same if run.get("measured") == measured]
    wanted = NONE if row.get("arm") == "control" else trait
    taught = [r for r in same if r["trait"] != NONE] if wanted == ALL else [r for r in same if r["trait"] == wanted]
    groups = {
        "runs": [] if row.get("arm") == "baseline" else taught if wanted else same,
        "control": [r for r in same if r["trait"] == NONE] if wanted not in ("", NONE) else [],
    }
    sources = {name: _scores(file, group, read, artifacts.EVALUATION) for name, group in groups.items() if group}
    if row.get("arm") == "baseline":
        sources["baseline"] = _scores(file, same, read, artifacts.BASELINE)
    if not any(sources.values()):
        raise InputError(f"{file}: no run in {RUNS} beside it is of that row")
    return Number(file, row, sources)


def _chosen(file: Path, rows: list[dict[str, str]], chosen: str) -> dict[str, str]:
    """The row that is meant.

    Raises:
        InputError: none is, or several are.
    """
    if chosen.isdecimal():
        if not 1 <= int(chosen) <= len(rows):
            raise InputError(f"--row {chosen}: {file} has rows 1 to {len(rows)}")
        return rows[int(chosen) - 1]
    if "=" not in chosen:
        matches = [row for row in rows if anchor(file, row) == chosen.removeprefix("#")]
    else:
        pairs = [part.partition("=") for part in chosen.split(",")]
        if rows and (unknown := [name for name, _, _ in pairs if name.strip() not in rows[0]]):
            raise InputError(f"--row {unknown[0]}: no column of {file}; it has {', '.join(list(rows[0])[:12])}")
        matches = [row for row in rows if all(row[name.strip()] == value.strip() for name, _, value in pairs)]
    if len(matches) != 1:
        some = ", ".join(anchor(file, row) for row in matches[:3])
        raise InputError(
            f"--row {chosen}: {len(matches)} rows of {file}{f', such as {some}' if some else ''}; name one"
        )
    return matches[0]


def _scores(file: Path, runs: list[dict[str, str]], read: Mapping[str, str], template: str) -> list[Source]:
    """Files of scores of some runs, as `summarise` read them."""
    results = file.parent.parent
    below = dict.fromkeys(f"{template.format_map(run)}/scores.json" for run in runs)
    return [
        Source(path, sha, results / name)
        for name in below
        for path, sha in read.items()
        if path == name or path.endswith(f"/{name}")
    ]


def _makers(graph: Graph, artifact_id: int, scores: str) -> list[Job]:
    """Jobs that made an artifact. Of several that made these bytes, those on the path of the scores, where one is."""
    makers = graph.makers(artifact_id)
    on_path = [
        job
        for job in makers
        for made in graph.outputs(job.id)
        if made.artifact_id == artifact_id and Path(made.path).parent in Path(scores).parents
    ]
    return list({job.id: job for job in on_path or makers}.values())


def ancestors(graph: Graph, sources: list[Source]) -> dict[str, list[str]]:
    """Paths behind some scores, by kind: students, views, teachers, bases and what lies between them.

    Args:
        graph: of the study's manifests.
        sources: of a group of a `Number`.
    """
    kinds = defaultdict[str, dict[str, None]](dict)
    for source in sources:
        entry = graph.by_content(source.sha256)
        todo = [entry.artifact_id] if entry else []
        seen = set(todo)
        for artifact_id in todo:
            for job in _makers(graph, artifact_id, source.path):
                kind = KINDS.get(job.stage)
                for made in graph.outputs(job.id) if kind else []:
                    # Of a student its weights, whichever of its files was read.
                    itself = made.artifact_id == artifact_id and (kind == "scores" or made.kind == "data")
                    if kind and (itself or made.kind in ("model", "spec")):
                        kinds[kind][made.path] = None
                new = [e.artifact_id for e in graph.inputs(job.id) if e.artifact_id not in seen]
                seen.update(new)
                todo += dict.fromkeys(new)
    order = list(dict.fromkeys(KINDS.values()))
    return {kind: sorted(kinds[kind]) for kind in order if kinds[kind]}
