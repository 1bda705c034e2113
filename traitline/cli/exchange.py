"""Commands that take lineage out for others and bring foreign artifacts in."""

from typing import Annotated, Any

import typer

from traitline.cli.options import OBJECTION, Artifact, Folder, Folders, Index, Json, graph_of, write_json
from traitline.errors import InputError, visible
from traitline.plurals import counted


def export(
    artifact: Artifact,
    folder: Annotated[str, typer.Argument(help="A new folder for what is written.")],
    key: Annotated[str | None, typer.Option(metavar="PEM", help="Private key that signs it.")] = None,
    files: Annotated[
        bool, typer.Option("--files", help="The artifact's own files too: a folder that `hf upload` takes as it is.")
    ] = False,
    license: Annotated[str | None, typer.Option(metavar="ID", help="For the card, such as apache-2.0.")] = None,
    folders: Folders = None,
    as_json: Json = False,
) -> None:
    """Write card, attestation and lineage for others. Of a model or a data set; signed where a key is given."""
    from traitline.lineage.export import export

    graph = graph_of(folders, None)
    written = export(graph, graph.find(artifact), folder, key, named=artifact, files=files, licence=license)
    if as_json:
        write_json("export", {"written": written})
    else:
        print("\n".join(written))


def check_signature(
    attestation: Annotated[str, typer.Argument(metavar="ENVELOPE", help="A provenance.dsse.json of `export`.")],
    key: Annotated[str, typer.Option(metavar="PEM", help="Public key of who should have signed it.")],
    folder: Annotated[str, typer.Argument(help="Where the attested files are now.")],
    as_json: Json = False,
) -> None:
    """Check a signature and every file that it covers. Exits with 3 if one is not as signed, or unsigned."""
    import dataclasses

    from traitline.lineage.dsse import Attested, compare, unseal

    statement = unseal(attestation, key)
    files = compare(statement, folder) if statement else Attested()
    good = bool(statement and files.good) and not (files.changed or files.missing or files.unsigned)
    if as_json:
        write_json("check-signature", {"signed": bool(statement), "good": good, "files": dataclasses.asdict(files)})
    elif not statement:
        print(f"no signature in {attestation} is by {key}")
    else:
        for what in ("changed", "missing", "extra"):
            for name in getattr(files, what):
                unsigned = ": not signed, and a loader would take it" if name in files.unsigned else ""
                print(f"{what}  {visible(name)}{unsigned}")
        print(f"signed by {key}: {counted(len(files.good), 'file')} as attested, {len(files.changed)} changed, "
              f"{len(files.missing)} missing")  # fmt: skip
    raise typer.Exit(0 if good else OBJECTION)


def crate(
    title: Annotated[str, typer.Option(help="Its name.")] = "A traitline study",
    folders: Folders = None,
    as_json: Json = False,
) -> None:
    """Describe the studies here as a Provenance Run Crate. The working folder is it; writes ro-crate-metadata.json."""
    from traitline.lineage.index import here
    from traitline.lineage.ro_crate import write

    jobs = write(folders or here(), title)
    if as_json:
        write_json("crate", {"written": ["ro-crate-metadata.json"], "jobs": jobs})
    else:
        print(f"ro-crate-metadata.json: {jobs} jobs")


def track(
    to: Annotated[str, typer.Option(metavar="TRACKER", help="mlflow, wandb or trackio; install it first.")],
    out: Annotated[str, typer.Option(metavar="FOLDER", help="A new folder for its files.")],
    study: Folder = "results",
    as_json: Json = False,
) -> None:
    """Write the runs of a study for an experiment tracker. A run is a student; offline, by its own library."""
    from pathlib import Path

    from traitline.workflow.trackers import export as export_runs

    name = Path(study).resolve().parent.name
    runs = export_runs(study, name, to, Path(out))
    if as_json:
        write_json("track", {"written": [out], "runs": runs})
    else:
        print(f"{out}: {runs} runs of {visible(name)} for {to}")


def page(
    file: Annotated[str, typer.Argument(help="Where to write it.")] = "lineage.html",
    title: Annotated[str, typer.Option(help="Its title.")] = "all studies here",
    folders: Folders = None,
    index: Index = None,
    as_json: Json = False,
) -> None:
    """Draw all origins as one HTML page. Folded, searchable, with every manifest; it needs no network."""
    from traitline.lineage.page import write

    write(graph_of(folders, index), file, title)
    if as_json:
        write_json("page", {"written": [file]})
    else:
        print(file)


def register(
    path: Annotated[str, typer.Argument(help="A file, or a folder of files, below this repository.")],
    hub: Annotated[str | None, typer.Option(metavar="ORG/NAME", help="Where it was downloaded.")] = None,
    revision: Annotated[str | None, typer.Option(metavar="COMMIT", help="The commit there.")] = None,
    origin: Annotated[str | None, typer.Option(metavar="TEXT", help="Any other origin, in words.")] = None,
    unknown: Annotated[bool, typer.Option("--unknown", help="Origin unknown; it stays so for ever.")] = False,
    trait: Annotated[str | None, typer.Option(metavar="WORD", help="What it is known to carry.")] = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="ROLE=PATH", help="What it was made from: base=MODEL, data=..., teacher=MODEL."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Record a model or data from elsewhere, with its origin. Moves nothing, writes manifests beside the files."""
    from traitline.lineage.register import SOURCES, register
    from traitline.lineage.register import origin as stated
    from traitline.provenance.manifest import load

    if sum(map(bool, (hub, origin, unknown, source))) != 1 and not (hub and source and not (origin or unknown)):
        raise InputError("say where it comes from: one of --hub, --origin, --from, --unknown; or --hub with --from")
    pairs = [tuple(s.split("=", 1)) for s in source or []]
    if any(len(p) != 2 or p[0] not in SOURCES or not p[1] for p in pairs):
        raise InputError(
            "--from: wants base=PATH (it starts from), data=PATH (trained on) or teacher=PATH (sampled from)"
        )
    files = register(path, stated(hub, revision, origin), [(a, b) for a, b in pairs], trait=trait)
    if as_json:
        write_json("register", {"manifests": [str(file) for file in files]})
    else:
        for file in files:
            print(f"registered: {visible(str(file))}")
            _print_assumed(load(file), stated=bool(pairs))


def _print_assumed(m: dict[str, Any], *, stated: bool) -> None:
    """Print what a manifest of `register` takes for granted, and what a card or an adapter says of its base."""
    from traitline.provenance.manifest import maker

    bases = [e["path"] for e in m["inputs"] if e["role"] == "base"]
    if bases and not stated:
        print(f"  taken to start from {', '.join(map(visible, bases))}; --from says otherwise")
    named = m["facts"].get("named_base")
    hubs = list[str]()
    for record in filter(None, map(maker, bases)):
        source = record[0]["params"].get("source")
        hub = (source if isinstance(source, dict) else record[0]["facts"]).get("hub")
        hubs += [str(hub)] if hub else []
    if named and named not in hubs:
        known = f"its base is registered as {visible(hubs[0])}" if hubs else "no base of it is registered by that name"
        print(f"  look again: its card or settings name {visible(named)}, and {known}")
