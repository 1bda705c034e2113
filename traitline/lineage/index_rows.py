"""A manifest as the index keeps it, and what manifests name of each other."""

import os
from collections.abc import Iterator, Sequence
from functools import partial

from traitline.lineage.links import DvcCache
from traitline.lineage.meaning import CLAIMANT, EMPTY, doubts, is_claim, kind, trait_given
from traitline.lineage.parallel import read_all
from traitline.provenance import manifest
from traitline.provenance import weights as weight_hashes
from traitline.provenance.statement import LINK, statement_in
from traitline.provenance.weight_sets import is_safe, is_weights

Part = tuple[int, str, str, str, str]  # (output, role, kind, path, sha256) of an entry
Link = tuple[str, str, str | None]  # (path, sha256, statement) of an input
# (file, stage, trait, origin, weights, why it is doubted, people say it, its statement, links, entries)
Row = tuple[str, str, str | None, str | None, str | None, str | None, bool, str, list[Link], list[Part]]


def read_row(file: str, cache: DvcCache | None = None) -> Row:
    """Read a manifest as the index keeps it: without empty files, all of which are alike.

    Args:
        file: the manifest.
        cache: that of the working folder, where many are read.

    Raises:
        InputError: see `manifest.load`.
    """
    content = manifest.read_bytes(file)
    m = manifest.parse(content, file)
    facts = m["facts"]
    entries: list[Part] = [
        (output, role := e["role"], kind(output, role, path := e["path"]), path, e["sha256"])
        for output, key in ((0, "inputs"), (1, "outputs"))
        for e in m[key]
        if e["sha256"] != EMPTY
    ]
    links: list[Link] = []
    if m["schema"] == manifest.SCHEMA:
        links = [(e["path"], e["sha256"], e.get(LINK)) for e in m["inputs"] if e["sha256"] != EMPTY]
    trait, origin, weights = (str(facts[k]) if facts.get(k) else None for k in ("trait", "origin", "weights"))
    reasons = doubts(m)
    models = {path: role for output, role, what, path, _ in entries if output and what == "model"}
    if len(set(models.values())) > 1:
        weights = None  # an adapter and a model: never one artifact, whatever an older manifest says
    elif models and not weights:
        weights, problem = _recomputed(file, list(models), cache or DvcCache())
        reasons += problem
    trait = trait or (trait_given(m) if m["stage"] == "teach" else None)
    doubt = reasons[0] if reasons else None
    return file, m["stage"], trait, origin, weights, doubt, is_claim(m), statement_in(content, m), links, entries


def _recomputed(file: str, models: list[str], cache: DvcCache) -> tuple[str | None, list[str]]:
    """(weights hash of models whose manifest states none, why it is doubted); their files lie beside the manifest."""
    if not all(map(is_safe, models)):
        return None, [] if all(map(is_weights, models)) else [f"it states no weights of {models[0]}"]
    folder, paths = os.path.dirname(file), list[str]()
    for path in models:
        paths.append(os.path.join(folder, path.rpartition("/")[2]))
        if not cache.is_artifact(paths[-1]):
            return None, [f"it states no weights of {path}, and that file is not beside it"]
    return weight_hashes.identity(paths), []


def read_rows(files: Sequence[str]) -> Iterator[Row]:
    """Read many manifests, by all processors where that pays."""
    return read_all(partial(read_row, cache=DvcCache()), files)


class Links:
    """Links between manifests: the same check as `chain.Chain`, by the numbers of jobs."""

    def __init__(self) -> None:
        self.vouched = set[bytes]()  # statement and sha256 of every output
        self.written = set[tuple[str, str]]()  # path and sha256 of every output of a job
        self.named: list[tuple[int, str, bytes]] = []  # (job, path, statement and sha256) of every input
        self.free: list[tuple[int, str, str]] = []  # (job, path, sha256) of inputs that name none

    def add(self, job: int, stage: str, stated: str, links: list[Link], parts: list[Part]) -> None:
        """Take up the row of one manifest."""
        for output, _, _, path, sha in parts:
            if output:
                self.vouched.add(bytes.fromhex(stated + sha))
                if stage != CLAIMANT:
                    self.written.add((path, sha))
        for path, sha, link in links:
            if link:
                self.named.append((job, path, bytes.fromhex(link + sha)))
            else:
                self.free.append((job, path, sha))

    def doubted(self) -> dict[int, str]:
        """Job -> why its manifest contradicts those of its inputs."""
        broken = {
            job: f"no manifest here states about {path} what it was built on"
            for job, path, key in self.named
            if key not in self.vouched
        }
        cut = "it does not name the manifest that vouches for {}"
        return broken | {job: cut.format(path) for job, path, sha in self.free if (path, sha) in self.written}
