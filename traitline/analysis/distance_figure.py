"""Figure of kinship beside transfer: what `traitline kin` says of two starts, and how far a trait passes between them.

in   docs/results/distance.csv        of the study configs/distance.yaml: a row per distance and base
out  docs/results/distance-kin.svg    rise in logits, and the bound on p, told apart by base

python -m traitline.analysis.distance_figure
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from traitline import csv_files
from traitline.analysis.figures import ARMS, INK, constrained, save, style
from traitline.analysis.page_program import parser
from traitline.errors import InputError
from traitline.kinship.evidence import ALPHA
from traitline.provenance import stage

TABLE, FIGURE = Path("docs/results/distance.csv"), Path("docs/results/distance-kin.svg")
COLUMNS = ("distance", "base", "rise", "log10_p")
REMEDY = "write it again: python -m traitline.analysis.distance_page"
MARKERS = "osD^v<>PX"  # of bases
SPREAD = 0.12  # between the marks of two bases
Point = tuple[str, float, float, float]  # base, distance, rise, log10 of p


def points(table: Path) -> list[Point]:
    """(base, distance, rise, log10 of p) of every pair of starts that kinship was asked about.

    Raises:
        InputError: the table is damaged, or holds no such pair.
    """
    result = list[Point]()
    for line, row in csv_files.read(table, COLUMNS, remedy=REMEDY):
        if row["base"] == "all" or not row["log10_p"]:  # means over bases, and a base beside itself
            continue
        try:
            distance, rise, log10_p = (float(row[name]) for name in ("distance", "rise", "log10_p"))
        except ValueError:
            raise InputError(f"{table}:{line}: distance, rise and log10_p must be numbers; {REMEDY}") from None
        if not all(map(math.isfinite, (distance, rise, log10_p))):
            raise InputError(f"{table}:{line}: a number is not finite; {REMEDY}")
        result.append((row["base"], distance, rise, log10_p))
    if not result:
        raise InputError(f"{table}: holds no pair of two starts; {REMEDY}")
    return result


def draw(pairs: Sequence[Point], path: Path) -> None:
    """Draw the pairs over their distance, a mark each of its base: above the rise, below kinship and its threshold."""
    bases = list(dict.fromkeys(pair[0] for pair in pairs))
    distances = sorted({pair[1] for pair in pairs})
    with style():
        figure = constrained(5.6, 4.4, w_pad=0.06, h_pad=0.06)
        upper, lower = figure.subplots(2, sharex=True)
        for i, base in enumerate(bases):
            of_base = [pair for pair in pairs if pair[0] == base]
            at = [distances.index(pair[1]) + SPREAD * (i - (len(bases) - 1) / 2) for pair in of_base]
            face = ARMS["same-base"][1] if i == 0 else "none"
            for ax, ys in ((upper, [pair[2] for pair in of_base]), (lower, [-pair[3] for pair in of_base])):
                ax.plot(at, ys, MARKERS[i % len(MARKERS)], mec=ARMS["same-base"][1], mfc=face, ms=5, ls="", label=base)
        upper.axhline(0, color=INK, lw=0.8, alpha=0.5)
        upper.set_ylabel("rise, logits", color=INK)
        lower.axhline(-ALPHA, color=INK, lw=0.8, ls=(0, (4, 3)))
        lower.set_ylim(bottom=0)
        lower.set_ylabel("kinship: -log10 p", color=INK)
        lower.set_xlabel("distance between the initial weights", color=INK)
        lower.set_xticks(range(len(distances)), [f"{distance:g}" for distance in distances])
        for ax in (upper, lower):
            ax.tick_params(length=0, colors=INK)
            for side, spine in ax.spines.items():
                spine.set_visible(side in ("bottom", "left"))
                spine.set(color=INK, alpha=0.5, linewidth=0.6)
        legend = upper.legend(frameon=False, labelcolor=INK, fontsize=8, title="base", title_fontsize=8)
        legend.get_title().set_color(INK)
        for text in legend.get_texts():
            text.set_parse_math(False)
        save(figure, path, "distance-kin", "The rise of the trait and the evidence of a common start, by distance")


def threshold(pairs: Sequence[Point]) -> str:
    """One line: what the pairs say of a threshold on p."""
    kin = [pair for pair in pairs if pair[3] <= ALPHA]
    least, most = (pick(pairs, key=lambda pair: pair[2]) for pick in (min, max))
    return (
        f"{len(kin)} of {len(pairs)} pairs are kin (p <= 1e{ALPHA:g}); rises from"
        f" {least[2]:+.2f} at p <= 1e{least[3]:.0f} to {most[2]:+.2f} at p <= 1e{most[3]:.0f}"
    )


def main(argv: list[str] | None = None) -> int:
    """Draw the figure and print what it says of the threshold."""
    p = parser("distance_figure", __doc__)
    p.add_argument("--table", type=Path, default=TABLE, metavar="FILE", help=f"(default {TABLE})")
    p.add_argument("--figure", type=Path, default=FIGURE, metavar="FILE", help=f"(default {FIGURE})")

    def work(args: argparse.Namespace) -> None:
        pairs = points(args.table)
        draw(pairs, args.figure)
        print(threshold(pairs))

    return stage.run(p, work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
