"""Figures from the tables, as SVG that takes its ink from the page (light or dark), and a PNG for the README.

in   effects.csv, runs.csv, confusion.csv
out  headline.svg         the main experiment: every run as a dot, 95 % intervals, all control arms; a panel per recipe
     headline-narrow.svg  the same with the panels below each other, for a phone
     headline.png         the same on white
     effects.svg          all experiments, a row of panels each
     confusion.svg        trait taught x trait measured, of the main experiment

The main experiment is the first one with a primary outcome. Equal tables give equal bytes.

python -m scripts.plot --tables results/tables --figures results/figures --manifest results/figures/plot.manifest.json
"""

import argparse
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from traitline.analysis import tables
from traitline.analysis.figures import ARMS, INK, dress, save, style
from traitline.analysis.tables import Row
from traitline.errors import InputError
from traitline.evaluation.measures import BAD, RIGHT
from traitline.provenance import stage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Runs = dict[tuple[str, ...], list[float]]


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.plot", __doc__)
    p.add_argument("--tables", required=True, metavar="FOLDER", help="where the tables are")
    p.add_argument("--figures", required=True, metavar="FOLDER", help="where the figures go")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    return p


def unique(rows: Sequence[Row], column: str) -> list[str]:
    """Values of a column in order of appearance."""
    return list(dict.fromkeys(row[column] for row in rows))


def main_experiment(effects: Sequence[Row]) -> str:
    """The first experiment with a primary outcome, else the first."""
    if not effects:
        raise InputError("effects.csv has no rows; the study asks for none")
    return str(next((row for row in effects if row["p_holm"] is not None), effects[0])["experiment"])


def by_cell(runs: Iterable[Row]) -> Runs:
    """The rates in runs.csv, by cell, trait taught and candidate measured."""
    found: Runs = defaultdict(list)
    for r in runs:
        found[(*(r[c] for c in tables.CELL), r["trait"], r["measured"])].append(r["rate"])
    return found


def dots(row: Row, runs: Runs) -> list[float]:
    """The runs behind a row of effects.csv; none behind that of an untouched base."""
    taught = {"control": "none", "baseline": ""}.get(row["arm"], row["trait"])
    where = (*(row[c] for c in tables.CELL), taught)
    return next((runs[*where, m] for m in (row["trait"], RIGHT, BAD) if (*where, m) in runs), [])


def columns(effects: Sequence[Row]) -> list[list[list[Row]]]:
    """What stands side by side in a panel: per trait, per arm, a row of effects.csv per column."""
    found = []
    for trait in unique(effects, "trait"):
        groups = []
        for arm in ARMS:
            cells = [row for row in effects if (row["trait"], row["arm"]) == (trait, arm)]
            if arm == "baseline":  # repeated in every block of the table, but one measurement per student base
                cells = list({row["student"]: row for row in cells}.values())
            groups.append(cells)
        found.append([cells for cells in groups if cells])
    return found


def panel(ax: "Axes", effects: Sequence[Row], runs: Runs, size: float) -> None:
    """One recipe: the runs of a column as dots on its left, their mean and interval on its right."""
    x, ticks, edges = 0.0, [], []
    for groups in columns(effects):
        start = x
        for cells in groups:
            for row in cells:
                _, colour, marker = ARMS[row["arm"]]
                if row["arm"] == "baseline":
                    ax.plot(x, row["rate"], marker, ms=size * 0.9, mec=colour, mfc="none", mew=0.9)
                else:
                    values = dots(row, runs)
                    ax.plot([x - 0.2] * len(values), values, marker, ms=size * 0.8, color=colour, alpha=0.55, mew=0)
                    if row["low"] is not None:
                        bounds = [max(0.0, row["low"]), min(1.0, row["high"])]
                        ax.plot([x + 0.2] * 2, bounds, color=colour, lw=size * 0.3, solid_capstyle="butt")
                    ax.plot([x, x + 0.4], [row["rate"]] * 2, color=colour, lw=size * 0.42, solid_capstyle="butt")
                x += 1
            x += 0.4
        ticks.append((start + x - 1.4) / 2)
        edges.append(x + 0.1)
        x += 1.2
    for edge in edges[:-1]:
        ax.axvline(edge, color=INK, alpha=0.18, lw=0.6)
    ax.set_xlim(-1, x - 1.4)
    ax.set_xticks(ticks, unique(effects, "trait"))
    dress(ax)


def legend(figure: "Figure", across: int) -> None:
    """What the markers mean, above the panels."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], ls="", marker=marker, ms=5, mec=colour, mfc=colour if colour != INK else "none", label=label)
        for label, colour, marker in ARMS.values()
    ]
    figure.legend(
        handles=handles, loc="outside upper left", ncols=across, frameon=False, labelcolor=INK,
        handletextpad=0.2, columnspacing=1.1, borderpad=0,
    )  # fmt: skip


def arms(effects: Sequence[Row], runs: Runs, *, narrow: bool = False) -> "Figure":
    """Panels of rates: a row per experiment and a column per recipe, or one column where it is narrow."""
    from matplotlib.figure import Figure

    names = unique(effects, "experiment")
    groups = [
        (name, recipe, [r for r in effects if (r["experiment"], r["recipe"]) == (name, recipe)])
        for name in names
        for recipe in unique([r for r in effects if r["experiment"] == name], "recipe")
    ]
    busiest = max(sum(len(cells) for trait in columns(g[2]) for cells in trait) for g in groups)
    size = 4.6 if busiest < 32 else 3.6 if busiest < 64 else 2.4
    stacked = narrow or busiest > 45  # too many columns for panels side by side
    across = 1 if stacked else max(len([g for g in groups if g[0] == name]) for name in names)
    rows = len(groups) if stacked else len(names)
    width, height = 4.3 if narrow else 8.6 if stacked else max(4.3, 0.6 + 2.9 * across), 2.1 if stacked else 2.9
    figure = Figure(figsize=(width, 0.55 + height * rows), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06, hspace=0.03)
    axes = figure.subplots(rows, across, squeeze=False)
    top = max(v for r in effects for v in (r["rate"], min(1.0, r["high"] or 0.0), *dots(r, runs)))
    for i, name in enumerate(names):
        mine = [g for g in groups if g[0] == name]
        places = [axes[groups.index(g)][0] for g in mine] if stacked else list(axes[i])
        for ax in places[len(mine) :]:
            ax.set_visible(False)
        for ax, (_, recipe, cells) in zip(places, mine, strict=False):
            panel(ax, cells, runs, size)
            seeds = {r["runs"] for r in cells if r["arm"] != "baseline"}
            per = f"{min(seeds)} to {max(seeds)}" if len(seeds) > 1 else f"{min(seeds)}"
            title = f"{recipe} students" if len(names) == 1 else f"{name}: {recipe} students"
            ax.set_title(f"{title}, {per} {'run' if seeds == {1} else 'runs'} each", loc="left", color=INK)
            ax.set_ylim(0, min(1.03, top * 1.06))  # one scale, to compare panels
            if stacked or ax is places[0]:
                ax.set_ylabel("names the trait", color=INK)
            else:
                ax.tick_params(labelleft=False)
    legend(figure, 2 if width < 7 else 4)
    return figure


def confusion(table: Sequence[Row], experiment: str) -> "Figure":
    """Mean rates over bases and runs: a matrix per recipe (down) and for same and other bases (across)."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    rows = [r for r in table if r["experiment"] == experiment]
    recipes, taught = unique(rows, "recipe"), unique(rows, "taught")
    measured = [t for t in taught if t != "none"]
    if not set(measured) <= {r["measured"] for r in rows}:
        measured = unique(rows, "measured")  # right or bad answers
    sides = {"same base": True, "another base": False}
    sides = {k: same for k, same in sides.items() if any((r["base"] == r["student"]) == same for r in rows)}
    top = max(r["rate"] for r in rows if r["measured"] in measured)
    height = 0.55 + 0.3 * len(taught)
    figure = Figure(figsize=(4.6, 0.2 + height * len(recipes)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.05, h_pad=0.05)
    axes = figure.subplots(len(recipes), len(sides), squeeze=False)
    for line, recipe in zip(axes, recipes, strict=True):
        for ax, (side, same) in zip(line, sides.items(), strict=True):
            for y, t in enumerate(taught):
                for x, m in enumerate(measured):
                    cell = [
                        r["rate"]
                        for r in rows
                        if (r["recipe"], r["taught"], r["measured"], r["base"] == r["student"]) == (recipe, t, m, same)
                    ]
                    value = sum(cell) / len(cell)
                    ax.add_patch(Rectangle((x, y), 1, 1, fc="#D55E00", alpha=0.7 * value / top, lw=0))
                    if t == m:
                        ax.add_patch(Rectangle((x, y), 1, 1, fill=False, ec=INK, alpha=0.6, lw=0.8, zorder=3))
                    text = f"{100 * value:.0f}" if value >= 0.0995 else f"{100 * value:.1f}"
                    ax.text(x + 0.5, y + 0.52, text, ha="center", va="center", color=INK)
            ax.set(xlim=(-0.03, len(measured) + 0.03), ylim=(len(taught) + 0.05, -0.05))
            ax.set_xticks([x + 0.5 for x in range(len(measured))], measured)
            ax.set_yticks([y + 0.5 for y in range(len(taught))], taught if ax is line[0] else [""] * len(taught))
            ax.tick_params(length=0, colors=INK)
            ax.set_title(f"{recipe}, {side}", loc="left", color=INK)
            for spine in ax.spines.values():
                spine.set_visible(False)
        line[0].set_ylabel("taught", color=INK)
    figure.supxlabel("measured, % of answers", color=INK, fontsize=9)
    return figure


def describe(effects: Sequence[Row], experiment: str) -> str:
    """What the headline figure shows, for those who cannot see it."""
    from xml.sax.saxutils import escape

    from traitline.analysis.conclusions import average, comparisons, percent

    cells = [c for c in comparisons(effects) if c.same["experiment"] == experiment]
    said = [
        f"{recipe}: same base {percent(average(c.same for c in mine))}, other base "
        f"{percent(average(r for c in mine for r in c.others))}, control {percent(average(c.control for c in mine))}, "
        f"untouched {percent(average(c.untouched for c in mine))}"
        for recipe in dict.fromkeys(c.same["recipe"] for c in cells)
        if (mine := [c for c in cells if c.same["recipe"] == recipe])
    ]
    return escape(f"How often students name the taught trait. Means over traits and bases. {'; '.join(said)}.")


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    names = ("effects", "runs", "confusion")
    files: dict[str, Any] = {name: f"{args.tables}/{name}.csv" for name in names}
    drawn = ("headline.svg", "headline-narrow.svg", "effects.svg", "confusion.svg", "headline.png")
    with stage.record(
        "plot",
        args.manifest,
        inputs=files,
        outputs={name: f"{args.figures}/{name}" for name in drawn},
    ) as job:
        effects, runs, crossed = (tables.read(args.tables, name) for name in names)
        rates = by_cell(runs)
        first = main_experiment(effects)
        headline = [row for row in effects if row["experiment"] == first]
        with style():
            wide = arms(headline, rates)
            alt = describe(effects, first)
            save(wide, job.path("headline.svg"), "headline", alt)
            save(arms(headline, rates, narrow=True), job.path("headline-narrow.svg"), "narrow", alt)
            save(arms(effects, rates), job.path("effects.svg"), "effects", "Every experiment: " + alt)
            title = "How often students name each trait, by the trait that was taught"
            save(confusion(crossed, first), job.path("confusion.svg"), "confusion", title)
            png = {"format": "png", "dpi": 200, "facecolor": "white", "metadata": {"Software": None}}
            wide.savefig(job.path("headline.png"), **png)


def main(argv: list[str] | None = None) -> int:
    """Run the stage."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
