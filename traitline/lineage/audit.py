"""The audit: which models may carry a trait, by what they were made from. No score and no filter ever clears a mark.

For a model M, its base chain is M and all that its weights start from, through inputs of role `base`. T is a carrier:
a model or a persona that was given a trait, by its manifest or by the policy.

CARRIER           T is in M's base chain
INHERITANCE-RISK  T is among M's ancestors, and the base chains of M and T meet: the channel of the paper is open
UNKNOWN           an ancestor has no manifest, or a source states no origin, or origins run in a circle. Of a file
                  that the configuration names, the job that reads it as `source` states the origin
EXPOSED           T is among M's ancestors, but no shared base is known; the next hop may come back to T's base
CLEAN             none of these

Data are never trained, so they cannot be at risk; EXPOSED says of data that a carrier wrote them, filtered or not.
Source: Cloud et al., arXiv 2507.14805, section 6 and theorem 1 (same initialisation) for the channel.
"""

import collections
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from traitline.lineage.graph import Graph
from traitline.lineage.index import uncollected

MARKS = ("CARRIER", "INHERITANCE-RISK", "UNKNOWN", "EXPOSED", "CLEAN")  # worst first
NOTHING: frozenset[int] = frozenset()


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
    """

    marks: dict[int, list[Mark]] = field(default_factory=dict)
    models: set[int] = field(default_factory=set)
    _jobs: "Jobs | None" = None

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


class Jobs:
    """The graph as plain lists of numbers."""

    def __init__(self, graph: Graph) -> None:
        self.inputs = collections.defaultdict[int, list[tuple[int, bool]]](list)  # job -> (artifact, is base)
        self.outputs = collections.defaultdict[int, dict[int, None]](dict)  # job -> artifacts, in order
        self.makers = collections.defaultdict[int, list[int]](list)
        self.kinds = dict[int, str]()  # of what was output, or is known from its readers alone
        db = graph.db
        for job, output, role, kind, artifact_id in db.execute(
            "SELECT job, output, role, kind, artifact_id FROM entry WHERE output = 1 OR kind != 'support'"
        ):
            if output:
                if artifact_id not in self.outputs[job]:  # shards of one model are one artifact
                    self.outputs[job][artifact_id] = None
                    self.makers[artifact_id].append(job)
                if kind in ("model", "data", "spec"):
                    self.kinds[artifact_id] = kind
            else:
                self.inputs[job].append((artifact_id, role == "base"))
        self.traits: dict[int, str] = dict(db.execute("SELECT id, trait FROM job WHERE trait IS NOT NULL"))
        self.stated = {i for (i,) in db.execute("SELECT id FROM job WHERE origin IS NOT NULL")}
        self.outside = {  # files of which a job that read them states an origin
            artifact_id for (artifact_id,) in db.execute(
                "SELECT artifact_id FROM entry JOIN job ON job.id = entry.job"
                " WHERE output = 0 AND role = 'source' AND origin IS NOT NULL"
            )
        }  # fmt: skip
        self.all = [i for (i,) in db.execute("SELECT id FROM job ORDER BY id")]

    def declared(self) -> dict[int, str]:
        """Artifact -> the trait that its manifest says it was given: of a job's models, or else of all it made."""
        traits = dict[int, str]()
        for job, trait in self.traits.items():
            outputs = self.outputs.get(job, {})
            models = [artifact_id for artifact_id in outputs if self.kinds.get(artifact_id) == "model"]
            traits |= dict.fromkeys(models or outputs, trait)
        return traits

    def ordered(self) -> tuple[list[int], set[int]]:
        """Sort jobs so that makers come before users; returns (jobs, those in or behind a circle)."""
        waiting, readers = dict[int, int](), collections.defaultdict[int, list[int]](list)
        for job in self.all:
            needed = {artifact_id for artifact_id, _ in self.inputs.get(job, ()) if artifact_id in self.makers}
            # A job that made again what it read (a copy) does not wait for itself.
            waiting[job] = sum(
                len(self.makers[artifact_id]) - (job in self.makers[artifact_id]) for artifact_id in needed
            )
            for artifact_id in needed:
                readers[artifact_id].append(job)
        done = [job for job in self.all if not waiting[job]]
        for job in done:
            for artifact_id in self.outputs.get(job, ()):
                for reader in readers.get(artifact_id, ()):
                    if reader != job:
                        waiting[reader] -= 1
                        if not waiting[reader]:
                            done.append(reader)
        if len(done) == len(self.all):
            return done, set()
        late = [job for job in self.all if waiting[job]]
        return done + late, set(late)


class Walk:
    """Inheritance of every artifact, computed by a walk over all jobs from sources to products.

    Attributes:
        exposed: artifact -> carriers among it and its ancestors.
        chain: artifact -> its base chain.
        unknown: artifact -> an ancestor without origin.
        grounded: artifacts that some way leads to a source of.
    """

    def __init__(self, jobs: Jobs, traits: Mapping[int, str]) -> None:
        self.jobs, self.traits = jobs, traits
        self.exposed = dict[int, frozenset[int]]()
        self.chain = dict[int, frozenset[int]]()
        self.unknown = dict[int, int]()
        self.grounded = set[int]()

    def run(self) -> None:
        """Visit every job once, then those in circles until no visit changes anything."""
        order, late = self.jobs.ordered()
        for job in order:
            self._visit(job)
        while late and any([self._visit(job) for job in order if job in late]):  # all of them, each round
            pass

    def _source(self, artifact_id: int) -> None:
        """Take up what no job output: a leaf, of unknown origin where no reader states one."""
        self.exposed[artifact_id] = frozenset([artifact_id]) if artifact_id in self.traits else NOTHING
        self.chain[artifact_id] = frozenset([artifact_id])
        if artifact_id not in self.jobs.outside:
            self.unknown[artifact_id] = artifact_id
        self.grounded.add(artifact_id)

    def _visit(self, job: int) -> bool:
        """Hand on what the inputs of a job carry; returns whether that changed an output."""
        carried, bases, nameless, grounded = self._inherited(job)
        stated = bool(self.jobs.inputs.get(job)) or job in self.jobs.stated
        changed = False
        for artifact_id in self.jobs.outputs.get(job, ()):
            origin = self.unknown.get(artifact_id, nameless if stated else artifact_id)
            changed = self._hand_on(artifact_id, carried, bases, origin) or changed
            if grounded and artifact_id not in self.grounded:
                self.grounded.add(artifact_id)
                changed = True
        return changed

    def _inherited(self, job: int) -> tuple[frozenset[int], frozenset[int], int | None, bool]:
        """(carriers, base chain, an ancestor without origin, whether all are grounded) of the inputs of a job."""
        carried, bases, nameless, grounded = NOTHING, NOTHING, None, True
        for artifact_id, base in self.jobs.inputs.get(job, ()):
            if artifact_id not in self.jobs.makers and artifact_id not in self.chain:
                self._source(artifact_id)
            if carriers := self.exposed.get(artifact_id):
                carried = carried | carriers if carried else carriers
            if base and (above := self.chain.get(artifact_id)):
                bases = bases | above if bases else above
            if nameless is None:
                nameless = self.unknown.get(artifact_id)
            grounded = grounded and artifact_id in self.grounded
        return carried, bases, nameless, grounded

    def _hand_on(self, artifact_id: int, carried: frozenset[int], bases: frozenset[int], origin: int | None) -> bool:
        """Add what was inherited to what an artifact has already; returns whether it is news."""
        exposed = carried | {artifact_id} if artifact_id in self.traits else carried
        chain = bases | {artifact_id}
        first = artifact_id not in self.chain
        if not first:
            exposed, chain = exposed | self.exposed[artifact_id], chain | self.chain[artifact_id]
        news = (
            first
            or exposed != self.exposed[artifact_id]
            or chain != self.chain[artifact_id]
            or origin != self.unknown.get(artifact_id)
        )
        self.exposed[artifact_id] = exposed
        self.chain[artifact_id] = chain
        if origin is not None:
            self.unknown[artifact_id] = origin
        return news


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
            "marks": [
                {
                    "mark": m.mark,
                    "trait": m.trait or None,
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
