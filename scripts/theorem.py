"""The theorem as a numeric check: exact steps in float64 on random networks, and where it stops to hold.

in   nothing but settings (some of the inputs are scikit-learn's digits)
out  theorem.json    a row per claim: cases, passed, the worst case against its bound; and shares where claims end
     theorem.svg     the inner product against its limit, and the share of networks whose loss falls

A teacher takes one step of size e down the gradient of any loss L from the student's own weights; the student takes one
step of size a to imitate the teacher's outputs on any inputs. To first order the student's step is e times a positive
semi-definite form of the teacher's, so their inner product is e A with A >= 0, and L changes by -e a A. A is computed a
second way, by Jacobian-vector products. Source: arXiv 2507.14805, section 6.1 and appendix C.

python -m scripts.theorem --networks 8 --seed 1 --folder results/theorem \\
    --manifest results/theorem/theorem.manifest.json
"""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from traitline.analysis.figures import INK, dress, save, style
from traitline.provenance import kernels, stage
from traitline.theory.theorem_claims import claims
from traitline.theory.theorem_conditions import CONDITIONS, SIZES, ratios, shares

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SAME, OTHER = "#D55E00", "#858B92"
COLOURS = (SAME, OTHER, "#2F86C9", "#009E73", "#CC79A7", INK, "#E69F00", "#56B4E9", "#7A5195")
DASHED = (0, (4, 3))


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = stage.parser("scripts.theorem", __doc__)
    p.add_argument("--networks", required=True, type=int, metavar="N", help="random networks a case")
    p.add_argument("--seed", required=True, type=int, metavar="N", help="of networks, data and losses")
    p.add_argument("--folder", required=True, metavar="FOLDER", help="where the results go")
    p.add_argument("--manifest", required=True, metavar="OUT", help="what was made from what")
    stage.threads(p)
    return p


def draw_ratios(ax: "Axes", curves: Sequence[dict[str, Any]]) -> None:
    """Inner products over their limit, against e; a line a network."""
    for curve in curves:
        colour = {"same": SAME, "other": OTHER}[curve["start"]]
        ax.plot(SIZES, curve["values"], color=colour, alpha=0.35, lw=0.8)
    ax.plot([], [], color=SAME, label="same start: tends to A")
    ax.plot([], [], color=OTHER, label="another start: grows without limit")
    ax.axhline(1, color=INK, lw=0.8, ls=DASHED)
    ax.set(xscale="log", yscale="symlog", ylim=(-1e5, 1e5), xlabel="size of the teacher's step, e")
    ax.set_title("inner product / (e A)", loc="left", color=INK)


def draw_shares(ax: "Axes", rows: Sequence[dict[str, Any]]) -> None:
    """Shares of networks whose loss falls, against e; a line a condition."""
    for colour, (condition, text) in zip(COLOURS, CONDITIONS.items(), strict=True):
        line = [r for r in rows if r["end"] == condition]
        x = [r["e"] for r in line]
        ax.plot(x, [r["share"] for r in line], color=colour, lw=1.2, label=text)
        ax.fill_between(x, [r["low"] for r in line], [r["high"] for r in line], color=colour, alpha=0.1, lw=0)
    ax.axhline(0.5, color=INK, lw=0.8, ls=DASHED)
    ax.set(xscale="log", ylim=(0, 1.02), xlabel="size of the teacher's step, e")
    ax.set_title("share of networks whose loss falls", loc="left", color=INK)


def drawing(rows: Sequence[dict[str, Any]], curves: Sequence[dict[str, Any]]) -> "Figure":
    """Left: inner products against e, over their limit. Right: shares of networks whose loss falls."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_ratios(left, curves)
    draw_shares(right, rows)
    dress(right)
    for side in ("top", "right", "left"):
        left.spines[side].set_visible(False)
    left.tick_params(colors=INK)
    for ax in (left, right):
        ax.xaxis.label.set_color(INK)
    left.legend(frameon=False, labelcolor=INK, loc="upper right", fontsize=8)
    figure.legend(
        *right.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, labelcolor=INK
    )
    return figure


def work(args: argparse.Namespace) -> None:
    """Make the artifact."""
    with stage.record(
        "theorem",
        args.manifest,
        inputs={},
        outputs={name: f"{args.folder}/{name}" for name in ("theorem.json", "theorem.svg")},
        params={"networks": args.networks, "threads": args.threads},
        seeds={"seed": args.seed},
        facts={"origin": f"networks drawn here, seed {args.seed}"},
    ) as job:
        kernels.set_up(args.threads)
        table, _ = claims(args.networks, args.seed)
        rows = list(shares(args.networks, args.seed))
        curves = list(ratios(args.networks, args.seed))
        job.write_json("theorem.json", {"claims": table, "ends": rows, "names": CONDITIONS})
        summary = "; ".join(f"{r['claim']} {r['passed']} of {r['cases']}" for r in table)
        with style():
            save(drawing(rows, curves), job.path("theorem.svg"), "theorem", f"The theorem checked: {summary}.")
    stage.log.info("%s", summary)


def main(argv: list[str] | None = None) -> int:
    """Run the stage."""
    return stage.run(parse(), work, argv)


if __name__ == "__main__":
    raise SystemExit(main())
