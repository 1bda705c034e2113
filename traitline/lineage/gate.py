"""The audit as a gate: a policy applied to the marks of chosen artifacts, printed or as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from traitline.errors import InputError
from traitline.lineage import display
from traitline.lineage.audit import MARKS, Audit, audit, rows
from traitline.lineage.graph import Graph
from traitline.lineage.policy import Policy


@dataclass(frozen=True)
class Gate:
    """Marks of the chosen artifacts.

    Attributes:
        graph: of origins.
        audit: marks of all models and data in it.
        only: artifacts that were asked about; None where all models were.
        chosen: artifacts that are shown.
        failed: those of them that stop a release.
        accepted: artifact -> why it may pass although it is marked.
    """

    graph: Graph
    audit: Audit
    only: list[int] | None
    chosen: list[int]
    failed: set[int]
    accepted: dict[int, str]

    @property
    def counts(self) -> dict[str, int]:
        """Mark -> how many of the chosen artifacts have it as their worst."""
        return {mark: sum(self.audit.marks[a][0].mark == mark for a in self.chosen) for mark in MARKS}

    def as_json(self, *, data: bool) -> dict[str, Any]:
        """Counts, and a row for each artifact (`data`: for data sets too)."""
        table = rows(self.graph, self.audit, data=data, only=self.only)
        reasons = {self.graph.entry(a).sha256: reason for a, reason in self.accepted.items()}
        fails = {self.graph.entry(a).sha256 for a in self.failed}
        for row in table:
            row |= {"fails": row["sha256"] in fails, "accepted": reasons.get(row["sha256"])}
        return {"counts": self.counts, "failed": len(self.failed), "artifacts": table}

    def show(self, limit: int) -> None:
        """Print the worst first, no more than `limit` rows, and the counts."""
        out = display.console()
        worst = sorted(self.chosen, key=lambda a: (self.audit.marks[a][0].rank[:2], self.graph.entry(a).path))
        for artifact_id in worst[:limit]:
            marks, entry = self.audit.marks[artifact_id], self.graph.entry(artifact_id)
            more = f" (+{len(marks) - 1})" if len(marks) > 1 else ""
            out.print(f"{marks[0].mark + more:22}", style=display.COLOURS[marks[0].mark], end="")
            source = display.visible(self._source(artifact_id))
            passes = "  accepted" if artifact_id in self.accepted else ""
            out.print(f"{display.visible(marks[0].trait):8}{display.visible(entry.path)}{source}{passes}")
        if len(worst) > limit:
            out.print(f"and {len(worst) - limit} more; --limit or --json shows them")
        counts = ", ".join(f"{n} {mark}" for mark, n in self.counts.items() if n)
        out.print(f"{counts}; {len(self.failed)} fail")

    def _source(self, artifact_id: int) -> str:
        """Name the artifact that the worst mark comes from, if it is another one."""
        mark = self.audit.marks[artifact_id][0]
        path = self.audit.path(artifact_id, mark.witness)
        return "" if mark.mark == "CLEAN" or len(path) < 2 else f"  from {self.graph.entry(path[-1]).path}"


def apply(graph: Graph, policy: Policy, artifacts: Sequence[str], *, data: bool) -> Gate:
    """Audit a graph under a policy.

    Args:
        graph: of origins.
        policy: what fails, and what people know beyond manifests.
        artifacts: names of what is asked about; none: every model.
        data: data sets too.

    Raises:
        InputError: an artifact is unknown, or neither weights nor data; or no model is there.
    """
    carriers = {graph.find(c.sha256).artifact_id: c.trait for c in policy.carriers}
    matched = [[graph.find(sha).artifact_id for sha in group] for group in policy.matched]
    accepted = {graph.find(a.sha256).artifact_id: a.reason for a in policy.accept}
    only = [graph.find(a).artifact_id for a in artifacts] or None
    result = audit(graph, carriers=carriers, matched=matched)
    for name, artifact_id in zip(artifacts, only or (), strict=True):
        if artifact_id not in result.marks:
            raise InputError(f"{name}: neither weights nor data; audit a model, or what it was trained on")
    chosen = only or list(result.marks if data else result.models)
    if not chosen:
        raise InputError("no manifest names a model, so nothing was audited; --data audits data sets")
    # Data never fail a release unless they were asked about.
    judged = result.models | set(only or ())
    failed = {
        a for a in chosen if a in judged and a not in accepted and any(m.mark in policy.fail for m in result.marks[a])
    }
    return Gate(graph, result, only, chosen, failed, accepted)
