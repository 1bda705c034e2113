"""Shared parts of commands: options, an exit code, the graph they ask, JSON."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from traitline.cli.naming import folder_of_study, folders_of_studies, refuse_folders

if TYPE_CHECKING:
    from traitline.lineage.graph import Entry, Graph


OBJECTION = 3  # exit code: the command worked, and there is something to object to
Artifact = Annotated[
    str, typer.Argument(help="A file, a model folder, a recorded path, or the first digits of a sha256.")
]
Folders = Annotated[
    list[str] | None,
    typer.Option(
        "--in",
        metavar="STUDY",
        callback=folders_of_studies,
        help="Configuration or folder with manifests; may be repeated. Default: results studies registry.",
    ),
]
Index = Annotated[str | None, typer.Option(metavar="FILE", help="Ask an index on disk (`traitline index`) instead.")]
Configs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CONFIG...",
        callback=refuse_folders,
        help="Configuration of the study, laid over config.yaml in turn. Default: config.yaml alone.",
    ),
]
Folder = Annotated[
    str,
    typer.Argument(
        metavar="STUDY", callback=folder_of_study, help="Configuration of a study, or folder of its artifacts."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Sarif = Annotated[str | None, typer.Option(metavar="FILE", help="Also write SARIF 2.1.0, for code hosts.")]
Limit = Annotated[int, typer.Option(min=0, help="Rows shown; --json has all.")]


def write_json(schema: str, value: dict[str, Any]) -> None:
    """Print a value as indented JSON with sorted keys, under the name of its shape: see `schemas`."""
    json.dump({"schema": f"traitline-{schema}/1"} | value, sys.stdout, indent=1, sort_keys=True)
    print()


def print_cut(rows: list[Any], limit: int) -> None:
    """Say how many rows were not shown."""
    if len(rows) > limit:
        print(f"and {len(rows) - limit} more; --limit or --json shows them", flush=True)


def described(entry: "Entry") -> dict[str, str]:
    """An artifact as JSON has it."""
    return {"artifact": entry.path, "sha256": entry.sha256, "kind": entry.kind}


def graph_of(folders: list[str] | None, index: str | None) -> "Graph":
    """The graph that `--in` or `--index` asks for."""
    from traitline.lineage.graph import open_graph

    return open_graph(folders, index)
