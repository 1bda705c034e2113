"""The lineage page: the graph of a study in one HTML file that needs no network and runs no code but its own.

Jobs are nodes. Jobs that are alike (same stage and mark, made from parents that are alike) are one node until it is
opened. All that manifests say is untrusted text: bounded, spelled out, set by the script as text, never as HTML.
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from traitline import atomic
from traitline.errors import visible
from traitline.lineage.audit import MARKS, Audit, audit
from traitline.lineage.graph import Entry, Graph

FILES = Path(__file__).parent / "templates"
PARTS = [FILES / f"lineage.{part}" for part in ("html.jinja", "js", "css")]
LONGEST = 2000  # characters of a job's settings on the page
SHOWN = 60  # files of a job that are listed


def data(graph: Graph, result: Audit | None = None) -> dict[str, Any]:
    """Collect the nodes that the page draws.

    Returns:
        `jobs` (number, stage, label, mark, trait, parents, group, details) and `groups` (number, stage, mark, column).
    """
    result = result or audit(graph)
    ids = [i for (i,) in graph.db.execute("SELECT id FROM job ORDER BY id")]
    number = {job: n for n, job in enumerate(ids)}
    inputs = {job: graph.inputs(job) for job in ids}
    makers = {e.artifact_id: graph.makers(e.artifact_id) for job in ids for e in inputs[job]}
    parents = {job: sorted({m.id for e in inputs[job] for m in makers[e.artifact_id]} - {job}) for job in ids}
    nodes, marks = list[dict[str, Any]](), dict[int, str]()
    for job in ids:
        outputs = graph.outputs(job)
        output_marks = [result.marks[e.artifact_id][0] for e in outputs if e.artifact_id in result.marks]
        worst = min(output_marks, key=lambda m: m.rank, default=None)
        marks[job] = worst.mark if worst else ""
        main = next((e for kind in ("model", "spec", "data") for e in outputs if e.kind == kind), None)
        main = main or next(iter(outputs), None)
        nodes.append(
            {
                "stage": visible(graph.job(job).stage, 40),
                "label": visible(main.path if main else graph.job(job).file, 200),
                "sha": main.sha256[:12] if main else "",
                "mark": marks[job],
                "trait": visible(worst.trait if worst else "", 40),
                "parents": [number[p] for p in parents[job]],
                "details": details(graph, job, _standing(result, outputs)),
            }
        )
    groups, columns = alike(graph, ids, parents, marks)
    for job, entry in zip(ids, nodes, strict=True):
        entry["group"] = groups[job]
    firsts = {groups[job]: job for job in reversed(ids)}
    return {
        "jobs": nodes,
        "groups": [
            {"stage": nodes[number[job]]["stage"], "mark": marks[job], "column": columns[g]}
            for g, job in sorted(firsts.items())
        ],
    }


def _standing(result: Audit, outputs: list[Entry]) -> str | None:
    """Standing of the worst mark of a job's outputs; None where none is marked."""
    marked = [e.artifact_id for e in outputs if e.artifact_id in result.marks]
    return result.standing(min(marked, key=lambda a: result.marks[a][0].rank)) if marked else None


def details(graph: Graph, job: int, standing: str | None) -> dict[str, Any]:
    """Collect the details that a click on a job shows."""
    m = graph.job(job).manifest
    code, env = m["code"], m["env"]
    facts = {
        "manifest": graph.job(job).file,
        **({"its mark is": standing} if standing else {}),
        **{key: json.dumps(m[key], sort_keys=True) for key in ("facts", "params", "seeds") if m[key]},
        "code": f"{code.get('digest')} at {str(code.get('git_commit') or 'no commit')[:12]}"
        + (" with uncommitted changes" if code.get("git_dirty") else ""),
        "ran": f"{env.get('host')}, {env.get('device')}, {str(m.get('started'))[:19]} to {str(m.get('ended'))[:19]}",
        "packages": json.dumps(env.get("packages")),
    }
    if env.get("slurm_job_id"):
        facts["Slurm job"] = str(env["slurm_job_id"])
    files = [(verb, e) for verb, key in (("read", "inputs"), ("wrote", "outputs")) for e in m[key]]
    return {
        "said": {key: visible(value, LONGEST) for key, value in facts.items()},
        "files": [
            [verb, visible(e["role"], 40), visible(e["path"], 300), e["sha256"], e["bytes"]]
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


def render(graph: Graph, title: str, result: Audit | None = None) -> str:
    """The page as text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    content = data(graph, result)
    counts = {mark: sum(job["mark"] == mark for job in content["jobs"]) for mark in MARKS}
    # Inside <script>, only `<` can end it; JSON may spell it otherwise.
    text = json.dumps(content, separators=(",", ":")).replace("<", "\\u003c").replace("\u2028", "\\u2028")
    script = (FILES / "lineage.js").read_text(encoding="utf-8")
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    env = Environment(loader=FileSystemLoader(FILES), autoescape=True, undefined=StrictUndefined)
    return env.get_template("lineage.html.jinja").render(
        title=visible(title, 100),
        counts={mark: n for mark, n in counts.items() if n},
        jobs=len(content["jobs"]),
        style=Markup((FILES / "lineage.css").read_text(encoding="utf-8")),
        script=Markup(script),
        allowed=allowed,
        data=Markup(text),
    )


def write(graph: Graph, path: str | Path, title: str) -> None:
    """Write the page to a file, whole or not at all."""
    atomic.put(Path(path), render(graph, title))
