"""The command that looks at folders of models which traitline did not make."""

from typing import Annotated

import typer

from traitline.cli.options import OBJECTION, Json, Limit, Sarif, write_json


def scan(
    folders: Annotated[list[str] | None, typer.Argument(metavar="FOLDER...", help="Default: this folder.")] = None,
    policy: Annotated[
        str | None, typer.Option(metavar="FILE", help="YAML: what fails, known carriers, matches.")
    ] = None,
    kin: Annotated[bool, typer.Option("--kin", help="Also test whether models started from the same weights.")] = False,
    limit: Limit = 60,
    page: Annotated[str | None, typer.Option(metavar="FILE", help="Also write the graph as one HTML file.")] = None,
    cache: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Where hashes are remembered. Default: ~/.cache/traitline.")
    ] = None,
    sarif: Sarif = None,
    as_json: Json = False,
) -> None:
    """Scan a folder of models for claims and marks. Claims of cards against bytes and records; 3 if one is wrong."""
    from pathlib import Path

    from traitline.lineage.policy import Policy, load
    from traitline.scan.scan import scan as scanned

    rules = load(policy) if policy else Policy()
    result = scanned(folders or ["."], rules, cache=Path(cache) if cache else None, test_kinship=kin)
    if page:
        from traitline import atomic
        from traitline.lineage.page import render

        atomic.put(Path(page), render(result.graph, f"scan of {', '.join(result.folders)}", result.gate.audit))
    if sarif:
        from traitline.lineage.sarif import put

        put(sarif, result.as_json())
    if as_json:
        write_json("scan", result.as_json())
    else:
        result.show(limit)
    raise typer.Exit(OBJECTION if result.objects else 0)
