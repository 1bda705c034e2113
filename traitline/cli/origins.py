"""Commands that ask the graph of origins."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from traitline.cli.options import (
    OBJECTION,
    Artifact,
    Folder,
    Folders,
    Index,
    Json,
    Limit,
    Sarif,
    described,
    graph_of,
    print_cut,
    write_json,
)
from traitline.errors import InputError, visible
from traitline.plurals import counted

if TYPE_CHECKING:
    from traitline.lineage.graph import Graph, Job
    from traitline.lineage.seal import Comparison


def trace(
    artifact: Artifact,
    depth: Annotated[int | None, typer.Option(min=1, help="Show only so many steps back.")] = None,
    row: Annotated[
        str | None, typer.Option(metavar="ROW", help="Of a table: its number, address, or column=value,column=value.")
    ] = None,
    folders: Folders = None,
    index: Index = None,
    as_json: Json = False,
) -> None:
    """Show where an artifact comes from, step by step. Back to base models and sources; 3 if an origin is unknown."""
    from traitline.lineage import display

    graph = graph_of(folders, index)
    if row:
        from traitline.cli.number import trace_number

        raise typer.Exit(trace_number(graph, artifact, row, as_json=as_json))
    located = graph.locate(artifact)
    asked = [entry.artifact_id for entry in located.entries]
    ancestors = list(dict.fromkeys([*asked, *(a for artifact_id in asked for a in graph.back(artifact_id))]))
    jobs = list({job.id: job for a in ancestors for job in graph.makers(a)}.values())
    sources = [job for job in jobs if all(graph.outside(e.artifact_id) for e in graph.inputs(job.id))]
    unknown = [graph.entry(a) for a in ancestors if not (graph.makers(a) or graph.outside(a))]
    unknown += [output for job in sources if not job.origin for output in graph.outputs(job.id)]
    if as_json:
        write_json(
            "trace",
            described(located.entries[0])
            | {
                "artifacts": [described(e) for e in located.entries],
                "steps": [_step(graph, job) for job in jobs],
                "origins": [{"manifest": job.file, "stage": job.stage, "origin": job.origin} for job in sources],
                "unknown": [described(e) for e in unknown]
                + [{"artifact": u.path, "sha256": u.sha256, "kind": "model"} for u in located.unplaced],
            },
        )
    else:
        out = display.console()
        for entry in located.entries:
            out.print(display.tree(graph, entry, depth))
        for u in located.unplaced:
            out.print(f"UNKNOWN  {visible(u.path)}: {visible(u.reason)}", style=display.COLOURS["UNKNOWN"])
        strange = len(unknown) + len(located.unplaced)
        out.print(f"{len(jobs)} steps from {len(sources)} sources; {strange} of unknown origin")
    raise typer.Exit(OBJECTION if unknown or located.unplaced else 0)


def _step(graph: "Graph", job: "Job") -> dict[str, Any]:
    """A job as JSON has it."""
    keys = ("stage", "params", "seeds", "facts", "code", "env", "started", "ended")
    return {
        "manifest": job.file,
        **{key: job.manifest.get(key) for key in keys},
        "inputs": [described(e) | {"role": e.role} for e in graph.inputs(job.id)],
        "outputs": [described(e) | {"role": e.role} for e in graph.outputs(job.id)],
    }


def impact(
    artifact: Artifact, limit: Limit = 60, folders: Folders = None, index: Index = None, as_json: Json = False
) -> None:
    """List all that was made from an artifact. What to withdraw if it turns out bad, the worst affected first."""
    from traitline.lineage import display
    from traitline.lineage.impact import AFFECTED, impact

    graph = graph_of(folders, index)
    entry = graph.find(artifact)
    hits = impact(graph, entry)
    if as_json:
        affected = [described(h.entry) | {"stage": h.stage, "affected": h.how, "steps": h.steps} for h in hits]
        write_json("impact", described(entry) | {"affected": affected})
        return
    out = display.console()
    display.table(
        ("affected", "steps", "artifact", "sha256"),
        [(h.how, h.steps, h.entry.path, h.entry.sha256[:12]) for h in hits[:limit]],
        out,
    )
    print_cut(hits, limit)
    counts = ", ".join(f"{n} {how}" for how in AFFECTED if (n := sum(h.how == how for h in hits)))
    out.print(f"{visible(entry.path)}: {counts or 'nothing was made from it'}")


Root = Annotated[
    str | None, typer.Option(metavar="HASH", help="Root that you trust, or the file of a list: see `seal`.")
]
Key = Annotated[str | None, typer.Option(metavar="PEM", help="Public key of who signed the seal beside the folder.")]


def _compared(folders: list[str] | None, root: str | None, key: str | None) -> "Comparison | None":
    """The study beside the root that is trusted; None where none is named. Ends where a signature is not good.

    Raises:
        InputError: both a root and a key are named, or more than one folder.
    """
    from traitline.lineage import seal

    if root and key:
        raise InputError("one of --root and --key: a root that you trust, or one that somebody signed")
    if not (root or key):
        return None
    folder = seal.folder_of(folders)
    known = seal.trusted(root) if root else seal.signed(folder, str(key))
    if known is None:
        print(f"no signature in {seal.envelope(folder)} is by {key}")
        raise typer.Exit(OBJECTION)
    return seal.compare(folder, known)


def verify(
    folders: Folders = None,
    limit: Limit = 60,
    root: Root = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Check that no recorded file was changed or lost. Hashes all that manifests name; 3 if one is changed."""
    import dataclasses

    from traitline.lineage import display
    from traitline.lineage.index import here
    from traitline.lineage.verify import added, verify

    compared = _compared(folders, root, key)
    folders = [compared.folder] if compared else folders
    findings = verify(folders or here())
    more = added(findings, compared.hidden) if compared else []
    good = findings.good and not more and (compared is None or compared.covers is not None)
    if as_json:
        about = {"good": good, "seal": dataclasses.asdict(compared) if compared else None, "added": more}
        write_json("verify", dataclasses.asdict(findings) | about)
    else:
        display.findings(findings, compared, limit)
        if more:
            display.console().print(f"{counted(len(more), 'file')} or links added that somebody could train on or load")
    raise typer.Exit(0 if good else OBJECTION)


def seal(
    folder: Folder = "results",
    key: Annotated[
        str | None, typer.Option(metavar="PEM", help="Private key; writes FOLDER.seal.json, for verify --key.")
    ] = None,
    list_file: Annotated[
        str | None, typer.Option("--list", metavar="FILE", help="Write the list whose sha256 the root is.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the one hash that stands for a whole study. Every manifest and so every artifact lies under it."""
    from pathlib import Path

    from traitline import atomic
    from traitline.lineage import seal

    rows, _ = seal.rows_of(folder)
    written = []
    if list_file:
        if Path(list_file).resolve().is_relative_to(Path(folder).resolve()):
            raise InputError(f"--list {list_file}: lies in the folder that is sealed; put it beside")
        atomic.put(Path(list_file), seal.text(rows))
        written.append(list_file)
    if key:
        written.append(str(seal.sign(folder, rows, key)))
    roots = {"root": seal.root(rows), "without_pages": seal.root(seal.without_pages(rows))}
    if as_json:
        write_json("seal", roots | {"manifests": len(rows), "written": written})
    else:
        print("\n".join([f"{roots['root']}  {folder}, {counted(len(rows), 'manifest')}", *written]))


def audit(
    artifacts: Annotated[list[str] | None, typer.Argument(help="Only these. Default: every model.")] = None,
    policy: Annotated[
        str | None, typer.Option(metavar="FILE", help="YAML: what fails, known carriers, matches.")
    ] = None,
    data: Annotated[bool, typer.Option("--data", help="Data sets too.")] = False,
    limit: Limit = 60,
    sarif: Sarif = None,
    folders: Folders = None,
    index: Index = None,
    root: Root = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Find models that may have inherited a trait. Marks each by its origins; 3 for all but CLEAN and EXPOSED lists."""
    from traitline.lineage import display, gate
    from traitline.lineage.parallel import uncollected
    from traitline.lineage.policy import Policy, load

    rules = load(policy) if policy else Policy()
    if index and (root or key):
        raise InputError("--index: may be older than the manifests; a root is about those that are here")
    seal = _compared(folders, root, key)
    if seal and seal.covers is None:
        display.comparison(seal)
        raise typer.Exit(OBJECTION)
    with uncollected():
        result = gate.apply(graph_of(folders, index), rules, artifacts or [], data=data, seal=seal)
        if sarif:
            from traitline.lineage.sarif import put

            put(sarif, result.as_json(data=data))
        if as_json:
            write_json("audit", result.as_json(data=data))
        else:
            result.show(limit)
    raise typer.Exit(OBJECTION if result.failures else 0)


def diff(one: Artifact, other: Artifact, folders: Folders = None, index: Index = None, as_json: Json = False) -> None:
    """Explain why two artifacts differ. The first settings, seeds, code or data that part; 3 if they differ."""
    from traitline.lineage import display
    from traitline.lineage.diff import differences

    graph = graph_of(folders, index)
    left, right = graph.find(one), graph.find(other)
    equal = left.artifact_id == right.artifact_id
    parts = differences(graph, left, right)
    if as_json:
        rows = [{"one": described(d.left), "other": described(d.right), "steps": d.deep, "says": d.says} for d in parts]
        write_json("diff", {"one": described(left), "other": described(right), "equal": equal, "differences": rows})
    else:
        out, clear = display.console(), visible
        if equal:
            out.print("the same bytes, or the same weights")
        for d in parts:
            out.print(f"{clear(d.left.path)}\n{clear(d.right.path)}", style="bold")
            for line in d.says:
                out.print(f"    {clear(line)}")
    raise typer.Exit(0 if equal else OBJECTION)


def kin(
    one: Annotated[str, typer.Argument(help="A file or a folder of weights, or of an adapter.")],
    other: Annotated[str, typer.Argument(help="Another one, or the base that the adapter may have.")],
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Make every test, where one says all there is to say.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Tell whether models started from the same weights. From weights alone, with a p-value; 3 if they did."""
    from traitline.lineage.adapter_kin import kin as compared

    result = compared(one, other, thorough=thorough)
    if as_json:
        write_json("kin", result.as_json())
    else:
        print("\n".join(map(visible, result.lines())))
    raise typer.Exit(OBJECTION if result.same_start else 0)


def index(
    file: Annotated[str, typer.Argument(help="Where to write it.")] = ".traitline/origins.db",
    folders: Folders = None,
    as_json: Json = False,
) -> None:
    """Index all manifests on disk, for large trees. Questions then read the index; make it again at any time."""
    import os

    from traitline.lineage import index as indexes

    db = indexes.build(folders or indexes.here(), file)
    jobs, artifacts = (db.execute(f"SELECT COUNT(*) FROM {t}").fetchone()[0] for t in ("job", "content"))
    size = os.path.getsize(file)
    if as_json:
        write_json("index", {"written": [file], "manifests": jobs, "artifacts": artifacts, "bytes": size})
        return
    print(f"{file}: {counted(jobs, 'manifest')}, {counted(artifacts, 'artifact')}, {size / 1e6:,.1f} MB")
