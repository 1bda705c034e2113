"""What `trace --row` prints: the way from a number in a table back to its data."""

from typing import TYPE_CHECKING

from traitline.cli.options import OBJECTION, write_json
from traitline.errors import visible
from traitline.plurals import counted

if TYPE_CHECKING:
    from traitline.lineage.graph import Graph


def trace_number(graph: "Graph", table: str, row: str, *, as_json: bool) -> int:
    """Print what a row of a table was computed from; returns the exit code."""
    from traitline.lineage import display
    from traitline.lineage.number import ancestors, anchor, number

    answer = number(table, row)
    changed = [s for group in answer.sources.values() for s in group if s.is_changed]
    behind = {name: ancestors(graph, group) for name, group in answer.sources.items()}
    if as_json:
        scores = {name: [{"path": s.path, "sha256": s.sha256} for s in group] for name, group in answer.sources.items()}
        about = {"table": table, "address": anchor(table, answer.row), "row": dict(answer.row)}
        write_json("trace-number", about | {"scores": scores, "behind": behind, "changed": [s.path for s in changed]})
        return OBJECTION if changed else 0
    out = display.console()
    out.print(f"{visible(table)}#{anchor(table, answer.row)}", style="bold")
    for name, kinds in behind.items():
        out.print(f"{name}: {counted(len(answer.sources[name]), 'file')} of scores")
        for kind, paths in kinds.items():
            out.print(f"  {kind} ({len(paths)})")
            for path in paths:
                out.print(f"    {visible(path)}")
    for source in changed:
        out.print(f"changed  {visible(source.path)}: not what the number was computed from")
    return OBJECTION if changed else 0
