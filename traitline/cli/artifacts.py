"""Commands about artifacts one by one: ls, show."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from traitline.cli.options import Artifact, Folders, Index, Json, Limit, graph_of, print_cut, write_json
from traitline.errors import visible
from traitline.plurals import counted

FILE_NOW = {
    "as recorded": "the file is here, as recorded",
    "changed": "the file here is NOT as recorded; `traitline verify` checks them all",
    "missing": "the file is not here",
    "outside": "no plain file of this folder, so it was not read",
}
NO_MARK = "no mark: it is neither a model nor data"


def ls(
    stage: Annotated[str | None, typer.Option(metavar="STAGE", help="Only what this stage made.")] = None,
    mark: Annotated[str | None, typer.Option(metavar="MARK", help="Only what has this mark, such as UNKNOWN.")] = None,
    limit: Limit = 60,
    folders: Folders = None,
    index: Index = None,
    as_json: Json = False,
) -> None:
    """List artifacts with stage, mark and standing. Models, data, scores, tables: all that manifests record."""
    from traitline.lineage import display
    from traitline.lineage.listing import artifacts

    rows = artifacts(graph_of(folders, index), stage=stage, mark=mark)
    if as_json:
        write_json("ls", {"artifacts": rows})
        return
    columns = ("mark", "standing", "stage", "artifact")
    display.table(columns, [[row[c] or "-" for c in columns] for row in rows[:limit]], display.console())
    print_cut(rows, limit)
    print(counted(len(rows), "artifact"))


def show(artifact: Artifact, folders: Folders = None, index: Index = None, as_json: Json = False) -> None:
    """Say what one artifact is, and how it was made. Settings, seeds, code, inputs and measurements of its manifest."""
    from traitline.lineage.listing import described

    graph = graph_of(folders, index)
    about = described(graph, graph.find(artifact))
    if as_json:
        write_json("show", about)
    else:
        from rich.padding import Padding

        from traitline.lineage import display

        out = display.console()
        for line in _lines(about):
            indent = len(line) - len(line.lstrip())
            out.print(Padding(visible(line.strip()), (0, 0, 0, indent), expand=False), overflow="fold")


def _lines(about: dict[str, Any]) -> Iterator[str]:
    """An artifact in words, a statement a line."""
    yield about["artifact"]
    yield f"  {about['kind']}, sha256 {about['sha256']}; {FILE_NOW[about['file']]}"
    for m in about["marks"]:
        yield f"  {m['mark']} {m['trait'] or ''}".rstrip() + f" ({m['reason'] or about['standing']})"
    if not about["marks"]:
        yield f"  {NO_MARK}"
    if about["origin"]:
        yield f"  from outside: {about['origin']}"
    for job in about["jobs"]:
        yield from _job_lines(job)
    if not (about["jobs"] or about["origin"]):
        yield "  UNKNOWN: no manifest says where this comes from"
    users = ", ".join(f"{n} {stage}" for stage, n in about["used_by"].items())
    yield f"read by {users}; `traitline impact` lists what came of it" if users else "no job has read it"


def _job_lines(job: dict[str, Any]) -> Iterator[str]:
    """One job that made it, in words."""
    code, env = job["code"], job["env"]
    commit = str(code.get("git_commit") or "")[:10]
    dirty = " with uncommitted changes" if code.get("git_dirty") else ""
    where = " ".join(str(env[k]) for k in ("host", "device") if env.get(k))
    yield f"made by {job['stage']} on {where or 'an unknown host'}, {job['started']} to {job['ended']}"
    yield f"  manifest  {job['manifest']}"
    yield f"  code      {code.get('digest')}" + (f" at commit {commit}{dirty}" if commit else ", of no commit")
    for word in ("trait", "origin"):
        if job[word]:
            yield f"  {word:9} {job[word]}"
    for heading, key in (("settings", "params"), ("seeds", "seeds"), ("facts", "facts")):
        if job[key]:
            yield f"  {heading}"
            yield from (f"    {name} = {value}" for name, value in _flat(job[key]))
    for heading, key in (("read", "inputs"), ("wrote", "outputs")):
        if job[key]:
            yield f"  {heading}"
            yield from (f"    {e['role']}: {e['artifact']}  {e['sha256'][:12]}" for e in job[key])


def _flat(table: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Values of nested tables, each by its dotted name."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value
