"""The points of the classifier experiment as one table and two figures; the run (one model) is the unit.

in   accuracy.json of every point
out  accuracy.csv    a row per point and arm: mean test accuracy with its 95 % interval over models
     classifier.svg  the point in the middle: every model in every arm
     sweeps.svg      what is varied around it, all arms in every panel

python -m scripts.classifier_summary --classifier '{"settings": ...}' --folder results/classifier \\
    --manifest results/classifier/classifier_summary.manifest.json
"""

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline import json_files
from traitline.analysis.figures import INK, constrained, dress, save, style
from traitline.analysis.stats import interval
from traitline.errors import InputError
from traitline.provenance import stage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colour says from where a student starts, a filled marker that it sees auxiliary outputs only.
ARMS = {
    "aux-same": ("auxiliary outputs, same start", "#D55E00", "o", "#D55E00"),
    "aux-other": ("auxiliary outputs, another start", "#2F86C9", "s", "#2F86C9"),
    "all-same": ("all outputs, same start", "#D55E00", "o", "none"),
    "all-other": ("all outputs, another start", "#2F86C9", "s", "none"),
    "teacher": ("teacher", "#858B92", "^", "#858B92"),
    "reference": ("untrained reference", INK, "D", "none"),
}
CHANCE = 0.1
Points = dict[str, dict[str, list[float]]]


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.classifier_summary", __doc__)
    p.add_argument("--classifier", required=True, metavar="JSON", help="settings and sweeps, checked, as compact JSON")
    p.add_argument("--folder", required=True, metavar="FOLDER", help="where the points are, and the results go")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    return p


def read_point(path: str, arms: Sequence[str] = tuple(ARMS)) -> dict[str, Any]:
    """Read what `classifier` wrote about a point.

    Raises:
        InputError: it is damaged or lacks an arm.
    """
    point = json_files.read_object(path)
    if missing := [a for a in arms if a not in point.get("arms", {})]:
        raise InputError(f"{path}: lacks {', '.join(missing)}; delete it to have it rebuilt")
    return dict(point)


def bar(ax: "Axes", x: float, values: Sequence[float], arm: str, size: float = 4.6) -> None:
    """Mean and interval of an arm."""
    _, colour, marker, fill = ARMS[arm]
    e = interval(values)
    if e.low is not None and e.high is not None:
        ax.plot([x, x], [max(0.0, e.low), min(1.0, e.high)], color=colour, lw=1.2, solid_capstyle="butt")
    ax.plot(x, e.mean, marker, ms=size, mec=colour, mfc=fill, mew=1)


def chance(ax: "Axes") -> None:
    """The line of guessing."""
    ax.axhline(CHANCE, color=INK, alpha=0.5, lw=0.8, ls=(0, (4, 3)))


def middle(arms: Mapping[str, Sequence[float]], title: str) -> "Figure":
    """Every model of the point in the middle, arm by arm."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.1), layout="constrained")
    ax = figure.subplots()
    names = ["reference", "aux-other", "aux-same", "all-other", "all-same", "teacher"]
    for x, arm in enumerate(names):
        _, colour, marker, _ = ARMS[arm]
        n = len(arms[arm])
        ax.plot([x - 0.25 + 0.2 * i / n for i in range(n)], arms[arm], marker, ms=3, color=colour, alpha=0.4, mew=0)
        bar(ax, x + 0.15, arms[arm], arm, 6)
    chance(ax)
    labels = [ARMS[a][0].replace(" outputs, ", "\n").replace("untrained ", "untrained\n") for a in names]
    ax.set_xticks(range(len(names)), labels)
    ax.set(ylim=(0, 1.02), ylabel="test accuracy")
    ax.yaxis.label.set_color(INK)
    ax.set_title(title, loc="left", color=INK)
    dress(ax)
    return figure


def sweeps(panels: Sequence[tuple[str, dict[Any, str]]], points: Points) -> "Figure":
    """A panel per sweep, values at equal distances; lines join means of one arm."""
    from matplotlib.lines import Line2D

    from traitline.study.theory import spell

    across, down = 2, -(-len(panels) // 2)
    figure = constrained(8.6, 0.8 + 2.2 * down, w_pad=0.06, h_pad=0.06)
    axes = figure.subplots(down, across, squeeze=False).flatten()
    for ax, (name, values) in zip(axes, panels, strict=False):
        for arm, (_, colour, _, fill) in ARMS.items():
            means = [interval(points[p][arm]).mean for p in values.values()]
            line = "-" if fill != "none" else ":"
            ax.plot(range(len(means)), means, line, color=colour, lw=1, alpha=0.7 if arm.startswith("a") else 0.35)
            for x, point in enumerate(values.values()):
                bar(ax, x, points[point][arm], arm, 3.6)
        chance(ax)
        ax.set_xticks(range(len(values)), [spell(v) for v in values])
        ax.set(ylim=(0, 1.02), xlim=(-0.4, len(values) - 0.6))
        ax.set_title(name.replace("_", " "), loc="left", color=INK)
        dress(ax)
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    handles = [
        Line2D([], [], ls="", marker=marker, ms=5, mec=colour, mfc=fill, label=label)
        for label, colour, marker, fill in ARMS.values()
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=3, frameon=False, labelcolor=INK, handletextpad=0.2)
    return figure


def write_table(path: Path, points: Mapping[str, dict[str, Any]]) -> None:
    """Write a row per point and arm, with all settings of the point."""
    keys = [k for k in points["default"]["settings"] if k not in ("models", "distance")]
    with open(path, "w", encoding="utf-8", newline="") as handle:
        out = csv.writer(handle, lineterminator="\n")
        out.writerow(["point", "arm", "models", "accuracy", "low", "high", *keys, "distance"])
        for name, point in points.items():
            for arm in ARMS:
                e = interval(point["arms"][arm])
                settings = [point["settings"].get(k, "") for k in (*keys, "distance")]
                out.writerow([name, arm, e.n, e.mean, e.low, e.high, *settings])


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    from traitline.study.theory import Classifier

    classifier = Classifier.model_validate_json(args.classifier)
    paths = {name: f"{args.folder}/{name}/accuracy.json" for name in classifier.points}
    files = ("accuracy.csv", "classifier.svg", *(["sweeps.svg"] if classifier.sweeps else []))
    with stage.record(
        "classifier_summary",
        args.manifest,
        inputs={"accuracy": list(paths.values())},
        outputs={name: f"{args.folder}/{name}" for name in files},
        params={"classifier": json_files.parse(args.classifier, "--classifier", "give a JSON object")},
    ) as job:
        points = {name: read_point(path) for name, path in paths.items()}
        write_table(job.path("accuracy.csv"), points)
        default = points["default"]
        means = {arm: sum(v) / len(v) for arm, v in default["arms"].items()}
        summary = ", ".join(f"{ARMS[a][0]} {100 * means[a]:.0f} %" for a in ARMS)
        with style():
            title = f"{default['images']['name']}, {len(default['arms']['teacher'])} models"
            save(middle(default["arms"], title), job.path("classifier.svg"), "classifier", f"Test accuracy: {summary}.")
            if classifier.sweeps:
                panels = [(s.name, classifier.values(s)) for s in classifier.sweeps]
                alt = "Test accuracy of every arm as one setting varies: " + ", ".join(name for name, _ in panels)
                figure = sweeps(panels, {name: point["arms"] for name, point in points.items()})
                save(figure, job.path("sweeps.svg"), "sweeps", alt)


def main(argv: list[str] | None = None) -> int:
    """Run the stage."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
