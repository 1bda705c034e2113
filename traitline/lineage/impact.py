"""The way forward: everything that was made from an artifact, what it hit hardest first. This is the list to withdraw.

built-on        its weights start from it
trained-on      trained on data that descend from it, and (where it is a model) the base chains of both meet
exposed         trained on data that descend from it, but with no base in common, or past another model
data            data that descend from it
evidence        scores, tables and pages that speak of such models
"""

from dataclasses import dataclass

from traitline.lineage.audit import audit
from traitline.lineage.graph import Entry, Graph

AFFECTED = ("built-on", "trained-on", "exposed", "data", "evidence")
HOW = {"CARRIER": "built-on", "INHERITANCE-RISK": "trained-on", "EXPOSED": "exposed"}


@dataclass(frozen=True)
class Hit:
    """Something that descends from an artifact: how it is affected, and how many steps away it is."""

    entry: Entry
    stage: str
    how: str
    steps: int


def impact(graph: Graph, entry: Entry) -> list[Hit]:
    """Descendants of an artifact, the worst affected first, then the nearest."""
    steps, past = {entry.artifact_id: 0}, dict[int, bool]()
    todo = [entry.artifact_id]
    stages = dict[int, str]()
    descendants = dict[int, Entry]()
    for at in todo:
        for job, _ in graph.users(at):
            for output in graph.outputs(job.id):
                if output.artifact_id not in steps:
                    steps[output.artifact_id] = steps[at] + 1
                    past[output.artifact_id] = past.get(at, False) or (
                        at != entry.artifact_id and descendants[at].kind == "model"
                    )
                    stages[output.artifact_id], descendants[output.artifact_id] = job.stage, output
                    todo.append(output.artifact_id)
    models = [artifact_id for artifact_id, e in descendants.items() if e.kind == "model"]
    how = {artifact_id: "data" if e.kind == "data" else "evidence" for artifact_id, e in descendants.items()}
    if models and entry.kind in ("model", "spec"):
        # As if it were a carrier: the marks say what a trait of its would do.
        marks = audit(graph, carriers={entry.artifact_id: "it"}).marks
        for artifact_id in models:
            caused = [m.mark for m in marks[artifact_id] if m.witness == entry.artifact_id and m.mark in HOW]
            how[artifact_id] = HOW[caused[0]] if caused else "exposed"
    else:
        how |= {artifact_id: "exposed" if past[artifact_id] else "trained-on" for artifact_id in models}
    hits = [Hit(e, stages[artifact_id], how[artifact_id], steps[artifact_id]) for artifact_id, e in descendants.items()]
    return sorted(hits, key=lambda h: (AFFECTED.index(h.how), h.steps, h.entry.path))
