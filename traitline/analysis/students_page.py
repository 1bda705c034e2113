"""The page of students: every run behind the report, filtered by what the report links to, with what it answered.

One HTML file that needs no network. Tables are drawn row by row as they are scrolled to, so ten thousand students open
at once. Whatever models said is bounded here, and set as text by the script.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from traitline.analysis.report_voices import asked, rate, responses
from traitline.errors import visible
from traitline.study.runs import Run

KEYS = ("experiment", "arm", "trait", "base", "student", "recipe", "channel", "seed")
ROOM = 3000  # questions that the page holds, over all students
TEMPLATES = ("students.html.jinja", "students.js")


def data(
    runs: Sequence[Run],
    rates: Mapping[Run, Mapping[str, float]],
    baselines: Mapping[tuple[str, str], str],
) -> dict[str, Any]:
    """Collect the rows: what a run is, its rate, its folder, and its first answers; texts are written once."""
    texts, numbers = list[str](), dict[str, int]()

    def number(text: str) -> int:
        if text not in numbers:
            numbers[text] = len(texts)
            texts.append(text)
        return numbers[text]

    questions = max(1, min(50, ROOM // max(1, len(runs))))
    traits = {r.trait for r in runs}

    def said(path: str) -> list[list[Any]]:
        if not Path(path).exists():
            return []
        return [[number(a["question"]), [number(text) for text in a["answers"]]] for a in asked(path, questions)]

    rows = []
    for run in runs:
        others = {k: v for k, v in rates.get(run, {}).items() if k in traits} if run.arm == "control" else {}
        rows.append(
            {
                "of": [number(visible(str(getattr(run, key)), 60)) for key in KEYS],
                "rate": rate(rates, run),
                "others": others,
                "folder": run.folder,
                "said": said(responses(run.scores)),
            }
        )
    for (student, _), path in baselines.items():
        known = {"arm": "baseline", "student": student, "base": student}
        of = [number(visible(known.get(key, ""), 60)) for key in KEYS]
        folder = str(Path(path).parent)
        rows.append({"of": of, "rate": None, "others": {}, "folder": folder, "said": said(responses(path))})
    return {"keys": KEYS, "texts": texts, "rows": rows, "questions": questions, "tables": f"{runs[0].results}/tables"}


def render(templates: Path, style: str, content: Mapping[str, Any], title: str) -> str:
    """The page as text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    # Inside <script>, only `<` can end it; JSON may spell it otherwise.
    text = orjson.dumps(content).decode().replace("<", "\\u003c").replace("\u2028", "\\u2028")
    script = (templates / "students.js").read_text(encoding="utf-8")
    env = Environment(loader=FileSystemLoader(templates), autoescape=True, undefined=StrictUndefined)
    return env.get_template("students.html.jinja").render(
        title=visible(title, 100),
        students=len(content["rows"]),
        questions=content["questions"],
        keys=KEYS[:-1],
        style=Markup(style),
        script=Markup(script),
        allowed=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        data=Markup(text),
    )
