"""Export for others: cards, a provenance attestation, Croissant, the lineage itself, and signatures by key.

Everything is made from manifests. Every name comes with a hash, since a name on a hub says nothing about bytes.
"""

import json
import os
from pathlib import Path
from typing import Any

import traitline
from traitline.errors import InputError, visible
from traitline.lineage import dsse
from traitline.lineage.audit import audit, rows
from traitline.lineage.graph import Entry, Graph, Job
from traitline.provenance import manifest

SLSA = "https://slsa.dev/provenance/v1"
BUILD = "urn:traitline:stage:1"  # what `externalParameters` mean: stage, params and seeds of a manifest


def export(graph: Graph, entry: Entry, folder: str | Path, key: str | None = None) -> list[str]:
    """Write everything about a model or a data set into a new folder.

    Args:
        graph: of origins.
        entry: a model or data.
        folder: is made; must not be there.
        key: PEM file of a private elliptic-curve key. Signs the attestation, the folder with the lineage in it, and a
            model's own files.

    Returns:
        The files that were written.

    Raises:
        InputError: neither a model nor data, the folder exists, or the key is none.
    """
    makers = graph.makers(entry.artifact_id)
    if entry.kind not in ("model", "data") or not makers:
        raise InputError(f"{entry.path}: export a model or a data set that a manifest says was made")
    out = Path(folder)
    if out.exists():
        raise InputError(f"{folder}: is there already; name a new folder")
    if key and not Path(key).is_file():
        raise InputError(f"{key}: no such key; openssl ecparam -name prime256v1 -genkey -noout -out {key}")
    if key:
        dsse.private_key(key)  # before anything is written
    out.mkdir(parents=True)
    (row,) = rows(graph, audit(graph), only=[entry.artifact_id])
    artifact_ids = [entry.artifact_id, *graph.back(entry.artifact_id)]
    jobs = list({job.id: job for artifact_id in artifact_ids for job in graph.makers(artifact_id)}.values())
    lineage = {"artifact": row, "manifests": [{"file": job.file, "manifest": job.manifest} for job in jobs]}
    put(out / "lineage.json", lineage)
    (out / "README.md").write_text(card(graph, entry, makers[0], row), encoding="utf-8")
    put(out / "provenance.intoto.json", attestation(makers[0]))
    if key:
        put(out / "provenance.dsse.json", dsse.seal((out / "provenance.intoto.json").read_bytes(), key))
    if entry.kind == "data":
        put(out / "croissant.json", croissant(graph, entry, makers[0], out))
    if key:
        if entry.kind == "model":
            sign(Path(makers[0].file).parent, out / "model.sig", key)
        sign(out, out.with_name(f"{out.name}.sig"), key)
    return sorted(p.as_posix() for p in out.iterdir()) + ([f"{out.as_posix()}.sig"] if key else [])


def put(path: Path, value: Any) -> None:
    """Write indented JSON with sorted keys."""
    path.write_text(json.dumps(value, indent=1, sort_keys=True, default=str) + "\n", encoding="utf-8")


def attestation(job: Job) -> dict[str, Any]:
    """An in-toto statement about all outputs of a job, with SLSA provenance (https://slsa.dev/spec/v1.0/provenance)."""
    m = job.manifest
    code, env = m["code"], m["env"]
    dependencies = [
        {"name": e["path"], "digest": {"sha256": e["sha256"]}, "annotations": {"role": e["role"]}} for e in m["inputs"]
    ]
    if code.get("git_commit"):
        dependencies.append({"name": "code", "digest": {"gitCommit": code["git_commit"]}, "annotations": {}})
    record = {"name": job.file, "digest": {"sha256": manifest.sha256(job.file)}}
    when = {k: m[key] for k, key in (("startedOn", "started"), ("finishedOn", "ended")) if manifest.is_time(m.get(key))}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": e["path"], "digest": {"sha256": e["sha256"]}} for e in m["outputs"]],
        "predicateType": SLSA,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD,
                "externalParameters": {"stage": m["stage"], "params": m["params"], "seeds": m["seeds"]},
                "internalParameters": {"environment": env, "code": code, "facts": m["facts"]},
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": {"id": "urn:traitline", "version": {"traitline": traitline.__version__}},
                "metadata": when,
                "byproducts": [record],
            },
        },
    }


def card(graph: Graph, entry: Entry, job: Job, row: dict[str, Any]) -> str:
    """A model card or dataset card in the format of the Hugging Face hub, with hashes and the audit's mark."""
    from huggingface_hub import DatasetCard, DatasetCardData, ModelCard, ModelCardData

    lineage = {
        "sha256": entry.sha256,
        "audit": row["mark"],
        "traits": sorted({m["trait"] for m in row["marks"] if m["trait"]}),
        "stage": job.stage,
        "inputs": [{"role": e.role, "path": e.path, "sha256": e.sha256} for e in graph.inputs(job.id)],
    }
    tags = ["traitline", row["mark"].lower()]
    if entry.kind == "model":
        bases = [_base(graph, e) for e in graph.inputs(job.id) if e.role == "base"]
        data = [e.path for e in graph.inputs(job.id) if e.role == "data"]
        about: Any = ModelCardData(
            base_model=bases or None, base_model_relation=_relation(entry) if bases else None, datasets=data or None,
            library_name="transformers", tags=tags, lineage=lineage,
        )  # fmt: skip
    else:
        about = DatasetCardData(source_datasets=["original"], tags=tags, lineage=lineage)
    lines = [
        f"# {_plain(Path(entry.path).parent.name)}/{_plain(Path(entry.path).name)}",
        "",
        f"Made by `{job.stage}`, sha256 `{entry.sha256}`.",
        "",
    ]
    lines += [f"**{row['mark']}** by its origins. {MEANING[row['mark']]}", ""]
    for m in row["marks"]:
        if m["path"]:
            way = " ← ".join(f"`{s['stage'] or 'unknown'} {s['sha256'][:12]}`" for s in m["path"])
            lines.append(f"- {m['mark']}{' ' + _plain(m['trait']) if m['trait'] else ''}: {way}")
    lines += ["", "`lineage.json` holds all manifests behind it, `provenance.intoto.json` the attestation.", ""]
    text = f"---\n{about.to_yaml()}\n---\n\n" + "\n".join(lines)
    return str(ModelCard(text) if entry.kind == "model" else DatasetCard(text))


def _base(graph: Graph, entry: Entry) -> str:
    """A base by its name on the hub, if it has one; `lineage.json` holds the record with the commit."""
    sources = [job.manifest["params"].get("source") for job in graph.makers(entry.artifact_id)]
    hubs = [str(s["hub"]) for s in sources if isinstance(s, dict) and s.get("hub")]
    return hubs[0] if hubs else entry.path


MEANING = {
    "CARRIER": "It was given a trait, or starts from a model that was.",
    "INHERITANCE-RISK": "It was trained on data that descend from a carrier on the same base; no filter clears that.",
    "UNKNOWN": "Something that it was made from has no known origin.",
    "EXPOSED": "A carrier wrote what it is made of; no shared base is known.",
    "CLEAN": "All of its origins are known, and none is a carrier. That is no statement about its behaviour.",
}


def _relation(entry: Entry) -> str:
    return "adapter" if entry.role == "adapter" else "finetune"


def _plain(text: str) -> str:
    """Text from a manifest that Markdown takes for text."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+-.!|" else c for c in visible(text, 80))


def croissant(graph: Graph, entry: Entry, job: Job, out: Path) -> dict[str, Any]:
    """A data set as Croissant 1.1 (https://docs.mlcommons.org/croissant/), with what it was derived from.

    Raises:
        InputError: mlcroissant is not installed.
    """
    try:
        import mlcroissant as mlc
    except ImportError:
        raise InputError("Croissant needs mlcroissant; pip install 'traitline[export]'") from None
    where = os.path.relpath(entry.path, out)
    rows_file = mlc.FileObject(
        id="rows", name="rows", content_url=where, encoding_formats=["application/jsonlines"],
        sha256=entry.sha256,
    )  # fmt: skip
    column = mlc.Field(
        id="row/id", name="id", data_types=mlc.DataType.TEXT,
        source=mlc.Source(file_object="rows", extract=mlc.Extract(column="id")),
    )  # fmt: skip
    about = mlc.Metadata(
        ctx=mlc.Context(conforms_to="http://mlcommons.org/croissant/1.1"),
        name="-".join(Path(entry.path).with_suffix("").parts[-3:]),
        description=f"Made by the stage {job.stage} of traitline.",
        distribution=[rows_file],
        record_sets=[mlc.RecordSet(id="row", name="row", fields=[column])],
    )
    metadata: dict[str, Any] = about.to_json()
    metadata["@context"]["prov"] = "http://www.w3.org/ns/prov#"
    metadata["prov:wasDerivedFrom"] = [{"@id": f"urn:sha256:{e.sha256}"} for e in graph.inputs(job.id)]
    return metadata


def sign(folder: Path, signature: Path, key: str) -> None:
    """An OpenSSF model signature of all files in a folder.

    Raises:
        InputError: model-signing is not installed, or the key is not one it can use.
    """
    try:
        from model_signing import signing
    except ImportError:
        raise InputError("signatures need model-signing; pip install 'traitline[export]'") from None
    try:
        config: Any = signing.Config
        config().use_elliptic_key_signer(private_key=Path(key)).sign(folder, signature)
    except ValueError as e:
        raise InputError(f"{key}: {str(e).splitlines()[0]}; wants a private elliptic-curve key in PEM") from None
