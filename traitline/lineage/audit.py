"""The audit: which models may carry a trait, by what they were made from. No score and no filter ever clears a mark.

For a model M, its base chain is M and all that its weights start from, through inputs of role `base`. T is a carrier:
a model or a persona that was given a trait, by its manifest or by the policy.

CARRIER           T is in M's base chain
INHERITANCE-RISK  T is among M's ancestors, and the base chains of M and T meet: the channel of the paper is open
UNKNOWN           an ancestor has no manifest, or a source states no origin, or origins run in a circle, or a manifest
                  contradicts itself, its stage or the manifests of its inputs. Of a file that the configuration
                  names, the job that reads it as `source` states the origin
EXPOSED           T is among M's ancestors, but no shared base is known. In open text a trait may cross bases
                  (`traitline.lineage.exposure`), and the next hop may come back to T's base
CLAIMED           no job of ours saw how an ancestor was made: it was registered, came from outside with an origin in
                  words, or has a manifest of an earlier version. What UNKNOWN is known to be is no claim
CLEAN             none of these

Data are never trained, so they cannot be at risk; EXPOSED says of data that a carrier wrote them, filtered or not.
Source: Cloud et al., arXiv 2507.14805, section 6 and theorem 1 (same initialisation) for the channel.
"""

import collections
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from traitline.lineage.graph import Graph
from traitline.lineage.index import uncollected
from traitline.lineage.walk import Jobs, Walk

MARKS = ("CARRIER", "INHERITANCE-RISK", "UNKNOWN", "EXPOSED", "CLAIMED", "CLEAN")  # worst first


@dataclass(frozen=True)
class Mark:
    """One thing to say about an artifact: what proves it is `witness`, a carrier or an ancestor of unknown origin."""

    mark: str
    trait: str
    witness: int

    @property
    def rank(self) -> tuple[int, str, int]:
        """Sort key that puts the worst mark first."""
        return MARKS.index(self.mark), self.trait, self.witness


@dataclass
class Audit:
    """Marks of all models (and data) of a graph.

    Attributes:
        marks: artifact -> its marks, worst first, never none.
        models: which of them are models; the others are data.
        proven: artifacts all of whose jobs are under a root that somebody trusts.
    """

    marks: dict[int, list[Mark]] = field(default_factory=dict)
    models: set[int] = field(default_factory=set)
    proven: set[int] = field(default_factory=set)
    _jobs: "Jobs | None" = None

    @property
    def jobs(self) -> Jobs:
        """The graph as plain lists."""
        assert self._jobs is not None
        return self._jobs

    def standing(self, artifact_id: int) -> str:
        """Standing of the marks of an artifact.

        `proven`: on manifests under a root that somebody trusts. `recorded`: on manifests of jobs, none of which
        contradicts another; whoever can write them could have written these. `claimed`: on what people say.
        `unknown`: on too little.
        """
        marks = {m.mark for m in self.marks[artifact_id]}
        if "UNKNOWN" in marks:
            return "unknown"
        if "CLAIMED" in marks:
            return "claimed"
        return "proven" if artifact_id in self.proven else "recorded"

    def prove(self, sealed: Collection[int]) -> None:
        """Take up which jobs have manifests under a trusted root: proven is what nobody else had a hand in."""
        assert self._jobs is not None
        order, circle = self._jobs.ordered()
        unproven = set[int]()
        for job in order:
            inputs = {artifact_id for artifact_id, _ in self._jobs.inputs.get(job, ())}
            known = all(a in self._jobs.makers and a not in unproven for a in inputs)
            if job not in sealed or job in circle or not known:
                unproven |= self._jobs.outputs.get(job, {}).keys()
        self.proven = self._jobs.makers.keys() - unproven

    def reason(self, mark: Mark) -> str | None:
        """Why the manifest behind the witness of UNKNOWN is doubted; None where there is none, or for other marks."""
        if mark.mark != "UNKNOWN" or self._jobs is None:
            return None
        doubted = self._jobs.doubted
        return next((doubted[job] for job in self._jobs.makers.get(mark.witness, ()) if job in doubted), None)

    def path(self, start: int, end: int) -> list[int]:
        """A shortest way from an artifact back to an ancestor, both ends included: what proves a mark."""
        assert self._jobs is not None
        came, todo = {start: start}, collections.deque([start])
        while todo and end not in came:
            at = todo.popleft()
            for job in self._jobs.makers.get(at, ()):
                for artifact_id, _ in self._jobs.inputs.get(job, ()):
                    if artifact_id not in came:
                        came[artifact_id] = at
                        todo.append(artifact_id)
        if end not in came:
            return [start]
        way = [end]
        while way[-1] != start:
            way.append(came[way[-1]])
        return way[::-1]


@uncollected()
def audit(graph: Graph, *, carriers: Mapping[int, str] | None = None, matched: Sequence[Iterable[int]] = ()) -> Audit:
    """Mark every model and every data set.

    Args:
        graph: of origins.
        carriers: artifact -> trait, beyond what manifests declare: what came to light afterwards.
        matched: groups of artifacts that behave alike and count as one base (paper: theorem 1 asks for the same
            initialisation; behavioural matches are a statement of whoever wrote the policy).
    """
    jobs = Jobs(graph)
    groups = {artifact_id: group for group, members in enumerate(matched) for artifact_id in members}
    traits = jobs.declared() | dict(carriers or {})
    walk = Walk(jobs, traits)
    walk.run()
    result = Audit(_jobs=jobs)
    mark = cache(Mark)  # many artifacts are marked alike
    for artifact_id, kind in jobs.kinds.items():
        if kind not in ("model", "data"):
            continue
        marks = [
            mark(_mark(artifact_id, other, kind, walk.chain, groups), traits[other], other)
            for other in walk.exposed[artifact_id]
        ]
        if artifact_id in walk.unknown or artifact_id not in walk.grounded:
            marks.append(mark("UNKNOWN", "", walk.unknown.get(artifact_id, artifact_id)))
        elif artifact_id in walk.claimed:
            marks.append(mark("CLAIMED", "", walk.claimed[artifact_id]))
        if len(marks) > 1:
            marks.sort(key=lambda m: m.rank)
        result.marks[artifact_id] = marks or [mark("CLEAN", "", artifact_id)]
        if kind == "model":
            result.models.add(artifact_id)
    return result


def _mark(
    artifact_id: int, carrier: int, kind: str, chain: Mapping[int, frozenset[int]], groups: Mapping[int, int]
) -> str:
    """The mark of an artifact with a carrier among its ancestors; `groups`: artifact -> group of bases that match."""
    line, other = chain[artifact_id], chain[carrier]
    if kind == "data":
        return "EXPOSED"
    if carrier in line:
        return "CARRIER"
    if line & other or (
        groups and {groups[k] for k in line if k in groups} & {groups[k] for k in other if k in groups}
    ):
        return "INHERITANCE-RISK"
    return "EXPOSED"


def rows(graph: Graph, result: Audit, *, data: bool = False, only: Iterable[int] | None = None) -> list[dict[str, Any]]:
    """Marks for people and programs: worst first, each with the path that proves it."""
    chosen = result.marks if only is None else {k: result.marks[k] for k in only if k in result.marks}
    table = []
    for artifact_id, marks in chosen.items():
        if not data and only is None and artifact_id not in result.models:
            continue
        entry = graph.entry(artifact_id)
        row = {
            "artifact": entry.path,
            "sha256": entry.sha256,
            "kind": entry.kind,
            "mark": marks[0].mark,
            "standing": result.standing(artifact_id),
            "marks": [
                {
                    "mark": m.mark,
                    "trait": m.trait or None,
                    "reason": result.reason(m),
                    "path": [] if m.mark == "CLEAN" else [name(graph, k) for k in result.path(artifact_id, m.witness)],
                }
                for m in marks
            ],
        }
        table.append(row)
    return sorted(table, key=lambda row: (MARKS.index(row["mark"]), row["artifact"]))


def name(graph: Graph, artifact_id: int) -> dict[str, str | None]:
    """Describe an artifact: its path, its hash, and the stage that made it."""
    entry, makers = graph.entry(artifact_id), graph.makers(artifact_id)
    return {"artifact": entry.path, "sha256": entry.sha256, "stage": makers[0].stage if makers else None}
