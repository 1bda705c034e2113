"""The lineage page: models at risk and the graph of a study, in one HTML file that needs no network.

It starts with a table of models, worst first, as `traitline audit` counts them; the graph stands beside it. Jobs are
nodes. Jobs that are alike (same stage and mark, made from parents that are alike) are one node until it is opened.
The script sets all that manifests say as text, never as HTML.
"""

import base64
import hashlib
from pathlib import Path
from typing import Any

import orjson

from traitline import atomic
from traitline.errors import visible
from traitline.lineage.audit import Audit
from traitline.lineage.graph import Graph
from traitline.lineage.marks import MARKS, MEANINGS
from traitline.lineage.page_data import data

FILES = Path(__file__).parent / "templates"
PARTS = [FILES / name for name in ("lineage.html.jinja", "lineage.css", "dagre.min.js", "lineage.js")]
STANDINGS = {
    "proven": "all manifests behind it are under a root that you trust",
    "recorded": "it rests on manifests of jobs that do not contradict each other",
    "claimed": "it rests on what people say",
    "unknown": "too little is known",
}


def render(graph: Graph, title: str, result: Audit | None = None) -> str:
    """The page as text."""
    return fill(data(graph, result), title)


def fill(content: dict[str, Any], title: str) -> str:
    """The page of what `page_data.data` collected, as text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    marks = [row["mark"] for row in content["models"]]
    # Inside <script>, only `<` can end it; JSON may spell it otherwise.
    text = orjson.dumps(content).decode().replace("<", "\\u003c").replace("\u2028", "\\u2028")
    script = "\n".join((FILES / name).read_text(encoding="utf-8") for name in ("dagre.min.js", "lineage.js"))
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    env = Environment(loader=FileSystemLoader(FILES), autoescape=True, undefined=StrictUndefined)
    return env.get_template("lineage.html.jinja").render(
        title=visible(title, 100),
        counts={mark: marks.count(mark) for mark in MARKS if mark in marks},
        meanings=MEANINGS,
        standings=STANDINGS,
        models=len(marks),
        jobs=len(content["jobs"]),
        style=Markup((FILES / "lineage.css").read_text(encoding="utf-8")),
        script=Markup(script),
        allowed=allowed,
        data=Markup(text),
    )


def write(graph: Graph, path: str | Path, title: str) -> None:
    """Write the page to a file, whole or not at all."""
    atomic.put(Path(path), render(graph, title))
