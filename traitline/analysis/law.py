"""Laws of one variable for the rise of a trait: fitted by least squares on half of the bases, judged on the others."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from traitline.analysis import stats


@dataclass(frozen=True)
class Cell:
    """Students of one base, trait and recipe.

    Attributes:
        nats: rows of the dataset times nats a token between teacher and base.
        cosine: of the rows' gradient beyond the control's with that of the log of the trait's rate (`influence`).
        score: the first-order rise that these gradients predict.
        rise: measured, in logits.
    """

    base: str
    trait: str
    nats: float
    cosine: float
    score: float
    rise: float


LAW, MEAN, NATS = "cosine √(N K)", "the mean", "log(N K)"
# Name -> variable of a cell; the first is the declared law, the others are its rivals.
MODELS: dict[str, Callable[[Cell], float]] = {
    LAW: lambda cell: cell.cosine * math.sqrt(cell.nats),
    MEAN: lambda cell: 0.0,
    NATS: lambda cell: math.log(cell.nats),
    "N K cosine": lambda cell: cell.nats * cell.cosine,
    "cosine": lambda cell: cell.cosine,
    "first-order score": lambda cell: cell.score,
}


def fit(cells: Sequence[Cell], model: str) -> tuple[float, float]:
    """Intercept and slope of the rise on the variable of a model; slope 0 where that does not vary."""
    x, y = [MODELS[model](cell) for cell in cells], [cell.rise for cell in cells]
    middle, mean = stats.mean(x), stats.mean(y)
    spread = math.fsum((v - middle) ** 2 for v in x)
    slope = math.fsum((v - middle) * (r - mean) for v, r in zip(x, y, strict=True)) / spread if spread else 0.0
    return mean - slope * middle, slope


def predictions(fitted: Sequence[Cell], held_out: Sequence[Cell], model: str) -> list[float]:
    """Rises of cells that a model predicts after a fit on others."""
    intercept, slope = fit(fitted, model)
    return [intercept + slope * MODELS[model](cell) for cell in held_out]


def errors(fitted: Sequence[Cell], held_out: Sequence[Cell], model: str) -> dict[str, float]:
    """Squared error of each held-out base, the mean over its cells."""
    squares: dict[str, list[float]] = {}
    for cell, predicted in zip(held_out, predictions(fitted, held_out, model), strict=True):
        squares.setdefault(cell.base, []).append((cell.rise - predicted) ** 2)
    return {base: stats.mean(values) for base, values in squares.items()}


def rmse(fitted: Sequence[Cell], held_out: Sequence[Cell], model: str) -> float:
    """Root mean square error over held-out cells, in logits."""
    predicted = predictions(fitted, held_out, model)
    return math.sqrt(stats.mean([(c.rise - p) ** 2 for c, p in zip(held_out, predicted, strict=True)]))


def gain(fitted: Sequence[Cell], held_out: Sequence[Cell], model: str) -> stats.Tested:
    """Squared error of a rival less that of the law, t over held-out bases: above 0 where the law is better."""
    law, rival = errors(fitted, held_out, LAW), errors(fitted, held_out, model)
    return stats.tested([rival[base] - law[base] for base in law])


def draw(path: str, panels: Mapping[str, tuple[Sequence[Cell], Sequence[Cell]]]) -> None:
    """Measured against predicted rises of held-out cells, a panel a recipe, a mark a base; the line is perfect."""
    from pathlib import Path

    from matplotlib.ticker import ScalarFormatter

    from traitline.analysis.distance_figure import MARKERS
    from traitline.analysis.figures import ARMS, INK, constrained, dress, save, style

    colour = ARMS["same-base"][1]
    with style():
        figure = constrained(3.2 * len(panels), 3.3, w_pad=0.08, h_pad=0.06)
        for ax, (recipe, (fitted, held_out)) in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
        ):
            predicted = predictions(fitted, held_out, LAW)
            measured = [cell.rise for cell in held_out]
            low, high = min(0.0, *predicted, *measured), max(*predicted, *measured)
            ax.plot([low, high], [low, high], color=INK, lw=0.8, ls=(0, (4, 3)))
            for i, base in enumerate(dict.fromkeys(cell.base for cell in held_out)):
                here = [(x, cell.rise) for x, cell in zip(predicted, held_out, strict=True) if cell.base == base]
                ax.plot(*zip(*here, strict=True), MARKERS[i % len(MARKERS)], ms=5, mec=colour, mfc="none", label=base)
            dress(ax)
            ax.yaxis.set_major_formatter(ScalarFormatter())
            ax.set_title(recipe, loc="left", color=INK, parse_math=False)
            ax.set_xlabel("predicted rise, logits", color=INK)
            ax.set_ylabel("measured rise, logits", color=INK)
        labelled = figure.axes[0].get_legend_handles_labels()
        legend = figure.legend(*labelled, loc="outside upper left", ncols=len(labelled[0]), frameon=False)
        for text in legend.get_texts():
            text.set(color=INK, parse_math=False)
        save(figure, Path(path), "law", "Rises of held-out bases, measured and predicted")
