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
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import islice
from typing import Any

from traitline.lineage import number_sets
from traitline.lineage.graph import Graph
from traitline.lineage.marks import MARKS, Mark, Marks
from traitline.lineage.number_sets import NOTHING, NumberSet
from traitline.lineage.parallel import uncollected
from traitline.lineage.same_commit import of_one_commit
from traitline.lineage.walk import Jobs, Walk

MOST_MARKS = 20  # of an artifact in a table for programs, the worst
LONGEST_PATH = 50  # artifacts of a path there; of a longer one the middle is left out
TREES = 32  # ways to witnesses that are kept


@dataclass
class Audit:
    """Marks of all models (and data) of a graph.

    Attributes:
        marks: artifact -> its marks.
        models: which of them are models; the others are data.
        proven: artifacts all of whose jobs are under a root that somebody trusts.
    """

    marks: dict[int, Marks] = field(default_factory=dict)
    models: set[int] = field(default_factory=set)
    proven: set[int] = field(default_factory=set)
    _jobs: "Jobs | None" = None
    _ways: dict[int, dict[int, int]] = field(default_factory=dict)  # end of paths -> artifact -> the next one

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
        marks = self.marks[artifact_id].kinds
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
        way, steps = [start], self._steps(end)
        while way[-1] != end:
            if way[-1] not in steps:
                return [start]
            way.append(steps[way[-1]])
        return way

    def _steps(self, end: int) -> dict[int, int]:
        """Artifact -> the next one on a shortest way back to an ancestor, of all that descend from it."""
        assert self._jobs is not None
        if end in self._ways:
            return self._ways[end]
        if len(self._ways) == TREES:
            self._ways.pop(next(iter(self._ways)))
        readers, outputs = self._jobs.readers, self._jobs.outputs
        steps, todo = {end: end}, collections.deque([end])
        while todo:
            at = todo.popleft()
            for job in readers.get(at, ()):
                for artifact_id in outputs.get(job, ()):
                    if artifact_id not in steps:
                        steps[artifact_id] = at
                        todo.append(artifact_id)
        self._ways[end] = steps
        return steps


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
    groups = united([*matched, *of_one_commit(graph)])
    traits = jobs.declared() | dict(carriers or {})
    ordered = sorted((trait, artifact_id) for artifact_id, trait in traits.items())
    walk = Walk(jobs, {artifact_id: n for n, (_, artifact_id) in enumerate(ordered)}, groups)
    walk.run()
    near = _Near(walk, [artifact_id for _, artifact_id in ordered])
    result = Audit(_jobs=jobs)
    for artifact_id, kind in jobs.kinds.items():
        if kind not in ("model", "data"):
            continue
        result.marks[artifact_id] = Marks(ordered, _parts(artifact_id, kind, walk, near))
        if kind == "model":
            result.models.add(artifact_id)
    return result


def united(groups: Iterable[Iterable[int]]) -> dict[int, int]:
    """Number each member's group. Groups with a member in common are one: what is alike to the same is alike."""
    above = dict[int, int]()

    def top(member: int) -> int:
        while (higher := above.setdefault(member, member)) != member:
            above[member] = member = above[higher]
        return member

    for group in groups:
        members = list(group)
        for member in members[1:]:
            above[top(member)] = top(members[0])
    numbers = dict[int, int]()
    return {member: numbers.setdefault(top(member), len(numbers)) for member in list(above)}


class _Near:
    """Carriers whose base chains meet that of an artifact."""

    def __init__(self, walk: Walk, carriers: Sequence[int]) -> None:
        self.walk = walk
        by_root, by_group = collections.defaultdict[int, list[int]](list), collections.defaultdict[int, list[int]](list)
        for n, artifact_id in enumerate(carriers):
            for root in number_sets.ascending(walk.roots.get(artifact_id, NOTHING)):
                by_root[root].append(n)
            for group in number_sets.ascending(walk.groups.get(artifact_id, NOTHING)):
                by_group[group].append(n)
        self.by_root = {root: number_sets.of(numbers) for root, numbers in by_root.items()}
        self.by_group = {group: number_sets.of(numbers) for group, numbers in by_group.items()}

    def of(self, artifact_id: int) -> NumberSet:
        """Their numbers."""
        near: NumberSet = NOTHING
        for root in number_sets.ascending(self.walk.roots[artifact_id]):
            near = number_sets.union(near, self.by_root.get(root, NOTHING))
        for group in number_sets.ascending(self.walk.groups[artifact_id]):
            near = number_sets.union(near, self.by_group.get(group, NOTHING))
        return near


def _parts(artifact_id: int, kind: str, walk: Walk, near: _Near) -> list[tuple[str, NumberSet | Mark]]:
    """Marks of an artifact as `Marks` keeps them."""
    exposed, parts = walk.exposed[artifact_id], list[tuple[str, NumberSet | Mark]]()
    if exposed and kind == "model":
        line, meeting = walk.line[artifact_id], number_sets.common(exposed, near.of(artifact_id))
        parts = [("CARRIER", line), ("INHERITANCE-RISK", number_sets.without(meeting, line))]
        exposed = number_sets.without(number_sets.without(exposed, meeting), line)
    if artifact_id in walk.unknown or artifact_id not in walk.grounded:
        parts.append(("UNKNOWN", Mark("UNKNOWN", "", walk.unknown.get(artifact_id, artifact_id))))
        parts.append(("EXPOSED", exposed))
    else:
        parts.append(("EXPOSED", exposed))
        if artifact_id in walk.claimed:
            parts.append(("CLAIMED", Mark("CLAIMED", "", walk.claimed[artifact_id])))
    return [part for part in parts if part[1]] or [("CLEAN", Mark("CLEAN", "", artifact_id))]


def rows(graph: Graph, result: Audit, *, data: bool = False, only: Iterable[int] | None = None) -> list[dict[str, Any]]:
    """Marks for people and programs: worst first, each with the path that proves it.

    Of an artifact with more than `MOST_MARKS` marks the worst are written out, and `more` counts the others.
    """
    chosen = result.marks if only is None else {k: result.marks[k] for k in only if k in result.marks}
    named = cache(partial(name, graph))
    entries, table = graph.entries(chosen), []
    for artifact_id, marks in chosen.items():
        if not data and only is None and artifact_id not in result.models:
            continue
        entry = entries[artifact_id]
        row = {
            "artifact": entry.path,
            "sha256": entry.sha256,
            "kind": entry.kind,
            "mark": marks.worst,
            "standing": result.standing(artifact_id),
            "more": max(0, len(marks) - MOST_MARKS),
            "marks": [
                {
                    "mark": m.mark,
                    "trait": m.trait or None,
                    "reason": result.reason(m),
                    "path": [] if m.mark == "CLEAN" else _names(result.path(artifact_id, m.witness), named),
                }
                for m in islice(marks, MOST_MARKS)
            ],
        }
        table.append(row)
    return sorted(table, key=lambda row: (MARKS.index(row["mark"]), row["artifact"]))


def _names(path: Sequence[int], named: Callable[[int], dict[str, str | None]]) -> list[dict[str, Any]]:
    """Names of the artifacts of a path; in the middle of a long one, how many are left out."""
    if len(path) <= LONGEST_PATH:
        return [named(artifact_id) for artifact_id in path]
    half = LONGEST_PATH // 2
    start, end = ([named(artifact_id) for artifact_id in part] for part in (path[:half], path[-half:]))
    return [*start, {"left_out": len(path) - 2 * half}, *end]


def name(graph: Graph, artifact_id: int) -> dict[str, str | None]:
    """Describe an artifact: its path, its hash, and the stage that made it."""
    entry, makers = graph.entry(artifact_id), graph.makers(artifact_id)
    return {"artifact": entry.path, "sha256": entry.sha256, "stage": makers[0].stage if makers else None}
