"""Causes of a difference between two artifacts: the first jobs, walking back, whose settings, code or data part."""

from dataclasses import dataclass, field
from typing import Any

from traitline.lineage.graph import Entry, Graph, Job

ENVIRONMENT = ("python", "platform", "device", "gpus", "threads")


@dataclass
class Difference:
    """One pair of jobs that part.

    Attributes:
        left, right: what they made.
        says: what differs, one line each.
        deep: how many steps behind the artifacts that were asked about.
    """

    left: Entry
    right: Entry
    deep: int
    says: list[str] = field(default_factory=list)


def differences(graph: Graph, left: Entry, right: Entry) -> list[Difference]:
    """Pairs of jobs that part, the furthest back first: what they say explains all that follows. Nothing if alike."""
    visited: dict[tuple[int, int], Difference | None] = {}

    def visit(a: Entry, b: Entry, deep: int) -> None:
        if a.artifact_id == b.artifact_id or (a.artifact_id, b.artifact_id) in visited:
            return
        visited[a.artifact_id, b.artifact_id] = None  # met: a circle ends here
        one, two = graph.makers(a.artifact_id), graph.makers(b.artifact_id)
        if not one or not two:
            says = [f"{e.path}: no manifest says how it was made" for e, makers in ((a, one), (b, two)) if not makers]
            visited[a.artifact_id, b.artifact_id] = Difference(a, b, deep, says)
            return
        # Where several jobs made the same bytes, the closest pair explains most.
        says, pairs = min((_compare(graph, x, y) for x in one for y in two), key=lambda c: (len(c[0]), len(c[1])))
        if not says and not pairs:
            says = _environment(one[0], two[0]) or ["nothing that is recorded differs; the same job gave other bytes"]
        if says:
            visited[a.artifact_id, b.artifact_id] = Difference(a, b, deep, says)
        for x, y in pairs:
            visit(x, y, deep + 1)

    visit(left, right, 0)
    return sorted((d for d in visited.values() if d), key=lambda d: (-d.deep, d.left.path))


def _compare(graph: Graph, x: Job, y: Job) -> tuple[list[str], list[tuple[Entry, Entry]]]:
    """(what differs between two jobs themselves, pairs of inputs that differ)."""
    m, n = x.manifest, y.manifest
    if x.stage != y.stage:
        return [f"made by `{x.stage}` and by `{y.stage}`"], []
    says = []
    for key in ("params", "seeds", "facts"):
        says += [f"{key}.{name}: {a} and {b}" for name, a, b in _unequal(m[key], n[key]) if name != "weights"]
    codes = [str(k["code"].get("digest")) for k in (m, n)]
    if codes[0] != codes[1]:
        commits = [str(k["code"].get("git_commit") or "no commit")[:12] for k in (m, n)]
        says.append(f"code of `{x.stage}`: {codes[0]} ({commits[0]}) and {codes[1]} ({commits[1]})")
    pairs, others = [], graph.inputs(y.id)
    for a in graph.inputs(x.id):
        same = [b for b in others if b.role == a.role]
        b = next((b for b in same if b.artifact_id == a.artifact_id), same[0] if same else None)
        if b is None:
            says.append(f"{a.role}: only the first has {a.path}")
            continue
        others.remove(b)
        if a.artifact_id != b.artifact_id:
            pairs.append((a, b))
    says += [f"{b.role}: only the second has {b.path}" for b in others]
    return says, pairs


def _unequal(a: Any, b: Any, name: str = "") -> list[tuple[str, str, str]]:
    """(dotted key, value here, value there) of all leaves that differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        return [
            part
            for key in sorted(a.keys() | b.keys())
            for part in _unequal(a.get(key, "nothing"), b.get(key, "nothing"), f"{name}.{key}" if name else str(key))
        ]
    return [] if a == b and type(a) is type(b) else [(name, str(a), str(b))]


def _environment(x: Job, y: Job) -> list[str]:
    """List differences of the environments of two jobs, for when nothing else differs."""
    a, b = x.manifest["env"], y.manifest["env"]
    left, right = ({k: e.get(k) for k in (*ENVIRONMENT, "packages")} for e in (a, b))
    return [f"ran with {name} {one} and {two}" for name, one, two in _unequal(left, right)]
