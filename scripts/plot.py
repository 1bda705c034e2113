"""Figures from the tables, as SVG that takes its ink from the page (light or dark), and a PNG for the README.

in   effects.csv, tests.csv, confusion.csv
out  headline.svg         the main experiment: every base as a dot, means with 95 % intervals over bases, all
                          control arms; a panel per recipe. A base that tests leave out is a cross, and in no mean
     headline-narrow.svg  the same with the panels below each other, for a phone
     headline.png         the same on white
     effects.svg          all experiments, a row of panels each
     confusion.svg        trait taught x trait measured, of the main experiment

The main experiment is the first one with a primary outcome. Equal tables give equal bytes.

python -m scripts.plot --tables results/tables --figures results/figures --manifest results/figures/plot.manifest.json
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from traitline.analysis import stats, tables
from traitline.analysis.comparisons import PRIMARY
from traitline.analysis.confusion_figure import NOTHING, confusion
from traitline.analysis.figures import ARMS, INK, constrained, dress, save, style
from traitline.analysis.tables import Row
from traitline.errors import InputError
from traitline.provenance import stage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE_BY_SIDE = 30  # columns of a panel: with more, panels stand below each other
SPREAD = 0.5  # width of a column's dots


@dataclass(frozen=True)
class Panel:
    """Rows of effects.csv of one experiment and recipe."""

    experiment: str
    recipe: str
    rows: list[Row]


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.plot", __doc__)
    p.add_argument("--tables", required=True, metavar="FOLDER", help="where the tables are")
    p.add_argument("--figures", required=True, metavar="FOLDER", help="where the figures go")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    return p


def main_experiment(effects: Sequence[Row], tests: Sequence[Row]) -> str:
    """The first experiment with a primary outcome, else the first."""
    if not effects:
        raise InputError("effects.csv has no rows; the study asks for none")
    return str(next((row for row in tests if row["role"] == PRIMARY), effects[0])["experiment"])


def columns(effects: Sequence[Row]) -> list[list[list[Row]]]:
    """The columns of a panel: per trait, per arm, the rows of effects.csv in it."""
    traits = []
    for trait in tables.unique(effects, "trait"):
        arms = []
        for arm in ARMS:
            rows = [row for row in effects if (row["trait"], row["arm"]) == (trait, arm)]
            if arm == "baseline":  # repeated in every block of the table, but one measurement per student base
                rows = list({row["student"]: row for row in rows}.values())
            if arm == "control":  # beside the same-base students; those of other bases have controls of their own
                rows = [row for row in rows if row["base"] == row["student"]] or rows
            arms.append(rows)
        traits.append([rows for rows in arms if rows])
    return traits


def over_bases(rows: Sequence[Row]) -> stats.Estimate | None:
    """Mean rate and interval over bases of teachers (of an untouched base: over these); None if none counts."""
    bases: dict[str, list[float]] = defaultdict(list)
    for row in tables.counted(rows):
        base = row["student"] if row["arm"] == "baseline" else row["base"]
        bases[base].append(stats.logit(row["rate"], tables.floor(row)))
    return stats.rate_interval([stats.mean(logits) for logits in bases.values()]) if bases else None


def mark(ax: "Axes", x: float, rows: Sequence[Row], size: float) -> None:
    """One arm of one trait: its bases as dots on the left, their mean and interval on the right.

    A base whose teacher no test counts is a cross, and the mean is without it.
    """
    _, colour, marker = ARMS[rows[0]["arm"]]
    hollow = rows[0]["arm"] == "baseline"
    step = SPREAD / max(1, len(rows) - 1)
    places = [x - SPREAD / 2 + (i * step if len(rows) > 1 else SPREAD / 2) for i in range(len(rows))]
    points = [(place, row["rate"], row.get(tables.LEFT_OUT)) for place, row in zip(places, rows, strict=True)]
    dots = [(place, rate) for place, rate, out in points if not out]
    crosses = [(place, rate) for place, rate, out in points if out]
    if dots:
        ax.plot(
            *zip(*dots, strict=True), marker, ms=size * 0.8, color=colour, alpha=0.6,
            mew=0.8 if hollow else 0, mfc="none" if hollow else colour,
        )  # fmt: skip
    if crosses:
        ax.plot(*zip(*crosses, strict=True), "x", ms=size * 0.7, color=colour, alpha=0.6, mew=0.8)
    e = over_bases(rows)
    if e is None:
        return
    if len(dots) > 1:
        ax.plot([x + SPREAD * 0.7] * 2, [e.mean] * 2, marker="_", ms=size * 2.4, mew=size * 0.42, color=colour)
    if e.low is not None and e.high is not None:
        ax.plot([x + SPREAD * 0.7] * 2, [e.low, e.high], color=colour, lw=size * 0.3, solid_capstyle="butt")


def panel(ax: "Axes", effects: Sequence[Row], size: float) -> None:
    """One recipe: a column per trait and arm."""
    x, ticks, edges = 0.0, [], []
    for arms in columns(effects):
        start = x
        for rows in arms:
            mark(ax, x, rows, size)
            x += 1.3
        ticks.append((start + x - 1.0) / 2)
        edges.append(x + 0.15)
        x += 0.9
    for edge in edges[:-1]:
        ax.axvline(edge, color=INK, alpha=0.18, lw=0.6)
    ax.set_xlim(-0.8, x - 1.2)
    ax.set_xticks(ticks, tables.unique(effects, "trait"))
    dress(ax)


def legend(figure: "Figure", across: int, *, crosses: bool) -> None:
    """Draw the legend of markers above the panels."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], ls="", marker=marker, ms=5, mec=colour, mfc=colour if colour != INK else "none", label=label)
        for label, colour, marker in ARMS.values()
    ]
    if crosses:
        handles.append(Line2D([], [], ls="", marker="x", ms=5, color=INK, label="left out of tests and means"))
    figure.legend(
        handles=handles, loc="outside upper left", ncols=across, frameon=False, labelcolor=INK,
        handletextpad=0.2, columnspacing=1.1, borderpad=0,
    )  # fmt: skip


def panels(effects: Sequence[Row]) -> list[list[Panel]]:
    """The panels of a figure: a list an experiment, a panel a recipe."""
    rows = []
    for name in tables.unique(effects, "experiment"):
        of_experiment = [r for r in effects if r["experiment"] == name]
        rows.append(
            [
                Panel(name, k, [r for r in of_experiment if r["recipe"] == k])
                for k in tables.unique(of_experiment, "recipe")
            ]
        )
    return rows


def label(ax: "Axes", shown: Panel, *, alone: bool, first: bool) -> None:
    """Title and axis of a panel; `alone`: the figure shows one experiment, `first`: the panel is leftmost."""
    bases = len({r["base"] for r in tables.counted(shown.rows)})
    title = f"{shown.recipe} students" if alone else f"{shown.experiment}: {shown.recipe} students"
    ax.set_title(f"{title}, {bases} {'base' if bases == 1 else 'bases'}", loc="left", color=INK)
    if first:
        ax.set_ylabel("names the trait", color=INK)
    else:
        ax.tick_params(labelleft=False)


def arms(effects: Sequence[Row], *, narrow: bool = False) -> "Figure":
    """Panels of rates: a row per experiment and a column per recipe, or one column where it is narrow."""
    grid = panels(effects)
    busiest = max(sum(len(trait) for trait in columns(p.rows)) for row in grid for p in row)
    size = 4.6 if busiest < 20 else 3.6 if busiest < 40 else 2.4
    stacked = narrow or busiest > SIDE_BY_SIDE
    alone = len(grid) == 1
    if stacked:
        grid = [[p] for row in grid for p in row]
    across = max(map(len, grid))
    wide = 8.6 if stacked else max(4.3, 0.6 + 2.9 * across)
    width, height = 4.3 if narrow else wide, 2.1 if stacked else 2.9
    figure = constrained(width, 0.55 + height * len(grid), w_pad=0.06, h_pad=0.06, hspace=0.03)
    axes = figure.subplots(len(grid), across, squeeze=False)
    drawn = [over_bases(rows) for row in grid for p in row for trait in columns(p.rows) for rows in trait]
    top = max(*(r["rate"] for r in effects), *(e.high or 0.0 for e in drawn if e))
    for line, row in zip(axes, grid, strict=True):
        for ax in line[len(row) :]:
            ax.set_visible(False)
        for i, shown in enumerate(row):
            panel(line[i], shown.rows, size)
            label(line[i], shown, alone=alone, first=i == 0)
            line[i].set_ylim(0, min(1.03, top * 1.06))  # one scale, to compare panels
    legend(figure, 2 if width < 7 else 4, crosses=len(tables.counted(effects)) < len(effects))
    return figure


def describe(effects: Sequence[Row], experiment: str) -> str:
    """Describe the headline figure in words, for those who cannot see it."""
    from xml.sax.saxutils import escape

    from traitline.analysis.conclusions import average, comparisons, percent

    cells = [c for c in comparisons(tables.counted(effects)) if c.same["experiment"] == experiment]
    phrases = [] if cells else [NOTHING]
    for recipe in dict.fromkeys(c.same["recipe"] for c in cells):
        group = [c for c in cells if c.same["recipe"] == recipe]
        same, other = average(c.same for c in group), average(r for c in group for r in c.others)
        control, untouched = average(c.control for c in group), average(c.untouched for c in group)
        phrases.append(
            f"{recipe}: same base {percent(same)}, other base {percent(other)}, control {percent(control)}, "
            f"untouched {percent(untouched)}"
        )
    return escape(f"How often students name the taught trait. Means over traits and bases. {'; '.join(phrases)}.")


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    names = ("effects", "tests", "confusion")
    files: dict[str, Any] = {name: f"{args.tables}/{name}.csv" for name in names}
    figures = ("headline.svg", "headline-narrow.svg", "effects.svg", "confusion.svg", "headline.png")
    with stage.record(
        "plot",
        args.manifest,
        inputs=files,
        outputs={name: f"{args.figures}/{name}" for name in figures},
    ) as job:
        effects, tests, crossed = (tables.read(args.tables, name) for name in names)
        first = main_experiment(effects, tests)
        effects, crossed = tables.marked(effects), tables.counted(crossed)
        headline = [row for row in effects if row["experiment"] == first]
        with style():
            wide = arms(headline)
            alt = describe(effects, first)
            save(wide, job.path("headline.svg"), "headline", alt)
            save(arms(headline, narrow=True), job.path("headline-narrow.svg"), "narrow", alt)
            save(arms(effects), job.path("effects.svg"), "effects", "Every experiment: " + alt)
            title = "How often students name each trait, by the trait that was taught"
            save(confusion(crossed, first), job.path("confusion.svg"), "confusion", title)
            png = job.path("headline.png")
            wide.savefig(png, format="png", dpi=200, facecolor="white", metadata={"Software": None})


def main(argv: list[str] | None = None) -> int:
    """Run the stage."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
