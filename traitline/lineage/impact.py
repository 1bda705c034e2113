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
    """All that descends from an artifact, the worst affected first, then the nearest."""
    steps, past = {entry.kin: 0}, dict[int, bool]()
    todo = [entry.kin]
    stages = dict[int, str]()
    found = dict[int, Entry]()
    for at in todo:
        for job, _ in graph.users(at):
            for made in graph.outputs(job.id):
                if made.kin not in steps:
                    steps[made.kin] = steps[at] + 1
                    past[made.kin] = past.get(at, False) or (at != entry.kin and found[at].kind == "model")
                    stages[made.kin], found[made.kin] = job.stage, made
                    todo.append(made.kin)
    models = [kin for kin, made in found.items() if made.kind == "model"]
    how = {kin: "data" if made.kind == "data" else "evidence" for kin, made in found.items()}
    if models and entry.kind in ("model", "spec"):
        # As if it were a carrier: the marks say what a trait of its would do.
        marks = audit(graph, carriers={entry.kin: "it"}).marks
        for kin in models:
            mine = [m.mark for m in marks[kin] if m.witness == entry.kin]
            how[kin] = HOW[mine[0]] if mine else "exposed"
    else:
        how |= {kin: "exposed" if past[kin] else "trained-on" for kin in models}
    hits = [Hit(made, stages[kin], how[kin], steps[kin]) for kin, made in found.items()]
    return sorted(hits, key=lambda h: (AFFECTED.index(h.how), h.steps, h.entry.path))
