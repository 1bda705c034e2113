"""A scan: survey, contradictions and marks of some folders, for people and for programs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traitline.errors import InputError, visible
from traitline.lineage import display
from traitline.lineage.audit import rows
from traitline.lineage.gate import Gate, Judge
from traitline.lineage.kin import power
from traitline.lineage.marks import MARKS
from traitline.lineage.policy import Policy
from traitline.plurals import counted, percent
from traitline.scan.contradictions import Contradiction, contradictions
from traitline.scan.hashing import cache_folder
from traitline.scan.kin import kin
from traitline.scan.marks import ScanGraph, graph_of, related
from traitline.scan.survey import Survey, survey
from traitline.scan.tree import Item

SCHEMA = "traitline-scan/1"
SHARE = 3  # models with equal tensors that are named for each


@dataclass(frozen=True)
class Scan:
    """Answer of a scan.

    Attributes:
        folders: that were scanned.
        survey: what is in them.
        graph: of records and claims.
        gate: marks under a policy.
        contradictions: statements that cannot both be true.
        artifacts: label of an item -> its artifact in the graph.
    """

    folders: list[str]
    survey: Survey
    graph: ScanGraph
    gate: Gate
    contradictions: list[Contradiction]
    artifacts: dict[str, int]

    @property
    def counts(self) -> dict[str, int]:
        """Mark -> how many of what is judged (models, or else data) have it as their worst."""
        judged = [a for i in self.survey.items if (a := self.artifacts.get(i.label)) in (self.gate.only or ())]
        return {mark: sum(self.gate.audit.marks[a].worst == mark for a in judged if a) for mark in MARKS}

    @property
    def failures(self) -> int:
        """Count the models that stop a release, each place where one lies."""
        return sum(self.artifacts.get(i.label) in self.gate.failed for i in self.survey.items)

    @property
    def objects(self) -> bool:
        """Tell whether there is anything to object to; what was left out always is."""
        return bool(self.failures or self.contradictions or self.survey.tree.left_out)

    def standing(self, item: Item) -> str:
        """Standing of an item: `recorded` or `proven` by manifests, `claimed` by others, `unknown`."""
        if self.survey.standing(item) == "recorded":
            return self.gate.audit.standing(self.artifacts[item.label])
        return (
            "claimed" if self.survey.claims_of.get(item.label) or item.hub or self.survey.standing(item) else "unknown"
        )

    def evidence(self, item: Item) -> list[str]:
        """What the bytes say of an item beside others here."""
        tensors = self.survey.tensors.get(item.label)
        if tensors is None:
            return []
        others = [(other, label) for label, other in self.survey.tensors.items() if label != item.label]
        shares = sorted(((tensors.share(other), label) for other, label in others), reverse=True)
        equal = [label for other, label in others if other.identity == tensors.identity]
        tested = [
            (p, label) for pair, p in self.survey.kin.items() if item.label in pair for label in pair - {item.label}
        ]
        lines = [f"the same weights as {label}" for label in equal[:SHARE]]
        lines += [
            f"{percent(s)} of its bytes are tensors of {label}" for s, label in shares if s and label not in equal
        ][:SHARE]
        roles = {i.label: i.role for i in self.survey.items}
        started = "was trained on the start of" if item.role == "adapter" else "has one start with"
        tested = [(p, label) for p, label in tested if roles[label] == "model"]
        return lines + [f"{started} {label}, p <= {power(p)}" for p, label in sorted(tested)[:SHARE]]

    def as_json(self) -> dict[str, Any]:
        """The answer for programs, of the schema `traitline-scan/1`."""
        only = list(dict.fromkeys(self.artifacts.values()))
        by_sha = {row["sha256"]: row for row in rows(self.graph, self.gate.audit, only=only)}
        artifacts = []
        for item in self.survey.items:
            if item.label not in self.artifacts:
                continue
            artifact_id = self.artifacts[item.label]
            row = by_sha[self.graph.entry(artifact_id).sha256]
            artifacts.append(
                {
                    "path": item.label,
                    "kind": item.kind,
                    "role": item.role,
                    "sha256": {f.name: self.survey.hashes.sha256.get(f) for f in item.files},
                    "mark": row["mark"],
                    "marks": row["marks"],
                    "standing": self.standing(item),
                    "fails": artifact_id in self.gate.failed,
                    "accepted": self.gate.accepted.get(artifact_id),
                    "claims": [
                        {"relation": c.relation, "target": c.target, "revision": c.revision, "source": c.source}
                        for c in self.survey.claims_of.get(item.label, [])
                    ],
                    "evidence": self.evidence(item),
                }
            )
        return {
            "schema": SCHEMA,
            "folders": self.folders,
            "contradictions": [{"artifact": c.item, "says": c.says, "against": c.against} for c in self.contradictions],
            "artifacts": sorted(artifacts, key=lambda a: (MARKS.index(a["mark"]), a["path"])),
            "left_out": [{"path": path, "reason": reason} for path, reason in self.survey.tree.left_out],
            "counts": self.counts,
            "failed": self.failures,
        }

    def show(self, limit: int) -> None:
        """Print contradictions, then marks, the worst first, then what was left out."""
        out = display.console()
        for c in self.contradictions:
            out.print(f"CONTRADICTION  {visible(c.item)}: {visible(c.says)}; {visible(c.against)}", style="bold red")
        marks = self.gate.audit.marks
        items = [i for i in self.survey.items if i.label in self.artifacts]
        items.sort(key=lambda i: (marks[self.artifacts[i.label]][0].rank[:2], i.kind != "model", i.label))
        lines = []
        for item in items[:limit]:
            artifact_id = self.artifacts[item.label]
            worst = marks[artifact_id][0]
            more = f" (+{len(marks[artifact_id]) - 1})" if len(marks[artifact_id]) > 1 else ""
            said = list(dict.fromkeys(f"{c.relation} {c.named}" for c in self.survey.claims_of.get(item.label, [])))
            parts = [
                f"{visible(worst.trait):7} {visible(item.label)}  ({self.standing(item)})",
                *([f"claims {', '.join(map(visible, said[:SHARE]))}"] if said else []),
                *map(visible, self.evidence(item)[:1]),
                *(["accepted"] if artifact_id in self.gate.accepted else []),
            ]
            lines.append((worst.mark + more, "; ".join(parts)))
        display.marks(lines, out)
        if len(items) > limit:
            out.print(f"and {len(items) - limit} more; --limit or --json shows them")
        for path, reason in self.survey.tree.left_out:
            out.print(f"left out  {path}: {visible(reason)}")
        counts = ", ".join(f"{n} {mark}" for mark, n in self.counts.items() if n)
        out.print(
            f"{len(items)} models and data sets: {counts or 'none'};"
            f" {counted(len(self.contradictions), 'contradiction')},"
            f" {len(self.survey.tree.left_out)} left out, {self.failures} fail"
        )


def scan(folders: list[str], policy: Policy, *, cache: Path | None = None, test_kinship: bool = False) -> Scan:
    """Scan some folders under a policy.

    Args:
        folders: of models, adapters, data, the hub's cache.
        policy: what fails, and what people know.
        cache: folder in which hashes are remembered; by default below the user's cache.
        test_kinship: of every two models that share no tensor.

    Raises:
        InputError: a folder is none, nothing is in them, or a hash of the policy names nothing.
    """
    surveyed = survey(folders, cache or cache_folder())
    if not surveyed.items:
        raise InputError(f"{', '.join(map(visible, folders))}: neither weights nor data are there; name another folder")
    if test_kinship:
        surveyed.kin = kin(surveyed)
    graph = graph_of(surveyed)
    judge = Judge(graph, policy, related=related(surveyed, graph))
    artifacts = dict[str, int]()
    for item in surveyed.items:
        entry = next(filter(None, (graph.by_content(surveyed.hashes.sha256.get(f, "")) for f in item.files)), None)
        if entry is not None and entry.artifact_id in judge.audit.marks:
            artifacts[item.label] = entry.artifact_id
        elif not item.problem:
            surveyed.tree.leave_out(item.label, "it could not be hashed")
    placed = [item for item in surveyed.items if item.label in artifacts]
    asked = [item for item in placed if item.kind == "model"] or placed  # data alone are what was asked about
    gate = judge.gate(list(dict.fromkeys(artifacts[item.label] for item in asked)), [], {})
    return Scan(folders, surveyed, graph, gate, contradictions(surveyed), artifacts)
