"""Export for others: cards, a provenance attestation, Croissant, the lineage itself, and signatures by key.

Everything is made from manifests. Every name comes with a hash, since a name on a hub says nothing about bytes.
"""

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import traitline
from traitline.errors import InputError, visible
from traitline.lineage import bills, dsse, hub_files
from traitline.lineage.audit import audit, rows
from traitline.lineage.graph import Entry, Graph, Job
from traitline.lineage.marks import MEANINGS
from traitline.lineage.register import HUB
from traitline.plurals import counted
from traitline.provenance import manifest
from traitline.provenance.stage import MODELS

SLSA = "https://slsa.dev/provenance/v1"
BUILD = "urn:traitline:stage:1"  # what `externalParameters` mean: stage, params and seeds of a manifest


def export(
    graph: Graph,
    entry: Entry,
    folder: str | Path,
    key: str | None = None,
    *,
    named: str | None = None,
    files: bool = False,
    licence: str | None = None,
) -> list[str]:
    """Write everything about a model or a data set into a new folder, or nothing at all.

    Args:
        graph: of origins.
        entry: a model or data.
        folder: is made; must not be there.
        key: PEM file of a private elliptic-curve key. Signs the attestation, the folder with the lineage in it, and a
            model's own files.
        named: how the artifact was named; where that is a file or folder, the manifest beside it describes it.
        files: put the artifact's own files there too, so that the folder can be uploaded as it is.
        licence: for the card, as the hub spells it, such as `apache-2.0`.

    Returns:
        The files that were written.

    Raises:
        InputError: neither a model nor data, several manifests may describe it, the folder exists, the key or the
            licence is none, a file of it is not as recorded, or a library is missing.
    """
    entry, job = described_by(graph, entry, named or entry.path)
    out = Path(folder)
    signature = out.with_name(f"{out.name}.sig")
    if taken := next((place for place in (out, signature) if os.path.lexists(place)), None):
        raise InputError(f"{taken}: is there already; name a new folder")
    if key and not Path(key).is_file():
        raise InputError(f"{key}: no such key; openssl ecparam -name prime256v1 -genkey -noout -out {key}")
    hub_files.require_licence(licence)
    if key:
        dsse.private_key(key)  # before anything is written
    out.mkdir(parents=True)
    with contextlib.ExitStack() as unfinished:
        unfinished.callback(signature.unlink, missing_ok=True)
        unfinished.callback(shutil.rmtree, out, ignore_errors=True)
        if files:
            hub_files.put_files(entry, job, out)
        _fill(graph, entry, job, out, key, licence)
        if key:
            sign(out, signature, key)
        unfinished.pop_all()
    return sorted(p.as_posix() for p in out.iterdir()) + ([signature.as_posix()] if key else [])


def _fill(graph: Graph, entry: Entry, job: Job, out: Path, key: str | None, licence: str | None) -> None:
    """Write the files of an export."""
    (row,) = rows(graph, audit(graph), only=[entry.artifact_id])
    artifact_ids = [entry.artifact_id, *graph.back(entry.artifact_id)]
    jobs = list({j.id: j for artifact_id in artifact_ids for j in graph.makers(artifact_id)}.values())
    lineage = {"artifact": row, "manifests": [{"file": j.file, "manifest": j.manifest} for j in jobs]}
    put(out / "lineage.json", lineage)
    (out / "README.md").write_text(card(graph, entry, job, row, licence), encoding="utf-8")
    put(out / "provenance.intoto.json", attestation(job))
    put(out / "cyclonedx.json", bills.cyclonedx(graph, entry, job, row["mark"]))
    put(out / "spdx.json", bills.spdx(graph, entry, job, row["mark"]))
    put(out / "openlineage.json", bills.openlineage(jobs))
    if key:
        put(out / "provenance.dsse.json", dsse.seal((out / "provenance.intoto.json").read_bytes(), key))
    if entry.kind == "data":
        put(out / "croissant.json", croissant(graph, entry, job, out))
    if key and entry.kind == "model":
        sign(Path(job.file).parent, out / "model.sig", key)


def described_by(graph: Graph, entry: Entry, named: str) -> tuple[Entry, Job]:
    """The job whose manifest describes an artifact, and the artifact as it calls it.

    Others may have made, or claim, the same bytes. What counts is the manifest that lies beside the file that was named
    and has it as a model or as data.

    Raises:
        InputError: no manifest, or several, may be meant.
    """
    makers = [
        (output, job)
        for job in graph.makers(entry.artifact_id)
        for output in graph.outputs(job.id)
        if output.artifact_id == entry.artifact_id and (output.kind == "data" or output.role in MODELS)
    ]
    place = os.path.realpath(named)
    files = [os.path.join(os.path.realpath(Path(job.file).parent), Path(output.path).name) for output, job in makers]
    beside = [m for m, file in zip(makers, files, strict=True) if place in (file, os.path.dirname(file))]
    jobs = {job.id: (output, job) for output, job in reversed(beside or makers)}
    if not jobs:
        raise InputError(f"{entry.path}: export a model or a data set that a manifest says was made")
    if len(jobs) > 1:
        names = ", ".join(sorted(job.file for _, job in jobs.values())[:3])
        which = (
            "name the file beside the one that is meant" if not beside else "only one may lie beside what is exported"
        )
        raise InputError(f"{named}: {counted(len(jobs), 'manifest')} say that they made it ({names}); {which}")
    return next(iter(jobs.values()))


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


def card(graph: Graph, entry: Entry, job: Job, row: dict[str, Any], licence: str | None = None) -> str:
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
    more: Any = bills.card_fields(graph, entry) | ({"license": licence} if licence else {})
    if entry.kind == "model":
        bases, data = (_hub_names(graph, job, role) for role in ("base", "data"))
        started = any(e.role == "base" for e in graph.inputs(job.id))
        results = hub_files.measured(graph, entry, lineage["traits"])
        more |= {"model_name": Path(entry.path).parent.name, "eval_results": results} if results else {}
        about: Any = ModelCardData(
            base_model=bases or None, base_model_relation=_relation(entry) if started else None, datasets=data or None,
            library_name="peft" if entry.role == "adapter" else "transformers", tags=tags, lineage=lineage, **more,
        )  # fmt: skip
    else:
        about = DatasetCardData(source_datasets=["original"], tags=tags, lineage=lineage, **more)
    lines = [
        f"# {_plain(Path(entry.path).parent.name)}/{_plain(Path(entry.path).name)}",
        "",
        f"Made by `{_code(job.stage)}`, sha256 `{entry.sha256}`.",
        "",
    ]
    lines += [f"**{row['mark']}** by its origins. {MEANINGS[row['mark']]}", ""]
    for m in row["marks"]:
        if m["path"]:
            m["path"][0]["stage"] = job.stage
            way = " ← ".join(f"`{_code(s['stage'] or 'unknown')} {s['sha256'][:12]}`" for s in m["path"])
            lines.append(f"- {m['mark']}{' ' + _plain(m['trait']) if m['trait'] else ''}: {way}")
    lines += ["", "`lineage.json` holds all manifests behind it, `provenance.intoto.json` the attestation.", ""]
    text = f"---\n{about.to_yaml()}\n---\n\n" + "\n".join(lines)
    return str(ModelCard(text) if entry.kind == "model" else DatasetCard(text))


def _hub_names(graph: Graph, job: Job, role: str) -> list[str]:
    """List the inputs of a job under a role, by the names that the hub knows; what is only here has none."""
    names = dict[str, None]()
    for entry in graph.inputs(job.id):
        if entry.role == role:
            for maker in graph.makers(entry.artifact_id):
                m = maker.manifest
                source = m["params"].get("source")
                hub = (source if isinstance(source, dict) else m["facts"]).get("hub")
                if isinstance(hub, str) and HUB.fullmatch(hub):
                    names[hub] = None
    return list(names)


def _relation(entry: Entry) -> str:
    return "adapter" if entry.role == "adapter" else "finetune"


def _plain(text: str) -> str:
    """Text from a manifest that Markdown takes for text."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+-.!|" else c for c in visible(text, 80))


def _code(text: str) -> str:
    """Text from a manifest that stays within the backticks around it."""

    return visible(text, 80).replace("`", "'")


def croissant(graph: Graph, entry: Entry, job: Job, out: Path) -> dict[str, Any]:
    """A data set as Croissant 1.1 (https://docs.mlcommons.org/croissant/), with what it was derived from.

    Raises:
        InputError: mlcroissant is not installed.
    """
    try:
        import mlcroissant as mlc
    except ImportError:
        raise InputError("Croissant needs mlcroissant; pip install 'traitline[export]'") from None
    name = Path(entry.path).name
    where = name if (out / name).exists() else os.path.relpath(entry.path, out)
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
        InputError: model-signing is not installed, the key is not one it can use, or the folder holds what is no file.
    """
    try:
        from model_signing import signing
    except ImportError:
        raise InputError("signatures need model-signing; pip install 'traitline[export]'") from None
    for place in sorted(folder.rglob("*")):
        if place.is_symlink() or not (place.is_file() or place.is_dir()):
            raise InputError(f"{place}: a link, or no plain file, which a signature does not cover; put the file there")
    config: Any = signing.Config
    try:
        signer = config().use_elliptic_key_signer(private_key=Path(key))
    except ValueError as e:
        raise InputError(f"{key}: {str(e).splitlines()[0]}; wants a private elliptic-curve key in PEM") from None
    try:
        signer.sign(folder, signature)
    except (ValueError, OSError) as e:
        raise InputError(f"{folder}: not signed: {str(e).splitlines()[0]}") from None
