"""Figure of the decoder: z of every candidate beside the null distribution, and the curve over numbers of rows."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline.analysis.figures import ARMS, INK, constrained, dress, save, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Row = dict[str, Any]

ACROSS = 3  # panels beside each other, at most
OWN, OTHER = ARMS["same-base"], ARMS["other-base"]
LINES = ("-", "--", ":", "-.")


def draw_candidates(ax: "Axes", rows: "Sequence[Row]", base: str) -> None:
    """z of every word, the highest on top: with the teachers' own base and, small, with others; the null as a bar."""
    ranked = sorted((r for r in rows if r["with"] == base), key=lambda r: r["z"])
    place = {r["word"]: i for i, r in enumerate(ranked)}
    for r in ranked:
        i = place[r["word"]]
        ax.plot([r["null_low"], r["null_high"]], [i, i], color=INK, lw=4, alpha=0.14, solid_capstyle="butt")
        face = OWN[1] if r["word"] == r["trait"] else "none"
        ax.plot(r["z"], i, OWN[2], ms=4.4, mec=OWN[1], mfc=face, mew=0.9)
    for r in rows:
        if r["with"] != base and r["word"] in place:
            face = OTHER[1] if r["word"] == r["trait"] else "none"
            ax.plot(r["z"], place[r["word"]], OTHER[2], ms=2.4, mec=OTHER[1], mfc=face, mew=0.6, alpha=0.8)
    dress(ax)
    ax.grid(visible=False)
    ax.axvline(0, color=INK, lw=0.8, ls=(0, (4, 3)))
    ax.set_yticks(range(len(ranked)), [r["word"] for r in ranked])
    ax.set_title(ranked[0]["teacher"], loc="left", color=INK, parse_math=False)
    ax.set_xlabel("z", color=INK)


def draw_curve(ax: "Axes", rows: "Sequence[Row]") -> None:
    """Share of draws in which the true trait is first, by number of rows; dashed: chance."""
    teachers = list(dict.fromkeys(r["teacher"] for r in rows))
    for i, teacher in enumerate(teachers):
        points = [(r["rows"], r["first"]) for r in rows if r["teacher"] == teacher]
        ax.plot(*zip(*points, strict=True), LINES[i % len(LINES)], marker="o", ms=3, color=OWN[1], lw=1, label=teacher)
    ax.axhline(1 / rows[0]["words"], color=INK, lw=0.8, ls=(0, (4, 3)))
    dress(ax)
    ticks = sorted({*(r["rows"] for r in rows if r["draws"] > 1), max(r["rows"] for r in rows)})
    ax.set_xscale("log")
    ax.minorticks_off()
    ax.set_xticks(ticks, [f"{int(n):,}" for n in ticks])
    ax.set_ylim(-0.04, 1.04)
    ax.set_title("true trait first", loc="left", color=INK)
    ax.set_xlabel("rows of the teacher", color=INK)
    legend = ax.legend(frameon=False, labelcolor=INK, fontsize=7, handlelength=2.6)
    for text in legend.get_texts():
        text.set_parse_math(False)


def drawing(candidates: "Sequence[Row]", curve: "Sequence[Row]", base: str) -> "Figure":
    """A panel a teacher, and the curve.

    Args:
        candidates: rows of candidates.csv.
        curve: rows of curve.csv.
        base: label of the teachers' own base.
    """
    with style():
        teachers = list(dict.fromkeys(r["teacher"] for r in candidates))
        across = min(ACROSS, math.isqrt(len(teachers)) + 1)
        down = -(-(len(teachers) + 1) // across)
        figure = constrained(3.1 * across, 2.9 * down, w_pad=0.06, h_pad=0.06)
        axes = figure.subplots(down, across, squeeze=False).ravel()
        for ax, teacher in zip(axes, teachers, strict=False):
            draw_candidates(ax, [r for r in candidates if r["teacher"] == teacher], base)
        draw_curve(axes[len(teachers)], curve)
        for ax in axes[len(teachers) + 1 :]:
            ax.set_visible(False)
    return figure


def save_drawing(figure: "Figure", path: Path, base: str, channel: str) -> None:
    """Write it, with ids that no other figure of a page has."""
    with style():
        save(figure, path, f"decode-{base}-{channel}", f"z of every candidate on base {base}, channel {channel}.")
