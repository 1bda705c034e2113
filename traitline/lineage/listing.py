"""Artifacts one by one: which there are, with stage, mark and standing, and what the manifest of one says."""

from typing import Any

from traitline.errors import InputError
from traitline.lineage.audit import Audit, audit
from traitline.lineage.graph import Entry, Graph
from traitline.lineage.index import folders_here
from traitline.lineage.links import Reach
from traitline.lineage.marks import MARKS
from traitline.provenance import manifest

KEYS = ("stage", "started", "ended", "params", "seeds", "facts", "code", "env")  # of a manifest, as it says them


def artifacts(graph: Graph, *, stage: str | None = None, mark: str | None = None) -> list[dict[str, Any]]:
    """Rows of all that jobs made or somebody registered, by path; what is neither model nor data has no mark.

    Args:
        graph: of origins.
        stage: only what this stage made.
        mark: only what has this as its worst mark.

    Raises:
        InputError: no stage or mark is called so, or nothing is left.
    """
    if mark and mark not in MARKS:
        raise InputError(f"--mark {mark}: no such mark; one of {', '.join(MARKS)}")
    stage_of = {e.artifact_id: job.stage for job in map(graph.job, _jobs(graph)) for e in graph.outputs(job.id)}
    if stage and stage not in stage_of.values():
        raise InputError(f"--stage {stage}: made nothing here; one of {', '.join(sorted(set(stage_of.values())))}")
    result, entries = audit(graph), graph.entries(stage_of)
    rows = [
        _artifact(result, entries[artifact_id]) | {"stage": made_by}
        for artifact_id, made_by in stage_of.items()
        if stage in (None, made_by)
    ]
    rows = [row for row in rows if mark in (None, row["mark"])]
    if not rows:
        raise InputError(f"no artifact has mark {mark}; `traitline audit` counts the marks" if mark else "no artifact")
    return sorted(rows, key=lambda row: (row["artifact"], row["sha256"]))


def _jobs(graph: Graph) -> list[int]:
    """Numbers of the jobs, the last first: of equal bytes, the first job that made them counts."""
    return sorted((job for job, _ in graph.files()), reverse=True)


def _artifact(result: Audit, entry: Entry) -> dict[str, Any]:
    """What an artifact is, with its worst mark and the standing of its marks."""
    marked = entry.artifact_id in result.marks
    return {
        "artifact": entry.path,
        "sha256": entry.sha256,
        "kind": entry.kind,
        "mark": result.marks[entry.artifact_id].worst if marked else None,
        "standing": result.standing(entry.artifact_id) if marked else None,
    }


def described(graph: Graph, entry: Entry) -> dict[str, Any]:
    """All that manifests say of one artifact: its marks, whether its file is here, and the jobs that made it."""
    result = audit(graph)
    marks = result.marks.get(entry.artifact_id, ())
    users = [job.stage for job, _ in graph.users(entry.artifact_id)]
    return _artifact(result, entry) | {
        "marks": [{"mark": m.mark, "trait": m.trait or None, "reason": result.reason(m)} for m in marks],
        "file": file_now(entry.path, entry.sha256),
        "origin": graph.outside(entry.artifact_id),
        "jobs": [
            {key: job.manifest.get(key) for key in KEYS}
            | {"manifest": job.file, "trait": job.trait, "origin": job.origin}
            | {"inputs": _ends(graph.inputs(job.id)), "outputs": _ends(graph.outputs(job.id))}
            for job in graph.makers(entry.artifact_id)
        ],
        "used_by": {stage: users.count(stage) for stage in sorted(set(users))},
    }


def _ends(entries: list[Entry]) -> list[dict[str, str]]:
    """Inputs or outputs of a job."""
    return [{"role": e.role, "artifact": e.path, "sha256": e.sha256, "kind": e.kind} for e in entries]


def file_now(path: str, sha256: str) -> str:
    """State of the recorded file: `as recorded`, `changed`, `missing`, or `outside` the working folder and not read."""
    size = Reach(folders_here()).size(path)
    if not isinstance(size, int):
        return size
    return "as recorded" if manifest.sha256(path) == sha256 else "changed"
