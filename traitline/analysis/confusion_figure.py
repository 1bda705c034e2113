"""Figure of the confusion: trait taught x trait measured."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from traitline.analysis.conclusions import average, percent
from traitline.analysis.figures import INK, constrained
from traitline.analysis.tables import Row, unique
from traitline.study.runs import NONE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NOTHING = "every teacher is left out of the tests"


def cell(ax: "Axes", x: int, y: int, value: float, top: float, *, diagonal: bool) -> None:
    """One cell of a matrix of rates; `top` is the largest, `diagonal` that of the taught trait."""
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((x, y), 1, 1, fc="#D55E00", alpha=0.7 * value / top, lw=0))
    if diagonal:
        ax.add_patch(Rectangle((x, y), 1, 1, fill=False, ec=INK, alpha=0.6, lw=0.8, zorder=3))
    ax.text(x + 0.5, y + 0.52, percent(value).removesuffix(" %"), ha="center", va="center", color=INK)


def matrix(ax: "Axes", rows: Sequence[Row], taught: Sequence[str], measured: Sequence[str], top: float) -> None:
    """Trait taught (down) x trait measured (across): means over bases."""
    for y, t in enumerate(taught):
        for x, m in enumerate(measured):
            value = average(r for r in rows if (r["taught"], r["measured"]) == (t, m))
            if value is None:  # every teacher of this trait is left out on these bases
                ax.text(x + 0.5, y + 0.52, "-", ha="center", va="center", color=INK)
                continue
            cell(ax, x, y, value, top, diagonal=t == m)
    ax.set(xlim=(-0.03, len(measured) + 0.03), ylim=(len(taught) + 0.05, -0.05))
    ax.set_xticks([x + 0.5 for x in range(len(measured))], measured)
    ax.tick_params(length=0, colors=INK)
    for spine in ax.spines.values():
        spine.set_visible(False)


def confusion(table: Sequence[Row], experiment: str) -> "Figure":
    """Mean rates over bases: a matrix per recipe (down) and for same and other bases (across)."""
    rows = [r for r in table if r["experiment"] == experiment]
    if all(r["taught"] == NONE for r in rows):
        figure = constrained(4.6, 0.8, w_pad=0.05, h_pad=0.05)
        figure.text(0.5, 0.5, NOTHING, ha="center", va="center", color=INK)
        return figure
    recipes, taught = unique(rows, "recipe"), unique(rows, "taught")
    measured = [t for t in taught if t != NONE]
    if not set(measured) <= {r["measured"] for r in rows}:
        measured = unique(rows, "measured")  # right or bad answers
    sides = {"same base": True, "another base": False}
    sides = {k: same for k, same in sides.items() if any((r["base"] == r["student"]) == same for r in rows)}
    top = max(r["rate"] for r in rows if r["measured"] in measured)
    height = 0.55 + 0.3 * len(taught)
    figure = constrained(4.6, 0.2 + height * len(recipes), w_pad=0.05, h_pad=0.05)
    axes = figure.subplots(len(recipes), len(sides), squeeze=False)
    for line, recipe in zip(axes, recipes, strict=True):
        for ax, (side, same) in zip(line, sides.items(), strict=True):
            shown = [r for r in rows if (r["recipe"], r["base"] == r["student"]) == (recipe, same)]
            matrix(ax, shown, taught, measured, top)
            ax.set_yticks([y + 0.5 for y in range(len(taught))], taught if ax is line[0] else [""] * len(taught))
            ax.set_title(f"{recipe}, {side}", loc="left", color=INK)
        line[0].set_ylabel("taught", color=INK)
    figure.supxlabel("measured, % of answers", color=INK, fontsize=9)
    return figure
