"""Marks of what was scanned: records, claims and equal bytes as one graph, which the audit walks.

What no manifest knows is a source without an origin: UNKNOWN. A claim adds inputs, or an origin in words, and no more
than CLAIMED comes of it. So claims can raise a mark and never clear one.
"""

import hashlib
import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import traitline
from traitline.lineage import index
from traitline.lineage.claims import BASE, DATA, JUDGE, ROLES, TEACHER, TRAIT, Claim
from traitline.lineage.graph import Graph, Job
from traitline.lineage.index_rows import Part, Row
from traitline.provenance import manifest
from traitline.scan.contradictions import names_itself
from traitline.scan.survey import Survey
from traitline.scan.tree import Item

STAGE = "scan"
# Relation of a claim -> (role, kind) of the input that it adds.
INPUTS = {BASE: ("base", "model"), DATA: ("data", "data"), TEACHER: ("model", "model"), JUDGE: ("judge", "model")}


class ClaimJob(Job):
    """A job that no manifest has: what claims say, in the form of one."""

    stated: dict[str, Any]

    @property
    def manifest(self) -> dict[str, Any]:
        """What is claimed, as a manifest has it."""
        return self.stated


class ScanGraph(Graph):
    """The graph of a scan: jobs of manifests, and what is claimed."""

    def __init__(self, db: sqlite3.Connection, claimed: dict[int, dict[str, Any]]) -> None:
        super().__init__(db)
        self.claimed = claimed

    def job(self, i: int) -> Job:
        """A job by number."""
        job = super().job(i)
        if i in self.claimed and not isinstance(job, ClaimJob):
            job = ClaimJob(job.id, job.file, job.stage, job.trait, job.origin)
            object.__setattr__(job, "stated", self.claimed[i])
            self._jobs[i] = job
        return job


def stand_in(claim: Claim) -> str:
    """The hash that stands for something that is named and not here; its own where a claim names one."""
    return claim.sha256 or hashlib.sha256(f"claimed {claim.target.lower()}".encode()).hexdigest()


def graph_of(survey: Survey) -> ScanGraph:
    """The graph of a survey."""
    groups = _equal(survey)
    rows = [_joined(row, groups) for row in survey.records]
    claimed = dict[int, dict[str, Any]]()
    for row in _claimed(survey, groups):
        rows.append(row)
        claimed[len(rows)] = _as_manifest(row)
    db = sqlite3.connect(":memory:")
    index.fill(db, rows)
    return ScanGraph(db, claimed)


def _equal(survey: Survey) -> dict[str, str]:
    """sha256 of a file of weights -> name of the model that it belongs to; equal tensors are one model."""
    groups = dict[str, str]()
    for item in survey.items:
        if item.kind == "model":
            tensors = survey.tensors.get(item.label)
            known = tensors and not item.problem and any(not tensor.buffer for tensor in tensors.tensors)
            whole = f"tensors {tensors.identity}" if tensors and known else None
            for file in item.files:
                if sha := survey.hashes.sha256.get(file):
                    groups[sha] = whole or groups.get(sha) or f"files {item.label}"
    return groups


def _joined(row: Row, groups: dict[str, str]) -> Row:
    """A record whose model counts as the one that it equals."""
    names = {groups[sha] for output, _, kind, _, sha in row[9] if output and kind == "model" and sha in groups}
    return (*row[:4], min(names), *row[5:]) if len(names) == 1 else row


def _parts(survey: Survey, item: Item, output: int, role: str, kind: str) -> Iterator[Part]:
    for file in item.files:
        if sha := survey.hashes.sha256.get(file):
            yield output, role, kind, os.fspath(file), sha


def _claimed(survey: Survey, groups: dict[str, str]) -> Iterator[Row]:
    """Rows of what no job of ours recorded, and of what is named and not here."""
    absent = dict[str, tuple[Claim, str]]()
    for item in survey.items:
        copied = _copied(survey, item)
        if survey.standing(item) == "recorded" and not copied:
            continue
        claims = [c for c in survey.claims_of.get(item.label, []) if c.relation in ROLES]
        inputs = copied | dict.fromkeys(
            part for base in _beside(survey, item) for part in _parts(survey, base, 0, "base", "model")
        )
        for claim in claims:
            if names_itself(survey, item, claim):
                continue
            role, kind = INPUTS[claim.relation]
            here = [i for i in survey.resolved(claim)[0] if i != item]
            inputs |= dict.fromkeys(part for i in here for part in _parts(survey, i, 0, role, i.kind))
            if not here:
                sha = stand_in(claim)
                absent.setdefault(sha, (claim, kind))
                inputs[0, role, kind, claim.named, sha] = None
        trait = next((c.target for c in survey.claims_of.get(item.label, []) if c.relation == TRAIT), None)
        if survey.standing(item) == "claimed" and not inputs and not trait:
            continue
        outputs = list(_parts(survey, item, 1, item.role, item.kind))
        if outputs:
            origin = f"hub:{item.hub[0]}@{item.hub[1]}" if item.hub and len(item.hub[1]) == 40 else None
            weights = None if copied else groups.get(outputs[0][4])
            said = len(inputs) > len(copied) or bool(item.hub or trait or not copied)
            yield _row(item.label, origin, weights, item.problem, [*inputs, *outputs], trait, said=said)
    known = {sha for row in survey.records for output, *_, sha in row[9] if output}
    for sha, (claim, kind) in absent.items():
        if sha not in known:
            origin = f"named by {claim.source} as {claim.named}" if claim.is_hub else None
            yield _row(claim.source, origin, None, None, [(1, kind, kind, claim.named, sha)])


def _copied(survey: Survey, item: Item) -> dict[Part, None]:
    """The recorded models whose tensors an item has, in files that no manifest knows: it was made of them alone."""
    if survey.is_listed(item):
        return {}
    return dict.fromkeys(part for name in survey.names(item) for part in survey.known_models.get(name, ()))


def _beside(survey: Survey, item: Item) -> list[Item]:
    """The model in the folder of an adapter, which it is taken to start from."""
    if item.role != "adapter":
        return []
    return [i for i in survey.items if i.role == "model" and i.folder == item.folder]


def _row(
    file: str,
    origin: str | None,
    weights: str | None,
    doubt: str | None,
    parts: list[Part],
    trait: str | None = None,
    *,
    said: bool = True,
) -> Row:
    stated = hashlib.sha256(repr((file, parts)).encode()).hexdigest()
    return file, STAGE, trait, origin, weights, doubt, said, stated, [], parts


def _as_manifest(row: Row) -> dict[str, Any]:
    """A row as pages and exports want it."""
    entries: dict[int, list[dict[str, Any]]] = {0: [], 1: []}
    for output, role, _, path, sha in row[9]:
        entries[output].append({"role": role, "path": path, "sha256": sha, "bytes": 0})
    return {
        "schema": manifest.SCHEMA, "stage": STAGE, "inputs": entries[0], "outputs": entries[1], "params": {},
        "seeds": {}, "facts": {"claimed": row[0], **({"origin": row[3]} if row[3] else {})},
        "code": {"digest": f"traitline {traitline.__version__}"}, "env": {}, "started": None, "ended": None,
    }  # fmt: skip


def related(survey: Survey, graph: Graph) -> list[set[int]]:
    """Groups of artifacts that start from the same weights, by tensors in common and by tests of kinship."""
    of_model, holders = dict[str, set[int]](), defaultdict[str, set[int]](set)
    for item in survey.items:
        if tensors := survey.tensors.get(item.label):
            entries = (graph.by_content(survey.hashes.sha256.get(file, "")) for file in item.files)
            of_model[item.label] = {entry.artifact_id for entry in entries if entry}
            for sha in tensors.telling:
                holders[sha] |= of_model[item.label]
    pairs = [[of_model.get(label, set()) for label in pair] for pair in survey.kin]
    return [*of_model.values(), *holders.values(), *(one | other for one, other in pairs)]
