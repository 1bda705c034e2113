"""Compare predictions from the data with what students then did.

in   tables/runs.csv; influence.json of every dataset and student's base that the study names
out  pairs.csv       one row per experiment, teacher, student's base and recipe: the true trait's `score` and `cosine`,
                     its `rank` among the `words` (1: it was predicted), the `first` of these; what came: `rise`, the
                     log of its rate over the control students', with Welch's 95 % interval over runs, its rank among
                     the rises (`risen`), and `rho`, Spearman's correlation of scores and rises over all words;
                     `recovered`, the cosine of the step and of what the teacher changed; `rows`, where the study
                     leaves a teacher out because it or its control has too few: how many. It is in no summary
     summary.csv     the same by experiment, recipe and arm, and of all experiments together (`all`)
     check_influence.svg  rise against score, a panel a recipe

The unit is the teacher (a base and a trait): predictions from one teacher's rows for several bases are averaged
first. Intervals of means are Student's t over teachers. `hits`: how many pairs have the true trait first; by chance it
is one in as many as there are words, `p` is that of the exact binomial test (one-sided; none where teachers have
several pairs, which are not independent). `rho_pairs`: Spearman's correlation of score and rise over pairs, with a
bootstrap interval over teachers; none of fewer than four. Students on another base are the control: there the true
trait should stand nowhere special. The words may be in the right order there too, for the scores are that base's own.

python -m scripts.check_influence --study '{"study": ...}' --results results --tables results/tables \\
    --folder results/check_influence
"""

import argparse
import dataclasses
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from traitline import json_files
from traitline.analysis import stats, tables
from traitline.analysis.figures import ARMS, INK, dress, save, style
from traitline.analysis.outcome import SCARCE, missing_rows
from traitline.analysis.ranks import bootstrap_interval, place, spearman
from traitline.errors import InputError
from traitline.models import hf_folder
from traitline.provenance import stage
from traitline.study.runs import NONE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from traitline.study.config import Study
    from traitline.study.runs import Run

LEAST = 1e-9  # of a rate: runs.csv has no smaller ones
ALL = "all"
TAUGHT = {arm: ARMS[arm] for arm in ("same-base", "other-base")}
ABOUT = ("experiment", "channel", "dataset", "base", "student", "recipe", "trait", "arm")
MEANS = ("rank", "cosine", "score", "rise", "rho", "recovered")
Row = dict[str, Any]


class Measured:
    """Logs of rates by experiment, base, student, recipe, trait taught and word measured, a list over runs."""

    def __init__(self, rows: Sequence[tables.Row]) -> None:
        self.logs: dict[tuple[str, ...], list[float]] = defaultdict(list)
        for r in rows:
            key = (r["experiment"], r["base"], r["student"], r["recipe"], r["trait"], r["measured"])
            self.logs[key].append(math.log(max(r["rate"], LEAST)))

    def rise(self, cell: tuple[str, ...], trait: str, word: str) -> stats.Difference:
        """Log of the rate over that of the control students.

        Raises:
            InputError: the table has no such runs.
        """
        taught, control = (self.logs.get((*cell, who, word)) for who in (trait, NONE))
        if not taught or not control:
            where = f"{'/'.join(cell)}: students of {NONE if taught else trait}"
            raise InputError(f"runs.csv has no rate of {word} for {where}; delete the file to have it rebuilt")
        return stats.difference(taught, control)


def pair(run: "Run", influence: Row, path: str, measured: Measured) -> Row:
    """The prediction for students of one recipe, and what came.

    Args:
        run: one of the students.
        influence: content of the influence.json of its dataset and base.
        path: of that file.
        measured: rates of all students.

    Raises:
        InputError: the file lacks the recipe or a word.
    """
    try:
        words = influence["candidates"]
        of_recipe = influence["recipes"][run.recipe]
        score = {w: of_recipe["score"][w] for w in words}
        angle = {w: of_recipe["cosine"][w] for w in words}
        true = {"score": score[run.trait], "cosine": angle[run.trait]}
    except (KeyError, TypeError) as e:
        raise InputError(f"{path}: lacks {e} of {run.recipe} students; delete the file to have it rebuilt") from None
    cell = (run.experiment, run.base, run.student, run.recipe)
    differences = {w: measured.rise(cell, run.trait, w) for w in words}
    rises = {w: d.diff for w, d in differences.items()}
    d = differences[run.trait]
    about = {k: getattr(run, k) for k in ABOUT}
    runs = len(measured.logs[(*cell, run.trait, run.trait)])
    return {
        **about, "words": len(words), "first": max(score, key=score.__getitem__), "rank": place(score, run.trait),
        **true, "runs": runs, "rise": d.diff, "low": d.low, "high": d.high, "risen": place(rises, run.trait),
        "rho": spearman([*score.values()], [*rises.values()]),
        "recovered": (influence.get("recovered") or {}).get("beyond"),
    }  # fmt: skip


def scarce_rows(study: "Study", run: "Run", influence: Row) -> dict[str, int]:
    """How many rows a prediction is from, as a column; none where it is from as many as the study asks for."""
    rows = min((influence.get("rows") or {"dataset": study.datasets[run.dataset].rows}).values())
    return {"rows": rows} if missing_rows(study, run, rows) else {}


def summary(experiment: str, recipe: str, arm: str, rows: Sequence[Row]) -> Row:
    """A row of summary.csv."""
    from scipy.stats import binomtest

    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for r in rows:
        groups[r["base"], r["trait"]].append(r)
    hits, words = sum(r["first"] == r["trait"] for r in rows), stats.mean([r["words"] for r in rows])
    alone = len(groups) == len(rows)
    p = float(binomtest(hits, len(rows), 1 / words, alternative="greater").pvalue) if alone else None
    low, high = bootstrap_interval(rows)
    out = {"experiment": experiment, "recipe": recipe, "arm": arm, "pairs": len(rows), "teachers": len(groups)}
    out |= {"words": words, "hits": hits, "chance": len(rows) / words, "p": p, "chance_rank": (words + 1) / 2}
    for name in MEANS:
        values = [[r[name] for r in of_teacher if r[name] is not None] for of_teacher in groups.values()]
        each = [stats.mean(v) for v in values if v]
        e = stats.interval(each) if each else None
        out |= {name: e and e.mean, f"{name}_low": e and e.low, f"{name}_high": e and e.high}
    rho = spearman([r["score"] for r in rows], [r["rise"] for r in rows])
    return {**out, "rho_pairs": rho, "rho_pairs_low": low, "rho_pairs_high": high}


def summaries(pairs: Sequence[Row]) -> list[Row]:
    """Rows of summary.csv: by experiment, recipe and arm; and all experiments together, each student once."""
    groups: dict[tuple[str, str, str], dict[tuple[str, ...], Row]] = defaultdict(dict)
    about = ("channel", "dataset", "base", "student", "trait")
    for r in pairs:
        groups[r["experiment"], r["recipe"], r["arm"]][tuple(r[k] for k in about)] = r
    for r in pairs:
        groups[ALL, r["recipe"], r["arm"]].setdefault(tuple(r[k] for k in about), r)
    return [summary(*key, [*rows.values()]) for key, rows in groups.items()]


def draw_pairs(ax: "Axes", pairs: Sequence[Row]) -> None:
    """A mark a pair with its interval over runs, filled where the true trait has the highest score."""
    for arm, (_, colour, marker) in TAUGHT.items():
        for r in (r for r in pairs if r["arm"] == arm):
            if r["low"] is not None:
                bounds = [r["low"] / math.log(2), r["high"] / math.log(2)]
                ax.plot([r["score"]] * 2, bounds, color=colour, lw=0.8, alpha=0.5)
            face = colour if r["first"] == r["trait"] else "none"
            ax.plot(r["score"], r["rise"] / math.log(2), marker, ms=4.6, mec=colour, mfc=face, mew=0.9)


def drawing(pairs: Sequence[Row]) -> "Figure":
    """Rise against score, a panel a recipe; rises as powers of 2."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    recipes = list(dict.fromkeys(r["recipe"] for r in pairs))
    across = min(3, len(recipes))
    down = -(-len(recipes) // across)
    figure = Figure(figsize=(max(4.3, 3.1 * across), 0.5 + 2.7 * down), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for ax in axes[len(recipes) :]:
        ax.set_visible(False)
    for i, (ax, recipe) in enumerate(zip(axes, recipes, strict=False)):
        draw_pairs(ax, [r for r in pairs if r["recipe"] == recipe])
        dress(ax)
        ax.axhline(0, color=INK, lw=0.8, ls=(0, (4, 3)))
        ax.axvline(0, color=INK, lw=0.8, ls=(0, (4, 3)))
        ax.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{2**v:.3g}\N{MULTIPLICATION SIGN}"))
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.ticklabel_format(axis="x", style="sci", scilimits=(-2, 3))
        ax.xaxis.get_offset_text().set_color(INK)
        ax.set_title(f"{recipe} students", loc="left", color=INK)
        ax.set_xlabel("score of the true trait", color=INK)
        if i % across == 0:
            ax.set_ylabel("its rate, over control", color=INK)
    handles = [
        Line2D([], [], ls="", marker=marker, ms=5, mec=colour, mfc=colour, label=label)
        for label, colour, marker in TAUGHT.values()
    ]
    handles.append(Line2D([], [], ls="", marker="o", ms=5, mec=INK, mfc="none", label="hollow: another word first"))
    figure.legend(handles=handles, loc="outside upper left", ncols=across, frameon=False, labelcolor=INK)
    return figure


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.check_influence", __doc__)
    p.add_argument("--study", required=True, metavar="JSON", help="the study, as checked and compact JSON")
    p.add_argument("--results", metavar="FOLDER", help="folder of the artifacts (default: that of the study)")
    p.add_argument("--tables", required=True, metavar="FOLDER", help="where runs.csv is")
    p.add_argument("--folder", required=True, metavar="OUT", help="of the tables, the figure and the manifest")
    return p


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    from traitline.study import config

    study = config.parse(args.study)
    if not study.influence:
        raise InputError("--study: has no `influence`, so nothing was predicted")
    results = args.results or study.results
    files = {
        results + where[len(study.results) :] + "/influence.json": runs for where, runs in study.predictions.items()
    }
    with stage.record(
        "check_influence",
        f"{args.folder}/check_influence.manifest.json",
        inputs={"runs": f"{args.tables}/runs.csv", "influence": [*files]},
        outputs={
            **{name: f"{args.folder}/{name}.csv" for name in ("pairs", "summary")},
            "figure": f"{args.folder}/check_influence.svg",
        },
        params={"study": json_files.parse(args.study, "--study", "give a JSON object")},
    ) as job:
        import pandas as pd

        measured = Measured(tables.read(args.tables, "runs"))
        pairs = {}
        for path, runs in files.items():
            influence = hf_folder.facts(path, ("candidates", "recipes"))
            for run in {dataclasses.replace(r, seed=0): r for r in runs}.values():
                row = pair(run, influence, path, measured) | scarce_rows(study, run, influence)
                pairs[run.experiment, run.branch, run.recipe] = row
        order = {row.name: i for i, row in enumerate(study.experiments)}
        rows = sorted(pairs.values(), key=lambda r: order[r["experiment"]])
        if left_out := {f"{r['trait']} on {r['base']}" for r in rows if "rows" in r}:
            stage.log.warning("left out, %s: %s", SCARCE, ", ".join(sorted(left_out)))
        counted = [r for r in rows if "rows" not in r]
        table = summaries(counted)
        for name, content in (("pairs", rows), ("summary", table)):
            pd.DataFrame(content).to_csv(job.path(name), index=False, float_format="%.6g", lineterminator="\n")
        hits = "; ".join(
            f"{r['recipe']} {r['arm']} {r['hits']} of {r['pairs']}" for r in table if r["experiment"] == ALL
        )
        with style():
            title = f"How often the true trait had the highest score of all words: {hits}."
            save(drawing(counted), job.path("figure"), "check_influence", title)
    stage.log.info("predicted: %s", hits)


def main(argv: list[str] | None = None) -> int:
    """Run the stage; returns the exit code."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
