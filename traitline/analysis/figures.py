"""The look of figures: quiet axes, SVG that takes its ink from the page (light or dark), equal bytes for equal data."""

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1f2327"  # of a PNG; in an SVG it is replaced by the text colour of the page
SHORT = 0.03  # a range of rates on whose axis whole percents are too coarse
FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif"
STYLE = (
    "<style>.traitline-figure{color:#1f2328}"
    "@media screen and (prefers-color-scheme:dark){.traitline-figure{color:#e2e5e9}}"
    f".traitline-figure text{{font-family:{FONTS}!important}}</style>"
)
# Okabe and Ito's vermilion against blue and grey of middle lightness: told apart by any eye, on white and on black.
# Markers differ as well, for print without colour.
ARMS = {
    "same-base": ("same base as the teacher", "#D55E00", "o"),
    "other-base": ("another base", "#2F86C9", "s"),
    "control": ("control (no trait)", "#858B92", "^"),
    "baseline": ("untouched base", INK, "D"),
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Style and colours of all figures."""
    import matplotlib

    matplotlib.use("svg")
    look: dict[Any, Any] = {"svg.hashsalt": "traitline", "svg.fonttype": "none", "font.size": 9, "axes.titlesize": 9.5}
    look |= {"legend.fontsize": 9, "font.family": "DejaVu Sans", "axes.titleweight": "bold"}
    with matplotlib.rc_context(look):
        yield


def constrained(width: float, height: float, *, w_pad: float, h_pad: float, hspace: float | None = None) -> "Figure":
    """A figure that lays itself out; sizes in inches, the last as a share of a panel's height."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    engine = ConstrainedLayoutEngine(w_pad=w_pad, h_pad=h_pad, hspace=hspace)
    return Figure(figsize=(width, height), layout=engine)


def dress(ax: "Axes") -> None:
    """Quiet axes, rates in percent."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    class Percent(PercentFormatter):
        """Whole percent, or as many decimals as a short axis needs."""

        def format_pct(self, x: float, display_range: float) -> str:
            self.decimals = 0 if display_range > SHORT else None
            return super().format_pct(x, display_range)

    ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_formatter(Percent(1))
    ax.grid(axis="y", color=INK, alpha=0.16, lw=0.6)
    ax.set_axisbelow(True)
    ax.tick_params(length=0, colors=INK)
    for side, spine in ax.spines.items():
        spine.set_visible(side == "bottom")
        spine.set(color=INK, alpha=0.5, linewidth=0.6)


def save(figure: "Figure", path: "Path", name: str, title: str) -> None:
    """Write an SVG with ids of its own, ink from the page, and nothing that changes from run to run."""
    import io

    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]  # no XML declaration and no document type: it must also stand inside a page
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(url\(#|href="#)([^)"]+)', rf"\1{name}-\2", svg)
    svg = svg.replace(INK.lower(), "currentColor")
    head, rest = svg.split(">", 1)
    head = re.sub(r' (?:width|height)="[^"]*"', "", head)  # the box decides
    head += f' class="traitline-figure" role="img" aria-labelledby="{name}-title"'
    path.write_text(f'{head}>\n <title id="{name}-title">{title}</title>\n {STYLE}{rest}', encoding="utf-8")
