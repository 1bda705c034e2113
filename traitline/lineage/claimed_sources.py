"""What a card and the settings of a folder name as sources, as far as models and data of these names are registered.

A claim adds an origin and takes none away. So a fine-tune of the hub whose card names a base is a descendant of that
base as soon as the base is registered under its name on the hub.
"""

from collections.abc import Collection, Iterator
from pathlib import Path

from traitline.errors import InputError
from traitline.lineage import cards
from traitline.lineage.claims import BASE, DATA, JUDGE, TEACHER, Claim
from traitline.lineage.graph import Graph, open_graph
from traitline.lineage.index import folders_here, scan

ROLES = {BASE: "base", DATA: "data", TEACHER: "model", JUDGE: "judge"}


def claims_of(folder: Path) -> list[Claim]:
    """Claims that lie in a folder; a damaged file claims nothing."""
    result = list[Claim]()
    for name, reader in cards.READERS.items():
        if (folder / name).is_file():
            try:
                result += reader(folder / name)
            except (InputError, OSError):
                continue
    return [claim for claim in result if claim.relation in ROLES]


def claimed_sources(folder: Path, *, stated: Collection[str] = ()) -> tuple[list[str], list[tuple[str, Path]]]:
    """(names of bases on a hub, (role, file) of what is registered by the names that are claimed).

    Args:
        folder: of the model or the data.
        stated: roles of which somebody said what they are; claims about these add nothing.
    """
    claims = claims_of(folder)
    names = list(dict.fromkeys(c.target for c in claims if c.relation == BASE and c.is_hub))
    wanted = [c for c in claims if ROLES[c.relation] not in stated]
    folders = folders_here()
    if not wanted or not scan(folders)[0]:
        return names, []
    graph = open_graph(folders, None)
    return names, list(dict.fromkeys((ROLES[c.relation], file) for c in wanted for file in _registered(graph, c)))


def _registered(graph: Graph, claim: Claim) -> Iterator[Path]:
    """Files that are here of what a claim names: by its name on the hub at any commit, or by its hash."""
    kinds = ("data",) if claim.relation == DATA else ("model",)
    if claim.sha256 and (entry := graph.by_content(claim.sha256)):
        jobs = [job.id for job in graph.makers(entry.artifact_id)]
    else:
        query = "SELECT id FROM job WHERE lower(substr(origin, 1, ?)) = ?"
        start = f"hub:{claim.target.lower()}@"
        jobs = [i for (i,) in graph.db.execute(query, (len(start), start))]
    for job in jobs:
        for output in graph.outputs(job):
            file = Path(graph.job(job).file).parent / Path(output.path).name
            if output.kind in kinds and file.is_file():
                yield file
