"""Bases that are one because somebody states so: models of one commit of one repository on a hub.

Their tensors may differ: a tied head was stored or left out, a buffer was kept, one is of half the precision. Whoever
published them says that they are the same model.
"""

import re

from traitline.lineage.graph import Graph

# As `register` and the record of open weights state it.
STATED = re.compile(r"(?:hub:|open weights: )(?P<name>[\w.-]+/[\w.-]+)(?:@| at )(?P<commit>[0-9a-f]{40})", re.A)


def of_one_commit(graph: Graph) -> list[list[int]]:
    """Groups of models of which manifests state one repository and one commit; names of a hub know no capitals."""
    groups = dict[tuple[str, str], dict[int, None]]()
    rows = graph.db.execute(
        "SELECT DISTINCT job.origin, entry.artifact_id FROM job JOIN entry ON entry.job = job.id"
        " WHERE job.origin IS NOT NULL AND entry.output = 1 AND entry.kind = 'model'"
    )
    for origin, artifact_id in rows:
        if match := STATED.match(origin):
            groups.setdefault((match["name"].lower(), match["commit"]), {})[artifact_id] = None
    return [list(members) for members in groups.values() if len(members) > 1]
