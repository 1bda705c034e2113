"""The walk of the audit: what every artifact inherits, over all jobs of a graph from sources to products."""

import collections
from collections.abc import Mapping

from traitline.lineage.graph import Graph
from traitline.lineage.number_sets import NOTHING, NumberSet, union


class Jobs:
    """The graph as plain lists of numbers."""

    def __init__(self, graph: Graph) -> None:
        self.inputs = collections.defaultdict[int, list[tuple[int, bool]]](list)  # job -> (artifact, is base)
        self.outputs = collections.defaultdict[int, dict[int, None]](dict)  # job -> artifacts, in order
        self.makers = collections.defaultdict[int, list[int]](list)
        self.kinds = dict[int, str]()  # of what was output, or is known from its readers alone
        db = graph.db
        # A model folder that was converted starts from the file: bases of one file share it, noise or not.
        converts = {i for (i,) in db.execute("SELECT id FROM job WHERE stage = 'convert'")}
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
                is_base = role == "base" or (role == "source" and job in converts)
                self.inputs[job].append((artifact_id, is_base))
        self.readers = collections.defaultdict[int, list[int]](list)
        for job, read in self.inputs.items():
            for artifact_id in dict.fromkeys(artifact_id for artifact_id, _ in read):
                self.readers[artifact_id].append(job)
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
        waiting = dict[int, int]()
        for job in self.all:
            needed = {artifact_id for artifact_id, _ in self.inputs.get(job, ()) if artifact_id in self.makers}
            # A job that made again what it read (a copy) does not wait for itself.
            waiting[job] = sum(
                len(self.makers[artifact_id]) - (job in self.makers[artifact_id]) for artifact_id in needed
            )
        done = [job for job in self.all if not waiting[job]]
        for job in done:
            for artifact_id in self.outputs.get(job, ()):
                for reader in self.readers.get(artifact_id, ()):
                    if reader != job:
                        waiting[reader] -= 1
                        if not waiting[reader]:
                            done.append(reader)
        if len(done) == len(self.all):
            return done, set()
        late = [job for job in self.all if waiting[job]]
        return done + late, set(late)


Chain = tuple[NumberSet, NumberSet, NumberSet]  # carriers, roots and groups of a base chain


class Walk:
    """Inheritance of every artifact, computed by a walk over all jobs from sources to products.

    Attributes:
        exposed: artifact -> numbers of the carriers among it and its ancestors.
        line: artifact -> numbers of the carriers in its base chain.
        roots: artifact -> where its base chain begins. Two chains meet where roots are common: what two share, they
            share with all that it started from. In a circle nothing begins, so there every artifact is a root.
        groups: artifact -> groups of bases that match, of its base chain.
        unknown: artifact -> an ancestor without origin, or of a manifest that is doubted.
        claimed: artifact -> an ancestor about which people say what it was made from.
        grounded: artifacts that some way leads to a source of.
    """

    def __init__(self, jobs: Jobs, numbers: Mapping[int, int], matched: Mapping[int, int] | None = None) -> None:
        """Prepare a walk.

        Args:
            jobs: the graph.
            numbers: carrier -> its number.
            matched: base -> number of its group of bases that count as one.
        """
        self.jobs = jobs
        self._alone = {artifact_id: frozenset([n]) for artifact_id, n in numbers.items()}
        self._group = {artifact_id: frozenset([group]) for artifact_id, group in (matched or {}).items()}
        self._circle = set[int]()
        self.exposed = dict[int, NumberSet]()
        self.line = dict[int, NumberSet]()
        self.roots = dict[int, NumberSet]()
        self.groups = dict[int, NumberSet]()
        self.unknown = dict[int, int]()
        self.claimed = dict[int, int]()
        self.grounded = set[int]()

    def run(self) -> None:
        """Visit every job once, then those in circles until no visit changes anything."""
        order, late = self.jobs.ordered()
        self._circle = late
        for job in order:
            self._visit(job)
            outputs = self.jobs.outputs.get(job, {})
            if any(artifact_id in outputs for artifact_id, _ in self.jobs.inputs.get(job, ())):
                self._visit(job)  # what it made of what it made itself
        while late and any([self._visit(job) for job in order if job in late]):  # all of them, each round
            pass

    def _source(self, artifact_id: int) -> None:
        """Take up what no job output: a leaf, of unknown origin where no reader states one."""
        self.exposed[artifact_id] = self.line[artifact_id] = self._alone.get(artifact_id, NOTHING)
        self.roots[artifact_id] = frozenset([artifact_id])
        self.groups[artifact_id] = self._group.get(artifact_id, NOTHING)
        if artifact_id not in self.jobs.outside:
            self.unknown[artifact_id] = artifact_id
        self.grounded.add(artifact_id)

    def _visit(self, job: int) -> bool:
        """Hand on what the inputs of a job carry; returns whether that changed an output."""
        carried, base, nameless, grounded = self._inherited(job)
        stated = job not in self.jobs.doubted and (bool(self.jobs.inputs.get(job)) or job in self.jobs.stated)
        claim = self._claim(job)
        changed = False
        for artifact_id in self.jobs.outputs.get(job, ()):
            origin = self.unknown.get(artifact_id, nameless if stated else artifact_id)
            changed = self._hand_on(artifact_id, carried, base, origin, job in self._circle) or changed
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

    def _inherited(self, job: int) -> tuple[NumberSet, Chain, int | None, bool]:
        """(carriers, base chain, an ancestor without origin, whether all are grounded) of the inputs of a job."""
        carried, line, roots, groups, nameless, grounded = NOTHING, NOTHING, NOTHING, NOTHING, None, True
        for artifact_id, base in self.jobs.inputs.get(job, ()):
            if artifact_id not in self.jobs.makers and artifact_id not in self.exposed:
                self._source(artifact_id)
            carried = union(carried, self.exposed.get(artifact_id, NOTHING))
            if base and artifact_id in self.roots:
                line = union(line, self.line[artifact_id])
                roots = union(roots, self.roots[artifact_id])
                groups = union(groups, self.groups[artifact_id])
            if nameless is None:
                nameless = self.unknown.get(artifact_id)
            grounded = grounded and artifact_id in self.grounded
        return carried, (line, roots, groups), nameless, grounded

    def _hand_on(self, artifact_id: int, carried: NumberSet, base: Chain, origin: int | None, circle: bool) -> bool:
        """Add what was inherited to what an artifact has already; returns whether it is news."""
        line, roots, groups = base
        alone = self._alone.get(artifact_id, NOTHING)
        if circle or not roots:
            roots = union(roots, frozenset([artifact_id]))
        news = origin != self.unknown.get(artifact_id)
        for handed, sets in (
            (union(carried, alone), self.exposed),
            (union(line, alone), self.line),
            (roots, self.roots),
            (union(groups, self._group.get(artifact_id, NOTHING)), self.groups),
        ):
            before = sets.get(artifact_id)
            after = handed if before is None else union(before, handed)
            if before is None or after != before:
                sets[artifact_id] = after
                news = True
        if origin is not None:
            self.unknown[artifact_id] = origin
        return news
