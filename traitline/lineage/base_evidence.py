"""Evidence of what weights start from, as `register` writes it down: facts for the manifest, and bases beside the said.

Evidence is recorded once, so the audit stays a matter of manifests. It only adds: what somebody says of a base stands.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from traitline.errors import InputError
from traitline.lineage.graph import Graph, open_graph
from traitline.lineage.index import folders_here, scan
from traitline.lineage.near_copies import relatives
from traitline.provenance import manifest
from traitline.provenance.tensor_sets import tensor_set


def base_evidence(
    files: Sequence[Path], identity: str | None, bases: Sequence[Path]
) -> tuple[dict[str, Any], list[Path]]:
    """Compare new weights with all that are known.

    Args:
        files: of the new model or adapter.
        identity: its `facts.weights`; None where its format has none.
        bases: what it is said to start from.

    Returns:
        Facts (`tensors`: its set of tensors; `kinship`: file of a relative -> what says so; `unread`: why its tensors
        could not be read), and files of relatives that are neither among `bases` nor among what those start from.
    """
    facts: dict[str, Any] = {}
    try:
        facts["tensors"] = tensor_set(files).identity
    except InputError as e:
        return {"unread": str(e)}, []
    folders = folders_here()
    if not scan(folders)[0]:
        return facts, []
    graph = open_graph(folders, None)
    near = relatives(graph, files, identity)
    if near:
        facts["kinship"] = {file.as_posix(): relative.why for relative in near for file in relative.files}
    line = _base_line(graph, bases)
    return facts, [file for relative in near if relative.artifact_id not in line for file in relative.files]


def _base_line(graph: Graph, files: Sequence[Path]) -> set[int]:
    """Artifacts that files are known as, and all that their weights start from."""
    line = set[int]()
    for sha in map(manifest.sha256, files):
        if entry := graph.by_content(sha):
            line |= {entry.artifact_id, *graph.back(entry.artifact_id, "base")}
    return line
