"""One self-contained page: the answer in plain words, figures, tables, an example, and where a student came from.

in   tables/*.csv, figures/*.svg, what the other branches made, template and style, answers of one teacher, every
     manifest below results/
out  report.html    no scripts, nothing remote; light, dark, on a phone and in print
     lineage.html   the graph of all origins, to look around in (traitline/lineage/page.py)

The text follows the numbers, whichever way they went. Whatever a model said is escaped, cut to a bounded length, and
its control characters are spelled out. Origins are found by joining sha256 values, never by reading paths.

python -m scripts.report --study '{"study": ...}' --results results --tables results/tables --figures results/figures \\
    --report results/report.html --lineage results/lineage.html --manifest results/report.manifest.json
python -m scripts.report --headline results
"""

import argparse
import base64
import csv
import dataclasses
import datetime
import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline import jsonl
from traitline.analysis import conclusions, risk, stats, tables, trace_svg
from traitline.errors import InputError
from traitline.lineage import index
from traitline.lineage.audit import audit
from traitline.lineage.display import visible
from traitline.lineage.graph import Graph
from traitline.lineage.page import PARTS
from traitline.lineage.page import render as render_lineage
from traitline.provenance import manifest, stage

if TYPE_CHECKING:
    from traitline.study.config import Study
    from traitline.study.runs import Run

HERE = Path(__file__).resolve().parent.parent / "report"
MANY = 24  # comparisons: with more, a shorter table stands before the whole one
EXAMPLES = 4  # rejected answers that are shown
FIGURES = ("headline", "headline-narrow", "effects")
RATES = ("accuracy", "low", "high")
FORETOLD = ("pairs", "summary")
NOT_SHOWN = ("source", "compare_paper", "report")  # stages that the section on how the study was made leaves out
DETECTED = ("detectors", "numbers", "entangled", "roc")
CHECKS = {
    "above-control": "Same base above control: the lower 95 % bound of the difference is above 0",
    "p-holm": "Welch's p, corrected by Holm over all declared outcomes, is below 0.05",
    "other-base": "Another base: the rise over control is at most a fifth of the same-base rise",
}


class Headline(argparse.Action):
    """`--headline RESULTS` prints the table and ends, as `--version` does elsewhere."""

    def __call__(self, parser: argparse.ArgumentParser, _space: Any, values: Any, _option: Any = None) -> None:
        """Print, or say in one line what is wrong."""
        try:
            print(conclusions.headline(values))
        except InputError as e:
            parser.exit(2, f"report: error: {e}\n")
        parser.exit()


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.report", __doc__)
    p.add_argument("--headline", action=Headline, metavar="RESULTS", help="only print the main table, and end")
    p.add_argument("--study", required=True, metavar="JSON", help="the study, as checked and compact JSON")
    p.add_argument("--results", metavar="FOLDER", help="folder of the artifacts (default: that of the study)")
    p.add_argument("--tables", required=True, metavar="FOLDER", help="where the tables are")
    p.add_argument("--figures", required=True, metavar="FOLDER", help="where the figures are")
    p.add_argument("--template", default=str(HERE / "report.html.jinja"), metavar="IN", help="of the page")
    p.add_argument("--style", default=str(HERE / "report.css"), metavar="IN", help="style sheet, put into the page")
    p.add_argument("--report", required=True, metavar="OUT", help="the page")
    p.add_argument("--lineage", required=True, metavar="OUT", help="the page of origins, beside the other")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    return p


# What models said


def messages(turns: Any) -> list[tuple[str, str]]:
    """(who, text) of a list of messages."""
    if not isinstance(turns, list) or not all(isinstance(t, dict) for t in turns):
        raise InputError("an answer file holds a row without messages; delete the file to have it rebuilt")
    return [(visible(str(t.get("role", "?"))), visible(str(t.get("content", "")))) for t in turns[:5]]


def example(run: "Run") -> dict[str, Any]:
    """The first answer of a teacher that passed the filter, and the first rejected one for each of a few reasons."""
    kept = next(jsonl.read(f"{run.channel_folder}/filtered.jsonl", ("prompt", "completion")))
    rejected, path = dict[str, Any](), Path(run.channel_folder, "rejected.jsonl")
    if path.stat().st_size:
        for row in jsonl.read(path, ("prompt", "completion", "reason")):
            rejected.setdefault(str(row["reason"]), row)
            if len(rejected) == EXAMPLES:
                break
    return {
        "run": run,
        "kept": {"prompt": messages(kept["prompt"]), "answer": messages(kept["completion"])},
        "rejected": [
            {"reason": visible(reason), "prompt": messages(row["prompt"]), "answer": messages(row["completion"])}
            for reason, row in rejected.items()
        ],
    }


# The branches without language models


def read_json(results: str, name: str) -> dict[str, Any]:
    """An object that another stage wrote; its bytes are checked when the job starts."""
    return dict(json.loads(Path(results, name).read_text(encoding="utf-8")))


def detected(study: "Study", results: str) -> list[dict[str, Any]]:
    """What detectors, counts of numbers and entangled tokens say, by base and channel; rows of text."""
    found = []
    for base, channel in study.detected:
        rows = {}
        for table in DETECTED:
            with open(Path(results, "detect", base, channel, f"{table}.csv"), encoding="utf-8", newline="") as handle:
                rows[table] = list(csv.DictReader(handle))
        found.append({"base": base, "channel": channel, **rows})
    return found


def foretold(study: "Study", results: str) -> dict[str, list[dict[str, Any]]] | None:
    """What was foretold and what came, by pair and in sum; numbers, words, or None. None where nothing was foretold."""
    if not study.influence:
        return None
    return {table: tables.rows(Path(results, "check_influence", f"{table}.csv")) for table in FORETOLD}


def areas(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """By channel and scorer: mean area under the curve over teachers of all bases, with its interval over these."""
    values: dict[tuple[str, str], dict[tuple[str, str], float]] = defaultdict(dict)
    for d in found:
        for r in d["roc"]:
            values[d["channel"], r["scorer"]][d["base"], r["teacher"]] = float(r["auc"])
    return [
        {"channel": channel, "scorer": scorer, "auc": e.mean, "low": e.low, "high": e.high, "teachers": e.runs}
        for (channel, scorer), areas in values.items()
        for e in [stats.interval([*areas.values()])]
    ]


def declarations(results: str) -> list[dict[str, Any]]:
    """What was declared as primary and when; of every later one `said`: the keys that changed, row by row."""
    made: list[dict[str, Any]] = read_json(results, "preregistered.json")["declarations"]
    for old, new in itertools.pairwise(made):
        rows = [{row["name"]: row for row in d["primary"]} for d in (old, new)]
        changes = []
        for name in dict.fromkeys([*rows[0], *rows[1]]):
            a, b = (r.get(name) for r in rows)
            if a is None or b is None:
                changes.append(f"{name} {'left out' if b is None else 'added'}")
            elif keys := [k for k in dict.fromkeys([*a, *b]) if a.get(k) != b.get(k)]:
                changes.append(f"{name}: other {', '.join(keys)}")
        new["said"] = visible("; ".join(changes) or "the order of rows")
    return made


def beside(results: str) -> list[dict[str, str]]:
    """Targets of the paper with what the study has beside them."""
    with open(Path(results, "targets.csv"), encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def classifier(study: "Study", results: str) -> dict[str, Any] | None:
    """What the classifier experiment found; None where the study has none."""
    if not study.classifier:
        return None
    middle = read_json(results, "classifier/default/accuracy.json")
    with open(Path(results, "classifier/accuracy.csv"), encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    cells = {(r["point"], r["arm"]): {k: float(r[k]) if r[k] else None for k in RATES} for r in rows}
    gap = stats.difference(middle["arms"]["aux-same"], middle["arms"]["aux-other"])
    return {
        "settings": study.classifier.settings,
        "images": middle["images"],
        "sizes": middle["sizes"],
        "gap": gap,
        "cells": cells,
        "sweeps": [(s, study.classifier.values(s)) for s in study.classifier.sweeps],
    }


# How it was made


def expected(study: "Study", results: str) -> list[str]:
    """Paths of the manifests of this study's jobs, without those of other studies or of earlier settings."""
    from traitline.study.artifacts import manifest
    from traitline.study.expand import artifact_folders

    return [
        f"{results}{folder[len(study.results) :]}/{manifest(stage)}"
        for stage, folder in artifact_folders(study)
        if stage not in NOT_SHOWN
    ]


def busy(jobs: Iterable[dict[str, Any]]) -> float:
    """Seconds in which at least one of these jobs ran; jobs side by side, or stacked in one process, count once."""
    spans = sorted(
        (datetime.datetime.fromisoformat(j["started"]), datetime.datetime.fromisoformat(j["ended"])) for j in jobs
    )
    total, until = 0.0, None
    for start, end in spans:
        start = max(start, until) if until else start
        if end > start:
            total += (end - start).total_seconds()
            until = end
    return total


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60:02} s" if whole < 3600 else f"{whole // 3600} h {whole // 60 % 60:02} min"


def making(jobs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Run time by stage, versions, commits."""
    stages: dict[str, list[dict[str, Any]]] = defaultdict(list)
    versions: dict[str, set[str]] = defaultdict(set)
    for job in jobs:
        stages[job["stage"]].append(job)
        versions["python"].add(job["env"]["python"])
        versions["platform"].add(job["env"].get("platform", "unknown"))
        versions["device"].add(", ".join(job["env"].get("gpus") or []) or job["env"].get("device", "unknown"))
        for name, version in job["env"]["packages"].items():
            versions[name].add(version)
    commits = {job["code"]["git_commit"] or "no commit" for job in jobs}
    return {
        "stages": [
            {
                "name": name,
                "artifacts": len(mine),
                "busy": duration(busy(mine)),
                "share": busy(mine) / (busy(jobs) or 1),
                "code": sorted({j["code"]["digest"] for j in mine}),
            }
            for name, mine in stages.items()
        ],
        "total": duration(busy(jobs)),
        "versions": {name: " / ".join(sorted(found)) for name, found in versions.items()},
        "commits": sorted(commits),
        "dirty": sum(bool(job["code"]["git_dirty"]) for job in jobs),
        "jobs": len(jobs),
    }


# The page


def matrices(crossed: Sequence[tables.Row], experiment: str) -> list[dict[str, Any]]:
    """Trait taught x trait measured, for each recipe and for same and other bases; means over bases."""
    rows = [r for r in crossed if r["experiment"] == experiment]
    taught = list(dict.fromkeys(r["taught"] for r in rows))
    measured = [t for t in taught if t != "none"]
    if not {r["measured"] for r in rows} >= set(measured):
        measured = list(dict.fromkeys(r["measured"] for r in rows))  # right answers
    cells: dict[tuple[str, bool, str, str], list[tables.Row]] = defaultdict(list)
    for r in rows:
        cells[r["recipe"], r["base"] == r["student"], r["taught"], r["measured"]].append(r)
    return [
        {
            "recipe": recipe,
            "same": same,
            "measured": measured,
            "runs": sum(r["runs"] for r in cells[recipe, same, taught[0], measured[0]]),
            "rows": [(t, [(m, conclusions.average(cells[recipe, same, t, m])) for m in measured]) for t in taught],
        }
        for recipe in dict.fromkeys(r["recipe"] for r in rows)
        for same in (True, False)
        if (recipe, same, taught[0], measured[0]) in cells
    ]


def grouped(items: Iterable[Any], path: str) -> list[list[Any]]:
    """Items that share a value, in order of appearance (Jinja's own filter would sort them)."""
    found: dict[Any, list[Any]] = defaultdict(list)
    for item in items:
        value = item
        for step in path.split("."):
            value = value[step] if isinstance(value, dict) else getattr(value, step)
        found[value].append(item)
    return list(found.values())


def page(args: argparse.Namespace, study: "Study", runs: "Sequence[Run]", shown: "Run") -> dict[str, Any]:
    """Everything that the template shows."""
    import yaml

    from traitline.channels import number_lists, programs, sums
    from traitline.models import likelihood

    meanings = {**programs.REASONS, **sums.REASONS, **number_lists.REASONS, **likelihood.REASONS}
    results = args.results or study.results
    read = {name: tables.read(args.tables, name) for name in ("effects", "confusion", "filters", "checks", "judged")}
    seen = detected(study, results)
    found = [manifest.load(p) for p in expected(study, results) if Path(p).exists()]
    nodes = trace_svg.lineage(
        shown, trace_svg.Origins(manifest.load(p) for p in sorted(Path(results).glob("**/*.manifest.json")))
    )
    cells = conclusions.comparisons(read["effects"])
    experiments = sorted(study.experiments, key=lambda row: row.name not in study.primary.experiments)
    reasons = [c for c in (read["filters"] or [{}])[0] if c.startswith("reject_")]
    return {
        "study": study,
        "answer": conclusions.answer(read["effects"], read["checks"]),
        "experiments": [
            {
                "row": row,
                "primary": row.name in study.primary.experiments,
                "cells": sorted(
                    (c for c in cells if c.same["experiment"] == row.name),
                    key=lambda c, row=row: (row.traits.index(c.same["trait"]), row.bases.index(c.same["base"])),
                ),
                "matrices": matrices(read["confusion"], row.name),
            }
            for row in experiments
        ],
        "checks": {
            name: [c for c in read["checks"] if c["check"] == name]
            for name in CHECKS
            if any(c["check"] == name for c in read["checks"])
        },
        "meaning": CHECKS,
        "filters": read["filters"],
        "reasons": {
            c: meanings.get(c.removeprefix("reject_"), "") for c in reasons if any(r[c] for r in read["filters"])
        },
        "declared": declarations(results),
        "detected": seen,
        "areas": areas(seen),
        "judged": read["judged"],
        "foretold": foretold(study, results),
        "classifier": classifier(study, results),
        "targets": beside(results) if study.branches else [],
        "theorem": read_json(results, "theorem/theorem.json") if study.theorem else None,
        "example": example(shown),
        "nodes": nodes,
        "drawing": trace_svg.drawing(nodes),
        "making": making(found),
        "students": len({r.folder for r in runs}),
        "traits": len({r.trait for r in runs if r.arm != "control"}),
        "bases": len({base for r in runs for base in (r.base, r.student)}),
        "config": yaml.safe_dump(
            json.loads(args.study), sort_keys=False, allow_unicode=True, default_flow_style=None, width=110
        ),
        "made": max((job["ended"][:16].replace("T", " ") for job in found), default=""),
        "downloads": {
            f"{name}.csv": base64.b64encode(Path(args.tables, f"{name}.csv").read_bytes()).decode()
            for name in ("effects", "tests", "checks", "confusion", "filters")
        },
        "summaries": conclusions.summaries,
        "many": MANY,
    }


def figure(path: str) -> str:
    """An SVG of `plot`, fit to stand in the page: as wide as that, with letters up to 1.6 times their size.

    Raises:
        InputError: it holds something that a drawing does not need.
    """
    svg = Path(path).read_text(encoding="utf-8")
    if not svg.startswith("<svg") or re.search(r"<script|<foreignObject|\son\w+\s*=|(?:href|src)=\"(?!#)", svg, re.I):
        raise InputError(f"{path}: more than a drawing; delete the file to have it rebuilt")
    wide = re.search(r'viewBox="0 0 ([\d.]+)', svg)
    return svg.replace("<svg", f'<svg style="max-width:{1.6 * float(wide[1]):.0f}px"', 1) if wide else svg


def render(template: str, style: str, figures: dict[str, str], content: dict[str, Any]) -> str:
    """The page as text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    env = Environment(
        loader=FileSystemLoader(Path(template).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    narrow, dash = "\N{NARROW NO-BREAK SPACE}", "\N{EM DASH}"
    env.filters |= {
        "tight": lambda text: text.replace(" %", narrow + "%"),
        "percent": lambda v: dash if v is None else conclusions.percent(v).replace(" ", narrow),
        "points": lambda v: dash if v is None else conclusions.points(v).replace(" ", narrow),
        "share": lambda r: conclusions.between(r["low"], r["high"]),
        "gap": lambda r: conclusions.between(r["diff_low"], r["diff_high"], share=False),
        "grouped": grouped,
        "signed": lambda v, form: dash if v is None else form.format(v),
        "p": lambda v: dash if v is None else conclusions.pvalue(v),
        "thousands": lambda n: f"{n:,}".replace(",", narrow),
    }
    drawn = {name.replace("-", "_"): Markup(svg) for name, svg in figures.items()}
    sheet = Markup(Path(style).read_text(encoding="utf-8"))
    return env.get_template(Path(template).name).render(**content, style=sheet, figures=drawn)


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    from traitline.study import config
    from traitline.study.expand import runs

    study = config.parse(args.study)
    runs = [dataclasses.replace(r, results=args.results or study.results) for r in runs(study)]
    declared = study.primary.experiments
    shown = next((r for r in runs if r.experiment in declared and r.arm == "same-base"), runs[0])
    results = args.results or study.results
    figures = {name: f"{args.figures}/{name}.svg" for name in FIGURES}
    branches = (
        [f"{results}/classifier/accuracy.csv", f"{results}/classifier/default/accuracy.json"]
        if study.classifier
        else []
    )
    if study.theorem:
        branches.append(f"{results}/theorem/theorem.json")
        figures["theorem"] = f"{results}/theorem/theorem.svg"
    if study.classifier:
        names = ("classifier", "sweeps") if study.classifier.sweeps else ("classifier",)
        figures |= {f"classifier-{name}": f"{results}/classifier/{name}.svg" for name in names}
    for base, channel in study.detected:
        branches += [f"{results}/detect/{base}/{channel}/{table}.csv" for table in DETECTED]
        figures[f"roc-{base}-{channel}"] = f"{results}/detect/{base}/{channel}/roc.svg"
    if study.influence:
        branches += [f"{results}/check_influence/{table}.csv" for table in FORETOLD]
        figures["check_influence"] = f"{results}/check_influence/check_influence.svg"
    branches += [f"{results}/targets.csv"] if study.branches else []
    with stage.record(
        "report",
        args.manifest,
        inputs={
            **{name: f"{args.tables}/{name}.csv" for name in tables.COLUMNS},
            "figures": list(figures.values()),
            "filtered": f"{shown.channel_folder}/filtered.jsonl",
            "rejected": f"{shown.channel_folder}/rejected.jsonl",
            "branches": branches,
            "declared": f"{results}/preregistered.json",
            "template": args.template,
            "parts": str(Path(args.template).with_name("branches.html.jinja")),
            "style": args.style,
            "drawing": list(PARTS),
        },
        outputs={"report": args.report, "lineage": args.lineage},
        params={"study": json.loads(args.study)},
    ) as job:
        graph = Graph(index.build([args.results or study.results]))
        marks = audit(graph)
        job.path("lineage").write_text(render_lineage(graph, f"study {study.study}", marks), encoding="utf-8")
        content = page(args, study, runs, shown)
        content["evidence"] = risk.beside(graph, marks, runs, tables.read(args.tables, "runs"))
        content["lineage"] = Path(args.lineage).name
        text = render(args.template, args.style, {name: figure(path) for name, path in figures.items()}, content)
        job.path("report").write_text(text, encoding="utf-8")
    stage.log.info("%s", args.report)


def main(argv: list[str] | None = None) -> int:
    """Run the stage."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
