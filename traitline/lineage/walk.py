"""The walk of the audit: what every artifact inherits, over all jobs of a graph from sources to products."""

import collections
from collections.abc import Mapping

from traitline.lineage.graph import Graph

NOTHING: frozenset[int] = frozenset()


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
        self.doubted: dict[int, str] = dict(db.execute("SELECT id, doubt FROM job WHERE doubt IS NOT NULL"))
        self.claimed = {i for (i,) in db.execute("SELECT id FROM job WHERE claim")}
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
        unknown: artifact -> an ancestor without origin, or of a manifest that is doubted.
        claimed: artifact -> an ancestor about which people say what it was made from.
        grounded: artifacts that some way leads to a source of.
    """

    def __init__(self, jobs: Jobs, traits: Mapping[int, str]) -> None:
        self.jobs, self.traits = jobs, traits
        self.exposed = dict[int, frozenset[int]]()
        self.chain = dict[int, frozenset[int]]()
        self.unknown = dict[int, int]()
        self.claimed = dict[int, int]()
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
        stated = job not in self.jobs.doubted and (bool(self.jobs.inputs.get(job)) or job in self.jobs.stated)
        claim = self._claim(job)
        changed = False
        for artifact_id in self.jobs.outputs.get(job, ()):
            origin = self.unknown.get(artifact_id, nameless if stated else artifact_id)
            changed = self._hand_on(artifact_id, carried, bases, origin) or changed
            if (claim is not None or job in self.jobs.claimed) and artifact_id not in self.claimed:
                self.claimed[artifact_id] = artifact_id if claim is None else claim
                changed = True
            if grounded and artifact_id not in self.grounded:
                self.grounded.add(artifact_id)
                changed = True
        return changed

    def _claim(self, job: int) -> int | None:
        """The first claim behind the inputs of a job."""
        claimed = self.claimed
        if not claimed:
            return None
        return next((claimed[a] for a, _ in self.jobs.inputs.get(job, ()) if a in claimed), None)

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
