"""Lineage for people: trees and tables on a terminal. Names come from others: what hides is spelled out."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from traitline.errors import visible
from traitline.plurals import counted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    from traitline.lineage.graph import Entry, Graph, Job
    from traitline.lineage.seal import Comparison
    from traitline.lineage.verify import Findings

COLOURS = {
    "CARRIER": "bold red", "INHERITANCE-RISK": "red", "UNKNOWN": "magenta", "EXPOSED": "yellow",
    "CLAIMED": "cyan", "CLEAN": "green",
}  # fmt: skip
SETTINGS = 110  # characters of a step's settings


def console() -> "Console":
    """Make a console as wide as the terminal; in a file or a pipe lines are never cut."""
    import sys

    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 1000)


def settings(values: dict[str, Any]) -> str:
    """Settings on one line: `lr 0.01, epochs 2`."""
    parts: list[str] = []

    def flat(name: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, below in value.items():
                flat(str(key), below)
        else:
            parts.append(f"{name} {value}")

    flat("", values)
    text = ", ".join(parts)
    return visible(text[:SETTINGS].rpartition(",")[0] + ", ..." if len(text) > SETTINGS else text)


def step(job: "Job") -> str:
    """Describe a job on one line: settings, seeds, code, and where and when it ran."""
    m = job.manifest
    code, env, parts = m["code"], m["env"], [job.stage]
    if job.trait:
        parts.append(f"TRAIT {job.trait}")
    if job.origin:
        parts.append(f"origin: {job.origin}")
    if m["params"]:
        parts.append(settings(m["params"]))
    if m["seeds"]:
        parts.append(f"seed {', '.join(str(v) for v in m['seeds'].values())}")
    commit = str(code.get("git_commit") or "no commit")[:10]
    parts.append(f"code {code.get('digest')} at {commit}{' with uncommitted changes' if code.get('git_dirty') else ''}")
    where = [str(env[k]) for k in ("host", "device") if env.get(k)]
    if env.get("slurm_job_id"):
        where.append(f"Slurm job {env['slurm_job_id']}")
    parts.append(f"{' '.join(where)} {str(m.get('ended', ''))[:16]}".strip())
    return " · ".join(visible(s) for s in parts)


def tree(graph: "Graph", entry: "Entry", depth: int | None = None) -> "Tree":
    """Draw an artifact and all its origins; what occurs twice is drawn once."""
    from rich.tree import Tree

    drawn = set[int]()

    def label(e: "Entry", role: str) -> "Text":
        from rich.text import Text

        text = Text(f"{role} ", style="cyan") if role else Text()
        return text.append(visible(e.path), style="bold").append(f"  {e.sha256[:12]}", style="dim")

    def grow(branch: "Tree", e: "Entry", left: int | None) -> None:
        from rich.text import Text

        if e.artifact_id in drawn:
            branch.add(Text("origins as above", style="dim"))
            return
        drawn.add(e.artifact_id)
        makers = graph.makers(e.artifact_id)
        if not makers and (origin := graph.outside(e.artifact_id)):
            branch.add(Text(visible(f"from outside: {origin}"), style="dim"))
        elif not makers:
            branch.add(Text("UNKNOWN: no manifest says where this comes from", style=COLOURS["UNKNOWN"]))
        # The same bytes made more than once: the one that wrote this path is shown, the others are counted.
        makers.sort(key=lambda j: e.path not in [o.path for o in graph.outputs(j.id)])
        for job in makers[:1]:
            handed = graph.inputs(job.id)
            also = f" · {len(makers) - 1} more made the same" if len(makers) > 1 else ""
            branch.add(Text(step(job) + also, style="red" if job.trait else "dim"))
            if not handed and not job.origin:
                branch.add(Text("UNKNOWN: a source that states no origin", style=COLOURS["UNKNOWN"]))
            if left == 0 and handed:
                branch.add(Text(f"{len(handed)} more below", style="dim"))
                continue
            for i in handed:
                grow(branch.add(label(i, i.role)), i, None if left is None else left - 1)

    root = Tree(label(entry, ""))
    grow(root, entry, depth)
    return root


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], out: "Console") -> None:
    """Rows under a heading; a first column of marks is coloured."""
    from rich.table import Table
    from rich.text import Text

    if not out.is_terminal:
        for row in (head, *rows):
            out.print("  ".join(visible(str(c)) for c in row))
        return
    grid = Table(box=None, header_style="dim", pad_edge=False)
    for name in head:
        grid.add_column(name, overflow="fold")  # a path is never cut
    for first, *others in rows:
        grid.add_row(
            Text(visible(str(first)), style=COLOURS.get(str(first), "")), *(Text(visible(str(c))) for c in others)
        )
    out.print(grid)


def marks(rows: Iterable[tuple[str, str]], out: "Console") -> None:
    """Rows of a mark and what has it. Where a terminal is too narrow, a row goes on below, beside its mark."""
    from rich.table import Table
    from rich.text import Text

    rows = [("mark", "trait   artifact"), *rows]
    if not out.is_terminal:
        for mark, text in rows:
            out.print(f"{mark:22}{text}")
        return
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True, min_width=21 if out.width > 90 else None)
    grid.add_column(overflow="fold")
    for mark, text in rows:
        grid.add_row(Text(mark, style=COLOURS.get(mark.split(" ")[0], "dim")), Text(text))
    out.print(grid)


def findings(result: "Findings", compared: "Comparison | None" = None, limit: int = 60) -> None:
    """Print what `verify` found: a line for each file that is not as recorded, what is trusted, then the counts."""
    out = console()
    lines = _objections(result)
    for line in lines[:limit]:
        out.print(line)
    if len(lines) > limit:
        out.print(f"and {len(lines) - limit} more; --limit or --json shows them")
    if result.unsealed:
        out.print(f"of an earlier version, which names no statements: {counted(len(result.unsealed), 'manifest')}")
    comparison(compared)
    links = len(result.broken) + len(result.cut) + len(result.uncanonical) + len(result.doubted)
    out.print(
        f"{result.files} files, {result.bytes / 1e6:,.0f} MB: {len(result.changed)} changed,"
        f" {len(result.missing)} missing, {len(result.outside)} outside, {len(result.misstated)} misstated,"
        f" {len(result.extra)} extra" + (f", {links} contradictions in manifests" if links else "")
    )


def _objections(result: "Findings") -> list[str]:
    """A line for each file that is not as recorded, the worst first."""
    lines = [
        f"changed  {visible(path)}: {was[:12]} in {visible(file)}, now {now[:12]}"
        for path, was, now, file in result.changed
    ]
    for what, pairs in (("missing", result.missing), ("outside", result.outside)):
        lines += [f"{what}  {visible(path)}: named in {visible(file)}" for path, file in pairs]
    lines += [
        f"broken   {visible(path)}: no manifest states about it what {visible(file)} was built on"
        for path, file in result.broken
    ]
    lines += [
        f"cut      {visible(path)}: {visible(file)} does not name the manifest that vouches for it"
        for path, file in result.cut
    ]
    lines += [f"doubted  {visible(file)}: {visible(reason)}" for file, reason in result.doubted]
    lines += [
        f"altered  {visible(file)}: not in the form in which manifests are written" for file in result.uncanonical
    ]
    for file, stated, recomputed in result.misstated:
        weights = visible((stated or "none")[:12]), (recomputed or "none")[:12]
        lines.append(f"misstated  {visible(file)}: weights {weights[0]}, {weights[1]} in its files")
    return lines + [f"extra    {visible(path)}: no manifest names it" for path in result.extra]


def comparison(result: "Comparison | None") -> None:
    """Print whether a study is what somebody trusts, or that nobody was asked."""
    out = console()
    if result is None:
        out.print("no root was given: whoever can write here could have written these manifests (`traitline seal`)")
        return
    for what, path in result.differences:
        out.print(f"{what:9}{visible(path)}: not as under the root")
    for path in result.hidden:
        out.print(f"hidden   {visible(path)}: under no root")
    if result.covers is None:
        out.print(f"NOT the study of root {result.root[:12]}: the {result.manifests} manifests have root {result.now}")
    elif result.covers == "all":
        out.print(f"root {result.root}: {result.manifests} manifests, all of them")
    else:
        pages = "; report.html, lineage.html, students.html and their manifest are not covered"
        out.print(f"root {result.root}: {result.manifests - 1} manifests, all but that of the pages{pages}")
