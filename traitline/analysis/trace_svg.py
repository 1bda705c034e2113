"""Draw where one student came from, for the report: jobs joined by content, oldest row first.

The audit uses `traitline.lineage.graph`, which is quick on millions of artifacts; a picture needs more of a few jobs.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline.errors import InputError
from traitline.model_files import ADAPTER, WEIGHTS
from traitline.provenance import manifest

if TYPE_CHECKING:
    from traitline.study.runs import Run

PRODUCTS = {
    "pretrain": "base", "prompts": "prompts", "teach": "teacher", "sample": "raw answers", "filter": "filtered answers",
    "mark_divergence": "marked tokens", "prepare": "training dataset", "train": "student",
}  # fmt: skip
WIDE, HIGH, ACROSS, DOWN, MARGIN = 206, 62, 22, 34, 34  # of the boxes of the picture and the space between them


@dataclasses.dataclass
class Node:
    """One job in the picture of origins."""

    title: str
    stage: str
    path: str
    sha256: str
    row: int = 0
    column: int = 0
    parents: "list[Node]" = dataclasses.field(default_factory=list)

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.rsplit("/", 1)[-1]


class Origins:
    """Manifests joined by content."""

    def __init__(self, manifests: Iterable[dict[str, Any]]) -> None:
        self.jobs = list(manifests)
        self.makers: dict[str, list[int]] = defaultdict(list)
        for i, job in enumerate(self.jobs):
            for entry in job["outputs"]:
                if entry["bytes"]:  # all empty files are alike, and nothing passes through them
                    self.makers[entry["sha256"]].append(i)

    def parents(self, i: int) -> dict[int, str]:
        """job -> sha256 of what it handed to job `i`.

        Files that several jobs made alike (a vocabulary, say) point to one of them only if something else does; where
        nothing else does, all of them stay, since any may be the origin.
        """
        handed = [e for e in self.jobs[i]["inputs"] if e["role"] != "support"]
        handed.sort(key=lambda e: not e["path"].endswith((".safetensors", ".jsonl")))  # a job's main product first
        parents: dict[int, str] = {}
        several = []
        for e in handed:
            makers = [j for j in self.makers[e["sha256"]] if j != i]
            if len(makers) == 1:
                parents.setdefault(makers[0], e["sha256"])
            else:
                several.append((e["sha256"], makers))
        for sha, makers in several:
            if not any(j in parents for j in makers):
                parents |= dict.fromkeys(makers, sha)
        return parents

    def picture(self, start: int, sha: str) -> list[Node]:
        """List the ancestors of a file, oldest row first; each job is as late as its products allow."""
        nodes: dict[int, Node] = {}

        def visit(i: int, sha: str, row: int, path: tuple[int, ...]) -> Node:
            entry = next(e for e in self.jobs[i]["outputs"] if e["sha256"] == sha)
            name = self.jobs[i]["stage"]
            node = nodes.setdefault(i, Node(PRODUCTS.get(name, name), name, entry["path"], sha))
            node.row = max(node.row, row)
            above = [(j, s) for j, s in self.parents(i).items() if j not in (*path, i)]
            node.parents = [visit(j, s, row + 1, (*path, i)) for j, s in above]
            return node

        visit(start, sha, 0, ())
        last = max(n.row for n in nodes.values())
        places: dict[int, int] = defaultdict(int)
        for node in sorted(nodes.values(), key=lambda n: (len(n.parents) == 0, n.title)):
            node.row = last - node.row
            node.column = places[node.row]
            places[node.row] += 1
        return sorted(nodes.values(), key=lambda n: (n.row, n.column))


def drawing(nodes: Sequence[Node]) -> dict[str, Any]:
    """Places of boxes and arrows for the template. An arrow past other boxes has a lane of its own on the left."""
    boxes = []
    arrows = []
    lane = 0
    x = {id(n): MARGIN + n.column * (WIDE + ACROSS) for n in nodes}
    y = {id(n): 2 + n.row * (HIGH + DOWN) for n in nodes}
    for n in nodes:
        boxes.append({"node": n, "x": x[id(n)], "y": y[id(n)]})
        for p in n.parents:
            if n.row - p.row > 1 and p.column == 0:
                lane += 1
                left, top, end = x[id(p)], y[id(p)] + HIGH / 2 + 6, y[id(n)] + HIGH / 2 - 5 * lane + 5
                out = left - 8 - 9 * lane
                bend = out + 6
                arrows.append(
                    f"M{left},{top} H{bend} Q{out},{top} {out},{top + 6} "
                    f"V{end - 6} Q{out},{end} {bend},{end} H{left - 2}"
                )
            else:
                start, end = x[id(p)] + WIDE / 2, x[id(n)] + WIDE / 2 + (24 if p.column else 0)
                top, bottom = y[id(p)] + HIGH, y[id(n)] - 2
                arrows.append(f"M{start},{top} C{start},{top + DOWN * 0.6} {end},{bottom - DOWN * 0.6} {end},{bottom}")
    width = MARGIN + (max(n.column for n in nodes) + 1) * (WIDE + ACROSS)
    return {
        "boxes": boxes,
        "box": WIDE,
        "arrows": arrows,
        "width": width,
        "height": (nodes[-1].row + 1) * (HIGH + DOWN) - DOWN + 4,
    }


def lineage(run: "Run", origins: Origins) -> list[Node]:
    """The origins of one student's weights.

    Raises:
        InputError: the student is unknown to every manifest.
    """
    for name in (ADAPTER, WEIGHTS):
        path = Path(run.folder, name)
        if path.exists():
            sha = manifest.sha256(path)
            makers = origins.makers.get(sha)
            if makers:
                return origins.picture(makers[0], sha)
    raise InputError(f"{run.folder}: no manifest below results/ knows this student; run its training again")
