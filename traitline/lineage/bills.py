"""Bills of materials and lineage events for others: CycloneDX (ML-BOM), SPDX 3 (AI and Dataset profiles), OpenLineage.

All three say of an artifact and its ancestors what manifests say: names, hashes, what was made from what. Formats:
https://cyclonedx.org/docs/1.6/json/, https://spdx.github.io/spdx-spec/v3.0.1/, https://openlineage.io/spec/2-0-2/
"""

import uuid
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import traitline
from traitline.errors import visible
from traitline.lineage.graph import Entry, Graph, Job
from traitline.provenance import manifest

PRODUCER = "urn:traitline"
SPDX = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
OPENLINEAGE = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
VERSION_FACET = (
    "https://openlineage.io/spec/facets/1-0-1/DatasetVersionDatasetFacet.json#/$defs/DatasetVersionDatasetFacet"
)
EPOCH = "1970-01-01T00:00:00Z"  # where a manifest holds no time
LEARNED = ("model", "data", "spec")


def _name(entry: Entry) -> str:
    path = PurePath(entry.path)
    return visible("/".join(path.parts[-3:]), 200)


def _parents(graph: Graph, artifact_id: int) -> list[Entry]:
    """Models and data that an artifact was made from, each once."""
    read = {e.artifact_id for job in graph.makers(artifact_id) for e in graph.inputs(job.id)} - {artifact_id}
    return [e for e in map(graph.entry, sorted(read)) if e.kind in LEARNED]


def family(graph: Graph, entry: Entry) -> list[Entry]:
    """An artifact and its ancestors that are models or data, nearest first."""
    ancestors = [graph.entry(a) for a in graph.back(entry.artifact_id)]
    return [entry, *(e for e in ancestors if e.kind in LEARNED)]


def _time(job: Job) -> str:
    """When a job ended, in seconds of UTC."""
    ended = job.manifest.get("ended")
    return f"{str(ended)[:19]}Z" if manifest.is_time(ended) else EPOCH


def cyclonedx(graph: Graph, entry: Entry, job: Job, mark: str) -> dict[str, Any]:
    """A CycloneDX 1.6 bill of an artifact: a component for each ancestor, with its pedigree and data."""
    members = family(graph, entry)

    def component(e: Entry) -> dict[str, Any]:
        parents = _parents(graph, e.artifact_id)
        about: dict[str, Any] = {
            "type": "data" if e.kind == "data" else "machine-learning-model",
            "bom-ref": f"sha256:{e.sha256}",
            "name": _name(e),
            "hashes": [{"alg": "SHA-256", "content": e.sha256}],
        }
        if e.kind == "data":
            about["data"] = [{"type": "dataset", "name": _name(e)}]
            return about
        bases = [p for p in parents if p.kind != "data"]
        if bases:
            known = [{"type": "machine-learning-model", "name": _name(p),
                      "hashes": [{"alg": "SHA-256", "content": p.sha256}]} for p in bases]  # fmt: skip
            about["pedigree"] = {"ancestors": known}
        if data := [{"ref": f"sha256:{p.sha256}"} for p in parents if p.kind == "data"]:
            about["modelCard"] = {"modelParameters": {"datasets": data}}
        return about

    subject = component(entry) | {"properties": [{"name": "traitline:mark", "value": mark}]}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, entry.sha256)}",
        "version": 1,
        "metadata": {
            "timestamp": _time(job),
            "tools": {"components": [{"type": "application", "name": "traitline", "version": traitline.__version__}]},
            "component": subject,
        },
        "components": [component(e) for e in members[1:]],
        "dependencies": [
            {
                "ref": f"sha256:{e.sha256}",
                "dependsOn": sorted({f"sha256:{p.sha256}" for p in _parents(graph, e.artifact_id)}),
            }
            for e in members
        ],
    }


def spdx(graph: Graph, entry: Entry, job: Job, mark: str) -> dict[str, Any]:
    """An SPDX 3.0.1 document: models as AI packages, data as data sets, and how they are related."""

    def identifier(kind: str, name: str) -> str:
        return f"urn:traitline:{kind}:{name}"

    maker, created = identifier("agent", "traitline"), "_:creation"
    members = family(graph, entry)
    elements: list[dict[str, Any]] = []
    for e in members:
        elements.append(
            {
                "type": "dataset_DatasetPackage" if e.kind == "data" else "ai_AIPackage",
                "spdxId": identifier("sha256", e.sha256),
                "creationInfo": created,
                "name": _name(e),
                "verifiedUsing": [{"type": "Hash", "algorithm": "sha256", "hashValue": e.sha256}],
                "software_primaryPurpose": "data" if e.kind == "data" else "model",
                "software_packageVersion": e.sha256[:12],
                **({"dataset_datasetType": ["text"]} if e.kind == "data" else {}),
            }
        )
    known = {e.artifact_id for e in members}
    for e in members:
        for parent in _parents(graph, e.artifact_id):
            if parent.artifact_id in known:
                trained = e.kind != "data" and parent.kind == "data"
                elements.append(
                    {
                        "type": "Relationship",
                        "spdxId": identifier("relationship", f"{e.sha256}:{parent.sha256}"),
                        "creationInfo": created,
                        "from": identifier("sha256", e.sha256),
                        "relationshipType": "trainedOn" if trained else "descendantOf",
                        "to": [identifier("sha256", parent.sha256)],
                    }
                )
    head = [
        {"type": "CreationInfo", "@id": created, "specVersion": "3.0.1", "created": _time(job), "createdBy": [maker]},
        {"type": "SoftwareAgent", "spdxId": maker, "creationInfo": created, "name": "traitline"},
        {
            "type": "SpdxDocument",
            "spdxId": identifier("document", entry.sha256),
            "creationInfo": created,
            "comment": f"mark of traitline: {mark}",
            "profileConformance": ["core", "software", "ai", "dataset"],
            "rootElement": [identifier("sha256", entry.sha256)],
        },
    ]
    return {"@context": SPDX, "@graph": [*head, *elements]}


def openlineage(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """One OpenLineage event for each job, complete: what it read and wrote, known by hashes."""

    def dataset(e: dict[str, Any]) -> dict[str, Any]:
        facet = {"_producer": PRODUCER, "_schemaURL": VERSION_FACET, "datasetVersion": e["sha256"]}
        return {"namespace": "file", "name": visible(e["path"], 400), "facets": {"version": facet}}

    return [
        {
            "eventTime": _time(job),
            "eventType": "COMPLETE",
            "producer": PRODUCER,
            "schemaURL": OPENLINEAGE,
            "run": {"runId": str(uuid.uuid5(uuid.NAMESPACE_URL, job.file)), "facets": {}},
            "job": {"namespace": "traitline", "name": visible(job.stage, 100), "facets": {}},
            "inputs": [dataset(e) for e in job.manifest["inputs"]],
            "outputs": [dataset(e) for e in job.manifest["outputs"]],
        }
        for job in jobs
    ]


def authors(graph: Graph, entry: Entry) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """(who wrote the data behind an artifact, who chose among them): hashes, and names where the hub has one."""
    wrote, chose = dict[int, Entry](), dict[int, Entry]()
    for artifact_id in [entry.artifact_id, *graph.back(entry.artifact_id)]:
        for job in graph.makers(artifact_id):
            for e in graph.inputs(job.id):
                if e.role == "judge":
                    chose[e.artifact_id] = e
                elif e.role == "model" and e.kind in ("model", "spec") and job.stage in ("sample", "register"):
                    wrote[e.artifact_id] = e

    def named(e: Entry) -> dict[str, str]:
        origins = [str(job.origin) for job in graph.makers(e.artifact_id) if str(job.origin).startswith("hub:")]
        hub = {"model": origins[0].removeprefix("hub:").partition("@")[0]} if origins else {}
        return {"sha256": e.sha256, **hub}

    return [named(e) for e in wrote.values()], [named(e) for e in chose.values()]


def card_fields(graph: Graph, entry: Entry) -> dict[str, list[dict[str, str]]]:
    """The fields `distilled_from` and `selected_by` of a card (`traitline.lineage.cards`), where one can be named."""
    wrote, chose = authors(graph, entry)
    return {**({"distilled_from": wrote} if wrote else {}), **({"selected_by": chose} if chose else {})}
