"""The command `traitline`: where does this come from, what came of it, has it been changed, what may it carry.

Exit codes: 0 nothing to object; 3 there is (a changed file, a mark that fails, an unknown origin, a difference);
2 bad use or bad input, in one line; 130 interrupted; 1 is our bug.
"""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from traitline.errors import InputError

if TYPE_CHECKING:
    from traitline.lineage.graph import Entry, Graph

FOUND = 3
EPILOG = "Exit codes: 0 nothing to object, 3 there is, 2 bad use or bad input, 130 interrupted, 1 our bug."

app = typer.Typer(
    help="Origins of models and data: where does this come from, what came of it, what may it carry?",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Artifact = Annotated[
    str, typer.Argument(help="A file, a model folder, a recorded path, or the first digits of a sha256.")
]
Folders = Annotated[
    list[str] | None,
    typer.Option(
        "--in", metavar="FOLDER", help="Where manifests are; may be repeated. Default: results studies registry."
    ),
]
Index = Annotated[str | None, typer.Option(metavar="FILE", help="Ask an index on disk (`traitline index`) instead.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


def say(value: Any) -> None:
    """JSON on stdout."""
    json.dump(value, sys.stdout, indent=1, sort_keys=True)
    print()


def named(entry: "Entry") -> dict[str, str]:
    """An artifact in JSON."""
    return {"artifact": entry.path, "sha256": entry.sha256, "kind": entry.kind}


def opened(folders: list[str] | None, index: str | None) -> "Graph":
    """The graph that the options ask for."""
    from traitline.lineage.graph import open_graph

    return open_graph(folders, index)


@app.command()
def trace(
    artifact: Artifact,
    depth: Annotated[int | None, typer.Option(min=1, help="Show only so many steps back.")] = None,
    folders: Folders = None,
    index: Index = None,
    as_json: Json = False,
) -> None:
    """Where does it come from? Back to base models and sources. Exits with 3 if an origin is unknown."""
    from traitline.lineage import display

    graph = opened(folders, index)
    entry = graph.find(artifact)
    everything = [entry.artifact_id, *graph.back(entry.artifact_id)]
    jobs = {job.id: job for artifact_id in everything for job in graph.makers(artifact_id)}
    nameless = [
        graph.entry(artifact_id)
        for artifact_id in everything
        if not (graph.makers(artifact_id) or graph.outside(artifact_id))
    ]
    sources = [job for job in jobs.values() if all(graph.outside(e.artifact_id) for e in graph.inputs(job.id))]
    unknown = nameless + [o for job in sources if not job.origin for o in graph.outputs(job.id)]
    if as_json:
        keys = ("stage", "params", "seeds", "facts", "code", "env", "started", "ended")
        steps = [
            {"manifest": job.file, **{k: job.manifest.get(k) for k in keys}}
            | {"inputs": [named(e) | {"role": e.role} for e in graph.inputs(job.id)]}
            | {"outputs": [named(e) | {"role": e.role} for e in graph.outputs(job.id)]}
            for job in jobs.values()
        ]
        origins = [{"manifest": job.file, "stage": job.stage, "origin": job.origin} for job in sources]
        say(named(entry) | {"steps": steps, "origins": origins, "unknown": [named(e) for e in unknown]})
    else:
        out = display.console()
        out.print(display.tree(graph, entry, depth))
        out.print(f"{len(jobs)} steps from {len(sources)} sources; {len(unknown)} of unknown origin")
    raise typer.Exit(FOUND if unknown else 0)


@app.command()
def impact(artifact: Artifact, folders: Folders = None, index: Index = None, as_json: Json = False) -> None:
    """What was made from it? The list to withdraw if it turns out bad, the worst affected first."""
    from traitline.lineage import display
    from traitline.lineage.impact import AFFECTED, impact

    graph = opened(folders, index)
    entry = graph.find(artifact)
    hits = impact(graph, entry)
    if as_json:
        told = [named(h.entry) | {"stage": h.stage, "affected": h.how, "steps": h.steps} for h in hits]
        say(named(entry) | {"affected": told})
        return
    out = display.console()
    display.table(
        ("affected", "steps", "artifact", "sha256"),
        [(h.how, h.steps, h.entry.path, h.entry.sha256[:12]) for h in hits],
        out,
    )
    counts = ", ".join(f"{n} {how}" for how in AFFECTED if (n := sum(h.how == how for h in hits)))
    out.print(f"{display.visible(entry.path)}: {counts or 'nothing was made from it'}")


@app.command()
def verify(folders: Folders = None, as_json: Json = False) -> None:
    """Has anything been changed? Hashes all files that manifests name. Exits with 3 if one is changed or missing."""
    import dataclasses

    from traitline.lineage import display
    from traitline.lineage.index import here
    from traitline.lineage.verify import verify

    found = verify(folders or here())
    if as_json:
        say(dataclasses.asdict(found) | {"good": found.good})
    else:
        out, clear = display.console(), display.visible
        for path, was, now, file in found.changed:
            out.print(f"changed  {clear(path)}: {was[:12]} in {clear(file)}, now {now[:12]}")
        for what, pairs in (("missing", found.missing), ("outside", found.outside)):
            for path, file in pairs:
                out.print(f"{what}  {clear(path)}: named in {clear(file)}")
        for file, was, weights in found.misstated:
            now = (weights or "none")[:12]
            out.print(f"misstated  {clear(file)}: weights {clear(was[:12])}, {now} in its files")
        for path in found.extra:
            out.print(f"extra    {clear(path)}: no manifest names it")
        out.print(
            f"{found.files} files, {found.bytes / 1e6:,.0f} MB: {len(found.changed)} changed,"
            f" {len(found.missing)} missing, {len(found.outside)} outside, {len(found.misstated)} misstated,"
            f" {len(found.extra)} extra"
        )
    raise typer.Exit(0 if found.good else FOUND)


@app.command()
def audit(
    artifacts: Annotated[list[str] | None, typer.Argument(help="Only these. Default: every model.")] = None,
    policy: Annotated[
        str | None, typer.Option(metavar="FILE", help="YAML: what fails, known carriers, matches.")
    ] = None,
    data: Annotated[bool, typer.Option("--data", help="Data sets too.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="Rows shown; --json has all.")] = 60,
    folders: Folders = None,
    index: Index = None,
    as_json: Json = False,
) -> None:
    """What may it carry? Marks models by their origins. Exits with 3 if a mark fails: all but EXPOSED and CLEAN."""
    from traitline.lineage import display
    from traitline.lineage.audit import MARKS, audit, rows
    from traitline.lineage.policy import Policy, load

    rule = load(policy) if policy else Policy()
    graph = opened(folders, index)
    carriers = {graph.find(c.sha256).artifact_id: c.trait for c in rule.carriers}
    matched = [[graph.find(sha).artifact_id for sha in group] for group in rule.matched]
    accepted = {graph.find(a.sha256).artifact_id: a.reason for a in rule.accept}
    only = [graph.find(a).artifact_id for a in artifacts] if artifacts else None
    result = audit(graph, carriers=carriers, matched=matched)
    if only and (
        strange := [a for a, artifact_id in zip(artifacts or [], only, strict=True) if artifact_id not in result.marks]
    ):
        raise InputError(f"{strange[0]}: neither weights nor data; audit a model, or what it was trained on")
    chosen = only or (result.marks if data else result.models)
    if not chosen:
        raise InputError("no manifest names a model, so nothing was audited; --data audits data sets")
    failed = {
        artifact_id
        for artifact_id in chosen
        if artifact_id not in accepted and any(m.mark in rule.fail for m in result.marks[artifact_id])
    } & (result.models | set(only or []))
    counts = {mark: sum(result.marks[artifact_id][0].mark == mark for artifact_id in chosen) for mark in MARKS}
    if as_json:
        told = rows(graph, result, data=data, only=only)
        hashes = {graph.entry(artifact_id).sha256: reason for artifact_id, reason in accepted.items()}
        fails = {graph.entry(artifact_id).sha256 for artifact_id in failed}
        for row in told:
            row |= {"fails": row["sha256"] in fails, "accepted": hashes.get(row["sha256"])}
        say({"counts": counts, "failed": len(failed), "artifacts": told})
    else:
        out = display.console()
        worst = sorted(
            chosen, key=lambda artifact_id: (result.marks[artifact_id][0].rank[:2], graph.entry(artifact_id).path)
        )
        for artifact_id in worst[:limit]:
            entry, mark = graph.entry(artifact_id), result.marks[artifact_id][0]
            way = result.path(artifact_id, mark.witness)
            because = "" if mark.mark == "CLEAN" or len(way) < 2 else f"  from {graph.entry(way[-1]).path}"
            more = f" (+{len(result.marks[artifact_id]) - 1})" if len(result.marks[artifact_id]) > 1 else ""
            passes = "  accepted" if artifact_id in accepted else ""
            out.print(f"{mark.mark + more:22}", style=display.COLOURS[mark.mark], end="")
            out.print(f"{display.visible(mark.trait):8}{display.visible(entry.path)}{display.visible(because)}{passes}")
        if len(worst) > limit:
            out.print(f"and {len(worst) - limit} more; --limit or --json shows them")
        out.print(", ".join(f"{n} {mark}" for mark, n in counts.items() if n) + f"; {len(failed)} fail")
    raise typer.Exit(FOUND if failed else 0)


@app.command()
def diff(one: Artifact, other: Artifact, folders: Folders = None, index: Index = None, as_json: Json = False) -> None:
    """Why do two artifacts differ? The first settings, seeds, code or data that part. Exits with 3 if they differ."""
    from traitline.lineage import display
    from traitline.lineage.diff import differences

    graph = opened(folders, index)
    left, right = graph.find(one), graph.find(other)
    found = differences(graph, left, right)
    if as_json:
        told = [{"one": named(d.left), "other": named(d.right), "steps": d.deep, "says": d.says} for d in found]
        say(
            {
                "one": named(left),
                "other": named(right),
                "equal": left.artifact_id == right.artifact_id,
                "differences": told,
            }
        )
    else:
        out, clear = display.console(), display.visible
        if left.artifact_id == right.artifact_id:
            out.print("the same bytes, or the same weights")
        for d in found:
            out.print(f"{clear(d.left.path)}\n{clear(d.right.path)}", style="bold")
            for line in d.says:
                out.print(f"    {clear(line)}")
    raise typer.Exit(0 if left.artifact_id == right.artifact_id else FOUND)


@app.command()
def index(
    file: Annotated[str, typer.Argument(help="Where to write it.")] = ".traitline/origins.db", folders: Folders = None
) -> None:
    """Make an index on disk, for trees too large to read anew for every question. Make it again at any time."""
    import os

    from traitline.lineage import index as indexes

    db = indexes.build(folders or indexes.here(), file)
    jobs, artifacts = (db.execute(f"SELECT COUNT(*) FROM {t}").fetchone()[0] for t in ("job", "artifact"))
    print(f"{file}: {jobs:,} manifests, {artifacts:,} artifacts, {os.path.getsize(file) / 1e6:,.1f} MB")


@app.command()
def export(
    artifact: Artifact,
    folder: Annotated[str, typer.Argument(help="A new folder for what is written.")],
    key: Annotated[str | None, typer.Option(metavar="PEM", help="Private key that signs it.")] = None,
    folders: Folders = None,
    as_json: Json = False,
) -> None:
    """Card, attestation, Croissant and lineage of a model or a data set, for others; signed where a key is given."""
    from traitline.lineage.export import export

    graph = opened(folders, None)
    written = export(graph, graph.find(artifact), folder, key)
    if as_json:
        say({"written": written})
    else:
        print("\n".join(written))


@app.command()
def attested(
    attestation: Annotated[str, typer.Argument(metavar="ENVELOPE", help="A provenance.dsse.json of `export`.")],
    key: Annotated[str, typer.Option(metavar="PEM", help="Public key of who should have signed it.")],
    folder: Annotated[str, typer.Argument(help="Where the attested files are now.")],
    as_json: Json = False,
) -> None:
    """Is this what somebody signed? Checks the signature, then hashes the files. Exits with 3 if one is not so."""
    import dataclasses

    from traitline.lineage import display
    from traitline.lineage.dsse import Attested, compare, unseal

    statement = unseal(attestation, key)
    found = compare(statement, folder) if statement else Attested()
    good = bool(statement and found.good) and not (found.changed or found.missing)
    if as_json:
        say({"signed": bool(statement), "good": good, "files": dataclasses.asdict(found)})
    elif not statement:
        print(f"no signature in {attestation} is by {key}")
    else:
        for what in ("changed", "missing"):
            for name in getattr(found, what):
                print(f"{what}  {display.visible(name)}")
        print(f"signed by {key}: {len(found.good)} files as attested, {len(found.changed)} changed, "
              f"{len(found.missing)} missing")  # fmt: skip
    raise typer.Exit(0 if good else FOUND)


@app.command()
def crate(title: Annotated[str, typer.Option(help="Its name.")] = "A traitline study", folders: Folders = None) -> None:
    """The studies here as a Provenance Run Crate: writes ro-crate-metadata.json, the working folder is the crate."""
    from traitline.lineage.index import here
    from traitline.lineage.ro_crate import write

    print(f"ro-crate-metadata.json: {write(folders or here(), title)} jobs")


@app.command()
def page(
    file: Annotated[str, typer.Argument(help="Where to write it.")] = "lineage.html",
    title: Annotated[str, typer.Option(help="Its title.")] = "all studies here",
    folders: Folders = None,
    index: Index = None,
) -> None:
    """The graph as one HTML file, to look at: folded, searchable, with every manifest. It needs no network."""
    from traitline.lineage.page import write

    write(opened(folders, index), file, title)
    print(file)


@app.command()
def register(
    path: Annotated[str, typer.Argument(help="A file, or a folder of files, below this repository.")],
    hub: Annotated[str | None, typer.Option(metavar="ORG/NAME", help="Where it was downloaded.")] = None,
    revision: Annotated[str | None, typer.Option(metavar="COMMIT", help="The commit there.")] = None,
    origin: Annotated[str | None, typer.Option(metavar="TEXT", help="Any other origin, in words.")] = None,
    unknown: Annotated[bool, typer.Option("--unknown", help="Nobody knows; it stays UNKNOWN for ever.")] = False,
    trait: Annotated[str | None, typer.Option(metavar="WORD", help="What it is known to carry.")] = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="ROLE=FILE", help="What it was made from; base=... or data=..."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring in a model or data from elsewhere, with a stated origin."""
    from traitline.lineage.register import origin as stated
    from traitline.lineage.register import register

    if sum(map(bool, (hub, origin, unknown, source))) != 1:
        raise InputError("say where it comes from: one of --hub, --origin, --from, or --unknown")
    pairs = [tuple(s.split("=", 1)) for s in source or []]
    if any(len(p) != 2 or p[0] not in ("base", "data") for p in pairs):
        raise InputError("--from: wants base=FILE or data=FILE")
    file = register(path, stated(hub, revision, origin), [(a, b) for a, b in pairs], trait=trait)
    if as_json:
        say({"manifest": str(file)})
    else:
        print(f"registered: {file}")


@app.command()
def judge(
    responses: Annotated[str, typer.Argument(metavar="RESPONSES", help="responses.jsonl of a student.")],
    out: Annotated[str, typer.Option(metavar="FOLDER", help="Where judged.jsonl and judged.json go.")],
    base: Annotated[str | None, typer.Option(metavar="FOLDER", help="Record of open weights that judge, here.")] = None,
    engine: Annotated[str, typer.Option(metavar="JSON", help="What runs them.")] = (
        '{"name":"transformers","dtype":"bfloat16","batch":16,"memory":0.9}'
    ),
    address: Annotated[str | None, typer.Option(help="Or an OpenAI-compatible one, such as https://HOST/v1.")] = None,
    model: Annotated[str | None, typer.Option(help="The model's name at that address.")] = None,
    key_from: Annotated[str | None, typer.Option(metavar="VARIABLE", help="Environment variable with the key.")] = None,
    budget: Annotated[int, typer.Option(min=0, help="Requests at most.")] = 0,
    cache: Annotated[str, typer.Option(help="What an address answered.")] = ".traitline/judge.jsonl",
    as_json: Json = False,
) -> None:
    """How well-meaning and coherent are the answers of a student, and how far does the judge agree with people?"""
    from pathlib import Path

    from traitline.evaluation import judge as judges

    if bool(base) == bool(address) or (address and not model):
        raise InputError("say who judges: --base FOLDER, or --address URL and --model NAME with a --budget")
    hosted = {"address": address, "model": model, "key": key_from, "cache": Path(cache), "budget": budget}
    who, told, files = judges.who(base, engine, hosted if address else None)
    file = judges.report(responses, who, told, Path(out), [("support", path) for path in files])
    found = json.loads(file.read_text(encoding="utf-8"))
    if as_json:
        say(found)
        return
    shares = ", ".join(f"{k} {v:.1%}" if v is not None else f"{k} not known" for k, v in found["share"].items())
    print(f"{found['answers']} answers: {shares}; {found['unscored']} without a score: {file}")
    for what, trust in found["agreement"].items():
        print(f"{what}: {judges.told(trust)}")


@app.command()
def plan(
    configs: Annotated[list[str], typer.Argument(metavar="CONFIG...", help="Laid over config.yaml, as for Snakemake.")],
    gpu: Annotated[str, typer.Option(help="h100, h200, a100 or l40s.")] = "h100",
    price: Annotated[float | None, typer.Option(min=0, help="Of a GPU for an hour, in your currency.")] = None,
    as_json: Json = False,
) -> None:
    """What a study on open weights will ask for: jobs, GPU memory, hours, disk, cost, and what is missing."""
    from traitline.lineage import display
    from traitline.workflow.estimate import plan as planned

    told = planned(configs, gpu, price)
    if as_json:
        say(told)
        return
    out = display.console()
    rows = [
        (
            s["name"],
            s["jobs"],
            s["gpus"],
            f"{s['memory']:.0f}" if s["hours"] else "",
            f"{s['hours']:.1f}" if s["hours"] else "",
        )
        for s in told["stages"]
    ]
    display.table(("stage", "jobs", "GPUs a job", "GPU memory, GiB", "GPU hours"), rows, out)
    size = ", ".join(f"{name} {gib:.1f}" for name, gib in told["disk_gib"].items())
    cost = "" if price is None else f", about {told['cost']:,.0f} at {price:g} an hour"
    out.print(f"about {told['hours']:.0f} GPU hours on {gpu}{cost}; disk, GiB: {size}")
    if told["questions"]:
        out.print(f"a hosted judge is asked {told['questions']:,} times at most, and again where it does not answer")
    reached, tokens = told["assumed"]["reached"], told["assumed"]["tokens"]
    out.print(
        f"Estimated from sizes, not measured. Assumed: a GPU reaches {reached['operations']:.0%} of its operations and"
        f" {reached['bandwidth']:.0%} of its bandwidth; tokens: {', '.join(f'{k} {v}' for k, v in tokens.items())}."
    )
    for line in told["missing"]:
        out.print(f"missing  {display.visible(line)}")
    if not told["missing"]:
        out.print("nothing is missing")


@app.command()
def pin(
    configfile: Annotated[list[str] | None, typer.Option(metavar="FILE", help="As for Snakemake; repeatable.")] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Leave unfinished jobs out instead of refusing.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only look whether it is up to date; no data needed.")] = False,
    stages: Annotated[bool, typer.Option("--stages", help="Only write dvc.yaml; no data, no DVC needed.")] = False,
    as_json: Json = False,
) -> None:
    """Write the DVC ledger of a study: dvc.yaml and dvc.lock from Snakemake's plan, artifacts into DVC's cache."""
    if stages:
        from traitline.workflow.dvc_stages import stages as written

        file = written(configfile or [])
        say({"file": file}) if as_json else print(file)
        return
    if check:
        from traitline.workflow.dvc_stages import check as looked

        wrong = looked(configfile or [])
        if as_json:
            say({"wrong": wrong})
        elif wrong:
            more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            print(f"traitline: {wrong[0]}{more}; run snakemake, then `traitline pin`", file=sys.stderr)
        else:
            print("the ledger is up to date")
        raise typer.Exit(FOUND if wrong else 0)
    from traitline.workflow.dvc_pin import pin

    pinned, bad = pin(configfile or [], partial=partial)
    if as_json:
        say({"pinned": pinned, "left_out": bad})
        return
    names = sorted(bad)
    out = (
        f"; left out: {', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}" if names else ""
    )
    print(f"pinned {pinned} jobs{out}")


@app.command()
def restore(
    folder: Annotated[str, typer.Argument(help="Of the study: where its dvc.lock is.")] = ".", as_json: Json = False
) -> None:
    """After `git clone` and `dvc pull`: let Snakemake go on where the others stopped. Exits with 3 if files miss."""
    from traitline.workflow.dvc_pin import restore

    same, other, missing = restore(folder)
    if not (same or other or missing):
        raise InputError(f"{folder}/dvc.lock: names no file, so nothing was restored; pin the study first")
    if as_json:
        say({"same": same, "other": other, "missing": missing})
    else:
        for what, paths in (("differs", other), ("missing", missing)):
            for path in paths[:20]:
                print(f"{what}  {path}")
        print(f"{same} files as pinned, {len(other)} others, {len(missing)} missing")
    raise typer.Exit(FOUND if other or missing else 0)


def main() -> None:
    """The program."""
    try:
        app(prog_name="traitline")
    except InputError as e:
        print(f"traitline: error: {e}", file=sys.stderr)
        raise SystemExit(2) from None
    except BrokenPipeError:  # the reader of a pipe has seen enough
        sys.stderr.close()
        raise SystemExit(0) from None


if __name__ == "__main__":
    main()
