"""The audit as a gate: a policy applied to the marks of chosen artifacts, printed or as JSON."""

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from traitline.errors import InputError, visible
from traitline.lineage import display
from traitline.lineage.audit import Audit, audit, rows
from traitline.lineage.exposure import NUMBERS, Exposure
from traitline.lineage.graph import Entry, Graph, Unplaced
from traitline.lineage.marks import MARKS, Mark
from traitline.lineage.policy import STANDINGS, Policy
from traitline.lineage.seal import Comparison
from traitline.provenance.weight_sets import is_weights, weight_sets


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
        seal: the trusted root that the study was compared with.
        unplaced: what was asked about and no manifest places. It stops a release, whatever the policy says.
        names: artifact -> the file that it was found as, where one was asked about.
    """

    graph: Graph
    audit: Audit
    only: list[int] | None
    chosen: list[int]
    failed: set[int]
    accepted: dict[int, str]
    unplaced: list[Unplaced]
    names: dict[int, str]
    seal: Comparison | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Mark -> how many of the chosen artifacts have it as their worst; what nothing places is UNKNOWN."""
        counts = Counter(self.audit.marks[a].worst for a in self.chosen)
        counts["UNKNOWN"] += len(self.unplaced)
        return {mark: counts[mark] for mark in MARKS}

    @property
    def failures(self) -> int:
        """Count the artifacts that were asked about and stop a release."""
        return len(self.failed) + len(self.unplaced)

    def as_json(self, *, data: bool) -> dict[str, Any]:
        """Counts, and a row for each artifact (`data`: for data sets too)."""
        table = rows(self.graph, self.audit, data=data, only=self.only)
        reasons = {self.graph.entry(a).sha256: reason for a, reason in self.accepted.items()}
        fails = {entry.sha256 for a, entry in self.graph.entries(self.failed).items() if a in self.failed}
        for row in table:
            row |= {"fails": row["sha256"] in fails, "accepted": reasons.get(row["sha256"])}
        strange = [_unplaced_row(u) for u in self.unplaced]
        return {"counts": self.counts, "failed": self.failures, "artifacts": strange + table}

    def show(self, limit: int) -> None:
        """Print the worst first, no more than `limit` rows, and the counts."""
        out = display.console()
        rows = [("UNKNOWN", f"{'':8}{visible(u.path)}  {visible(u.reason)}") for u in self.unplaced]
        counts, ranks = self.counts, {a: self.audit.marks[a][0].rank[:2] for a in self.chosen}
        least = heapq.nsmallest(limit, ranks.values())[-1:]  # only what is as bad as the last row is named
        entries = self.graph.entries([a for a in self.chosen if [ranks[a]] <= least])
        for artifact_id in heapq.nsmallest(limit, entries, key=lambda a: (ranks[a], entries[a].path)):
            marks, entry = self.audit.marks[artifact_id], entries[artifact_id]
            more = f" (+{len(marks) - 1})" if len(marks) > 1 else ""
            source = visible(self._source(artifact_id))
            source += visible(f"  ({reason})" if (reason := self.audit.reason(marks[0])) else "")
            passes = "  accepted" if artifact_id in self.accepted else ""
            passes += f"  ({self.audit.standing(artifact_id)})"
            shown, name = visible(entry.path), self.names.get(artifact_id, entry.path)
            if Path(name).parent != Path(entry.path).parent:  # a copy: where it is, and what it is
                shown = f"{visible(name)} = {shown}"
            rows.append((marks[0].mark + more, f"{visible(marks[0].trait):7} {shown}{source}{passes}"))
        display.marks(rows, out)
        if len(self.chosen) > limit:
            out.print(f"and {len(self.chosen) - limit} more; --limit or --json shows them")
        if counts["EXPOSED"]:
            out.print(
                "EXPOSED: no base in common, by bytes or by what is registered; `matched` in a policy says otherwise."
                " Lists of numbers pass by default, all else fails: a trait can cross bases in open text"
            )
        display.comparison(self.seal)
        numbers = ", ".join(f"{n} {mark}" for mark, n in counts.items() if n)
        out.print(f"{numbers}; {self.failures} fail")

    def _source(self, artifact_id: int) -> str:
        """Name the artifact that the worst mark comes from, if it is another one."""
        mark = self.audit.marks[artifact_id][0]
        path = self.audit.path(artifact_id, mark.witness)
        return "" if mark.mark == "CLEAN" or len(path) < 2 else f"  from {self.graph.entry(path[-1]).path}"


def apply(
    graph: Graph, policy: Policy, artifacts: Sequence[str], *, data: bool, seal: Comparison | None = None
) -> Gate:
    """Audit a graph under a policy.

    Args:
        graph: of origins.
        policy: what fails, and what people know beyond manifests.
        artifacts: names of what is asked about; none: every model.
        data: data sets too.
        seal: a trusted root that holds, under which manifests are proven.

    Raises:
        InputError: no manifest knows anything of an artifact, or it is neither weights nor data; a hash of the policy
            names nothing; or no model is there.
    """
    judge = Judge(graph, policy, seal)
    only, unplaced, names = list[int](), list[Unplaced](), dict[int, str]()
    for name in artifacts:
        located = graph.locate(name)
        unplaced += located.unplaced
        names |= located.names
        for entry in located.entries:
            if entry.artifact_id in judge.audit.marks:
                only.append(entry.artifact_id)
            elif strange := _unmarked(graph, name, located.names.get(entry.artifact_id, name), entry):
                unplaced.append(strange)
    return judge.gate(list(dict.fromkeys(only)) if artifacts else None, unplaced, names, data=data)


class Judge:
    """A graph audited under a policy.

    Args:
        graph: of origins.
        policy: what fails, and what people know beyond manifests.
        seal: a trusted root that holds.
        related: groups of artifacts that start from the same weights, by evidence.

    Raises:
        InputError: a hash of the policy names nothing.
    """

    def __init__(
        self, graph: Graph, policy: Policy, seal: Comparison | None = None, related: Iterable[Iterable[int]] = ()
    ) -> None:
        self.graph, self.policy, self.seal = graph, policy, seal
        carriers = {_listed(graph, f"carriers[{i}]", c.sha256): c.trait for i, c in enumerate(policy.carriers)}
        matched = [[_listed(graph, f"matched[{i}]", sha) for sha in group] for i, group in enumerate(policy.matched)]
        self.accepted = {_listed(graph, f"accept[{i}]", a.sha256): a.reason for i, a in enumerate(policy.accept)}
        self.audit = audit(graph, carriers=carriers, matched=[*matched, *related])
        if seal:
            self.audit.prove(seal.sealed(graph.files()))

    def fails(self, artifact_id: int) -> bool:
        """Tell whether an artifact stops a release by one of its marks, or by what they rest on."""
        if artifact_id in self.accepted:
            return False
        if STANDINGS.index(self.audit.standing(artifact_id)) < STANDINGS.index(self.policy.standing):
            return True
        marks = self.audit.marks[artifact_id]
        failing = marks.kinds.intersection(self.policy.fail)
        if failing != {"EXPOSED"}:
            return bool(failing)
        return not all(self.passes(artifact_id, mark) for mark in marks if mark.mark == "EXPOSED")

    def passes(self, artifact_id: int, mark: Mark) -> bool:
        """Tell whether an artifact may be EXPOSED by what the policy calls harmless."""
        return NUMBERS in self.policy.harmless and self._exposure.by_numbers(artifact_id, mark.witness)

    @cached_property
    def _exposure(self) -> Exposure:
        return Exposure(self.graph, self.audit.jobs)

    def gate(
        self, only: list[int] | None, unplaced: list[Unplaced], names: dict[int, str], *, data: bool = False
    ) -> Gate:
        """The gate for chosen artifacts; for the arguments see `Gate`.

        Raises:
            InputError: no model is there.
        """
        chosen = list(self.audit.marks if data else self.audit.models) if only is None else only
        if not (chosen or unplaced):
            raise InputError("no manifest names a model, so nothing was audited; --data audits data sets")
        judged = self.audit.models | set(only or ())  # data never fail a release unless they were asked about
        failed = {a for a in chosen if a in judged and self.fails(a)}
        return Gate(self.graph, self.audit, only, chosen, failed, self.accepted, unplaced, names, self.seal)


def _listed(graph: Graph, key: str, sha: str) -> int:
    """The artifact that a policy names, by its hash alone: a file of that name is never looked at."""
    try:
        return graph.by_hash(sha).artifact_id
    except InputError as e:
        raise InputError(f"policy: {key}: {e}") from None


def _unmarked(graph: Graph, name: str, path: str, entry: Entry) -> Unplaced | None:
    """Why an artifact that was asked about has no mark; None for a file in a folder of data that is no data itself.

    Args:
        graph: of origins.
        name: what was asked about.
        path: the file that the artifact was found as.
        entry: the artifact.

    Raises:
        InputError: the file that was named is neither weights nor data.
    """
    if not graph.makers(entry.artifact_id):
        reason = "jobs have read it, but no manifest says where it comes from; `traitline register` it"
        return Unplaced(path, entry.sha256, reason)
    if not Path(name).is_dir():
        raise InputError(f"{name}: neither weights nor data; audit a model, or what it was trained on")
    if is_weights(path) or weight_sets(name):
        return Unplaced(path, entry.sha256, f"recorded as `{entry.role}`, not as weights")
    return None


def _unplaced_row(u: Unplaced) -> dict[str, Any]:
    """Row of `--json` for what no manifest places."""
    mark: dict[str, Any] = {"mark": "UNKNOWN", "trait": None, "path": []}
    return {
        **{"artifact": u.path, "sha256": u.sha256, "kind": "model", "mark": "UNKNOWN", "marks": [mark]},
        **{"fails": True, "accepted": None, "reason": u.reason},
    }
