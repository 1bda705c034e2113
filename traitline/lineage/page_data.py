"""What the lineage page shows: jobs, groups of jobs that are alike, and models with their marks.

All that manifests say is untrusted text: bounded and spelled out here, once for each distinct text.
"""

import collections
import json
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

import orjson

from traitline.errors import visible
from traitline.lineage.audit import MOST_MARKS, Audit, audit
from traitline.lineage.graph import Entry, Graph
from traitline.lineage.marks import MARKS, Mark
from traitline.lineage.parallel import uncollected

LONGEST = 2000  # characters of a job's settings on the page
SHOWN = 60  # files of a job that are listed


class Texts:
    """Texts of the page: each is made visible and written once, jobs name it by its number."""

    def __init__(self) -> None:
        self.list = list[str]()
        self._numbers = dict[tuple[str, int], int]()
        self._values = dict[bytes, int]()

    def number(self, text: str, longest: int) -> int:
        """Number of a text, bounded to so many characters."""
        key = (text[: longest + 1], longest)
        if key not in self._numbers:
            self._numbers[key] = len(self.list)
            self.list.append(visible(text, longest))
        return self._numbers[key]

    def json(self, value: Any) -> int:
        """Number of a value as JSON with spaces, which is written once for each distinct value."""
        key = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        if key not in self._values:
            self._values[key] = self.number(json.dumps(value, sort_keys=True), LONGEST)
        return self._values[key]


@uncollected()
def data(graph: Graph, result: Audit | None = None) -> dict[str, Any]:
    """Collect what the page draws.

    Returns:
        `texts`; `jobs` (stage, label, sha, mark, trait, parents, group, details), whose details name texts by number;
        `groups` (stage, mark, column); `models` (job, mark, trait, standing, reason, witness: a job), worst first.
    """
    result = result or audit(graph)
    ids = [i for (i,) in graph.db.execute("SELECT id FROM job ORDER BY id")]
    number = {job: n for n, job in enumerate(ids)}
    inputs, outputs = _entries(graph)
    makers, readers, names = dict[int, list[int]](), dict[int, int](), dict[int, Entry]()
    for job in ids:
        for e in outputs[job]:
            makers.setdefault(e.artifact_id, []).append(job)
            names.setdefault(e.artifact_id, e)
    for job in ids:
        for e in inputs[job]:
            readers.setdefault(e.artifact_id, job)
            names.setdefault(e.artifact_id, e)
    parents = {job: sorted({m for e in inputs[job] for m in makers.get(e.artifact_id, ())} - {job}) for job in ids}
    texts, nodes, marks = Texts(), list[dict[str, Any]](), dict[int, str]()
    for job in ids:
        marked = [e.artifact_id for e in outputs[job] if e.artifact_id in result.marks]
        worst = min(marked, key=lambda a: result.marks[a][0].rank, default=None)
        mark = result.marks[worst][0] if worst is not None else None
        marks[job] = mark.mark if mark else ""
        main = _main(outputs[job])
        nodes.append(
            {
                "stage": visible(graph.job(job).stage, 40),
                "label": visible(main.path if main else graph.job(job).file, 200),
                "sha": main.sha256[:16] if main else "",
                "mark": marks[job],
                "trait": visible(mark.trait if mark else "", 40),
                "parents": [number[p] for p in parents[job]],
                "details": details(graph, job, result.standing(worst) if worst is not None else None, texts),
            }
        )
    groups, columns = alike(graph, ids, parents, marks)
    for job, entry in zip(ids, nodes, strict=True):
        entry["group"] = groups[job]
    firsts = {groups[job]: job for job in reversed(ids)}

    def job_of(artifact_id: int) -> int | None:
        job = next(iter(makers.get(artifact_id, ())), readers.get(artifact_id))
        return None if job is None else number[job]

    return {
        "texts": texts.list,
        "jobs": nodes,
        "groups": [
            {"stage": nodes[number[job]]["stage"], "mark": marks[job], "column": columns[g]}
            for g, job in sorted(firsts.items())
        ],
        "models": models(result, names, job_of),
    }


def _entries(graph: Graph) -> tuple[dict[int, list[Entry]], dict[int, list[Entry]]]:
    """(job -> what it read, job -> what it wrote), without support files; one question for all jobs."""
    inputs = collections.defaultdict[int, list[Entry]](list)
    outputs = collections.defaultdict[int, list[Entry]](list)
    for job, output, *entry in graph.db.execute(
        "SELECT e.job, e.output, e.role, e.kind, e.path, c.sha256, e.artifact_id"
        " FROM entry e JOIN content c ON c.id = e.content WHERE e.kind != 'support' ORDER BY e.rowid"
    ):
        (outputs if output else inputs)[job].append(Entry(*entry))
    return inputs, outputs


def _main(outputs: list[Entry]) -> Entry | None:
    """The output that names a job."""
    main = next((e for kind in ("model", "spec", "data") for e in outputs if e.kind == kind), None)
    return main or next(iter(outputs), None)


def models(result: Audit, names: Mapping[int, Entry], job_of: Callable[[int], int | None]) -> list[dict[str, Any]]:
    """Collect the rows of the table: every model, as `audit` counts them, worst first, with what proves its mark."""
    rows = list[tuple[int, str, dict[str, Any]]]()
    for artifact_id in result.models:
        worst: Mark = result.marks[artifact_id][0]
        entry = names[artifact_id]
        row = {
            "job": job_of(artifact_id),
            "path": visible(entry.path, 200),
            "mark": worst.mark,
            "traits": sorted({visible(m.trait, 40) for m in islice(result.marks[artifact_id], MOST_MARKS) if m.trait}),
            "standing": result.standing(artifact_id),
            "reason": visible(result.reason(worst) or "", 300),
            "witness": job_of(worst.witness),
            "self": worst.witness == artifact_id,
        }
        rows.append((MARKS.index(worst.mark), entry.path, row))
    return [row for _, _, row in sorted(rows, key=lambda r: r[:2])]


def details(graph: Graph, job: int, standing: str | None, texts: Texts) -> dict[str, Any]:
    """Collect the details that a click on a job shows; its texts by their numbers."""
    m = graph.job(job).manifest
    code, env = m["code"], m["env"]
    facts = {
        "manifest": graph.job(job).file,
        **({"its mark is": standing} if standing else {}),
        "code": f"{code.get('digest')} at {str(code.get('git_commit') or 'no commit')[:12]}"
        + (" with uncommitted changes" if code.get("git_dirty") else ""),
        "ran": f"{env.get('host')}, {env.get('device')}, {str(m.get('started'))[:19]} to {str(m.get('ended'))[:19]}",
    }
    if env.get("slurm_job_id"):
        facts["Slurm job"] = str(env["slurm_job_id"])
    files = [(verb, e) for verb, key in (("read", "inputs"), ("wrote", "outputs")) for e in m[key]]
    return {
        "said": {key: texts.number(value, LONGEST) for key, value in facts.items()}
        | {key: texts.json(m[key]) for key in ("params", "seeds", "facts") if m[key]}
        | {"packages": texts.json(env.get("packages"))},
        "files": [
            [
                texts.number(f"{verb} {e['role']}", 46),
                texts.number(e["path"], 300),
                texts.number(e["sha256"], 64),
                e["bytes"],
            ]
            for verb, e in files[:SHOWN]
        ],
        "more": max(0, len(files) - SHOWN),
    }


def alike(
    graph: Graph, ids: list[int], parents: dict[int, list[int]], marks: dict[int, str]
) -> tuple[dict[int, int], dict[int, int]]:
    """Group jobs that are alike: (job -> group, group -> column). A job is right of its parents; circles are cut."""
    groups, columns, keys = dict[int, int](), dict[int, int](), dict[Any, int]()
    on_the_way = set[int]()
    for start in ids:
        todo = [start]
        while todo:
            job = todo[-1]
            on_the_way.add(job)
            above = [p for p in parents[job] if p not in groups and p not in on_the_way]
            if job not in groups and above:
                todo += above
                continue
            todo.pop()
            on_the_way.discard(job)
            if job in groups:
                continue
            from_groups = tuple(sorted({groups[p] for p in parents[job] if p in groups}))
            group = keys.setdefault((graph.job(job).stage, marks[job], from_groups), len(keys))
            groups[job] = group
            columns[group] = max((columns[g] + 1 for g in from_groups if g != group), default=0)
    return groups, columns
