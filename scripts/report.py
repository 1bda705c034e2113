"""One self-contained page: the answer in plain words, figures, tables, an example, and where a student came from.

in   tables/*.csv, figures/*.svg, what the other branches made, template and style, answers of one teacher, every
     manifest below results/
out  report.html    no scripts, nothing remote; light, dark, on a phone and in print
     lineage.html   the graph of all origins, to look around in (traitline/lineage/page.py)
     students.html  every run with what it answered, to filter and browse (traitline/analysis/students_page.py)

The text follows the numbers, whichever way they went. Whatever a model said is escaped, cut to a bounded length, and
its control characters are spelled out. Origins are found by joining sha256 values, never by reading paths.

python -m scripts.report --study '{"study": ...}' --results results --tables results/tables --figures results/figures \\
    --report results/report.html --lineage results/lineage.html --manifest results/report.manifest.json
python -m scripts.report --headline results
"""

import argparse
import dataclasses
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline import json_files
from traitline.analysis import headline, report_voices, risk, students_page, tables
from traitline.analysis.report_branches import DETECTION, INFLUENCE
from traitline.analysis.report_content import content
from traitline.analysis.report_decoder import DECODING
from traitline.analysis.report_page import figure, render
from traitline.errors import InputError
from traitline.lineage import index, seal
from traitline.lineage.audit import audit
from traitline.lineage.graph import Graph
from traitline.lineage.page import PARTS
from traitline.lineage.page import render as render_lineage
from traitline.provenance import stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from traitline.study.config import Study
    from traitline.study.runs import Run

HERE = Path(__file__).resolve().parent.parent / "report"
PARTIALS = ("branches.html.jinja", "intro.html.jinja", "voices.html.jinja", *students_page.TEMPLATES)
FIGURES = ("headline", "headline-narrow", "effects")


class Headline(argparse.Action):
    """`--headline RESULTS` prints the table and ends, as `--version` does elsewhere."""

    def __call__(self, parser: argparse.ArgumentParser, _space: Any, values: Any, _option: Any = None) -> None:
        """Print, or say in one line what is wrong."""
        try:
            columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else headline.WIDEST
            print(headline.headline(values, columns))
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
    p.add_argument("--students", metavar="OUT", help="the page of students (default: students.html beside the report)")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    return p


def drawings(study: "Study", folder: str, results: str) -> dict[str, str]:
    """Name of a figure in the template -> its file."""
    paths = {name: f"{folder}/{name}.svg" for name in FIGURES}
    if study.theorem:
        paths["theorem"] = f"{results}/theorem/theorem.svg"
    if study.classifier:
        names = ("classifier", "sweeps") if study.classifier.sweeps else ("classifier",)
        paths |= {f"classifier-{name}": f"{results}/classifier/{name}.svg" for name in names}
    for base, channel in study.detections:
        paths[f"roc-{base}-{channel}"] = f"{results}/detect/{base}/{channel}/roc.svg"
    for base, channel in study.decodings:
        paths[f"decode-{base}-{channel}"] = f"{results}/decode/{base}/{channel}/decode.svg"
    if study.influence:
        paths["check_influence"] = f"{results}/check_influence/check_influence.svg"
    return paths


def branch_files(study: "Study", results: str) -> list[str]:
    """Artifacts of the branches without language models that the page reads."""
    paths = []
    if study.classifier:
        paths += [f"{results}/classifier/accuracy.csv", f"{results}/classifier/default/accuracy.json"]
    if study.theorem:
        paths.append(f"{results}/theorem/theorem.json")
    for base, channel in study.detections:
        paths += [f"{results}/detect/{base}/{channel}/{table}.csv" for table in DETECTION]
    for base, channel in study.decodings:
        paths += [f"{results}/decode/{base}/{channel}/{table}.csv" for table in DECODING]
    if study.influence:
        paths += [f"{results}/check_influence/{table}.csv" for table in INFLUENCE]
    if study.side_folders:
        paths.append(f"{results}/targets.csv")
    return paths


def measured(runs: "Sequence[Run]", rows: "Sequence[tables.Row]") -> "dict[Run, dict[str, float]]":
    """run -> how often its student names each candidate."""
    rates = dict[tuple[object, ...], dict[str, float]]()
    for row in rows:
        rates.setdefault(tuple(row[k] for k in risk.KEY), {})[row["measured"]] = row["rate"]
    return {run: rates.get(tuple(getattr(run, k) for k in risk.KEY), {}) for run in runs}


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    from traitline.study import config, expand

    study = config.parse(args.study)
    results = args.results or study.results
    runs = [dataclasses.replace(r, results=results) for r in expand.runs(study)]
    primary = study.primary.experiments
    shown = next((r for r in runs if r.experiment in primary and r.arm == "same-base"), runs[0])
    figures = drawings(study, args.figures, results)
    baselines = {key: f"{results}{path[len(study.results) :]}" for key, path in expand.baselines(study).items()}
    students = args.students or str(Path(args.report).with_name("students.html"))
    scored = [*(r.scores for r in runs), *baselines.values()]
    answered = list(dict.fromkeys(p for p in map(report_voices.responses, scored) if Path(p).exists()))
    with stage.record(
        "report",
        args.manifest,
        inputs={
            **{name: f"{args.tables}/{name}.csv" for name in tables.COLUMNS},
            "figures": list(figures.values()),
            "filtered": f"{shown.channel_folder}/filtered.jsonl",
            "rejected": f"{shown.channel_folder}/rejected.jsonl",
            "branches": branch_files(study, results),
            "declared": f"{results}/preregistered.json",
            "template": args.template,
            "parts": [str(Path(args.template).with_name(name)) for name in PARTIALS],
            "style": args.style,
            "drawing": list(map(str, PARTS)),
            "responses": answered,
        },
        outputs={"report": args.report, "lineage": args.lineage, "students": students},
        params={"study": json_files.parse(args.study, "--study", "give a JSON object")},
    ) as job:
        graph = Graph(index.build([results]))
        sealed = seal.without_pages(seal.rows_of(results)[0])
        marks = audit(graph)
        job.path("lineage").write_text(render_lineage(graph, f"study {study.study}", marks), encoding="utf-8")
        parts = content(study, runs, shown, args.tables, results, args.study)
        parts["evidence"] = risk.beside(graph, marks, runs, tables.read(args.tables, "runs"))
        parts |= {"lineage": Path(args.lineage).name, "root": seal.root(sealed), "manifests": len(sealed)}
        rates = measured(runs, tables.read(args.tables, "runs"))
        parts["voices"] = report_voices.voices(runs, shown, rates, baselines)
        parts["students_page"] = Path(students).name
        page = students_page.render(
            Path(args.template).parent,
            Path(args.style).read_text(encoding="utf-8"),
            students_page.data(runs, rates, baselines),
            f"study {study.study}",
        )
        job.path("students").write_text(page, encoding="utf-8")
        text = render(args.template, args.style, {name: figure(path) for name, path in figures.items()}, parts)
        job.path("report").write_text(text, encoding="utf-8")
    stage.log.info("%s", args.report)


def main(argv: list[str] | None = None) -> int:
    """Run the stage."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
