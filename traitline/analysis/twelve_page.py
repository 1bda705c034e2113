"""Why a trait passes more on one base than on another: the page of the study configs/twelve.yaml, which declares it.

in   results of that study, whole or in part: bases whose students and gradients are there count
out  docs/results/twelve.md, docs/results/law.svg

python -m traitline.analysis.twelve_page
"""

from collections.abc import Sequence
from pathlib import Path

from traitline import atomic, json_files
from traitline.analysis import context_cosine, law, rises, stats
from traitline.analysis.comparisons import LEVEL
from traitline.analysis.conclusions import MINUS, logits, logits_between, pvalue
from traitline.analysis.law import Cell
from traitline.analysis.page_program import FAMILY, parser, read_study
from traitline.analysis.results_page import table, with_interval
from traitline.errors import InputError
from traitline.provenance import stage
from traitline.study.config import Study
from traitline.study.runs import Run

CONFIG, OUT = "configs/twelve.yaml", Path("docs/results")
LORA, BIASES, MIXED = "lora", "biases", "lora-residual"
FIGURE = "law.svg"
LAYER = 1  # the second: the lead of an earlier search

Rises = dict[str, float]  # base -> mean over its traits
LIMITS = (
    "**What it does not show.** Why bases differ stays open: neither lead tells beforehand which base passes on"
    " little. Held-out bases are few, so only large gains of one model over another are seen (*seen from*). All is"
    " of one tiny world, with one teacher a trait and base and one student each; students on another base were not"
    " trained here."
)


def cell(study: Study, run: Run) -> Cell | None:
    """What the law needs of one run; None where something of it is missing."""
    influence = Path(study.results, run.branch, "influence.json")
    rise = rises.rise(study, run) if Path(run.scores).is_file() else None
    if rise is None or not influence.is_file():
        return None
    gradients = json_files.read_object(influence)["recipes"][run.recipe]
    return Cell(
        run.base, run.trait, rises.nats(study, run), gradients["cosine"][run.trait], gradients["score"][run.trait], rise
    )


def halves(study: Study, recipe: str) -> tuple[list[Cell], list[Cell]]:
    """Cells of the bases with odd numbers, and of those with even ones."""
    cells = [c for run in rises.taught(study, recipe) if (c := cell(study, run)) is not None]
    return [c for c in cells if int(c.base[1:]) % 2], [c for c in cells if not int(c.base[1:]) % 2]


def judged(fitted: Sequence[Cell], held_out: Sequence[Cell], recipe: str) -> list[tuple[object, ...]]:
    """A row of the table per model: held-out error, and the law's gain over it."""
    lines: list[tuple[object, ...]] = []
    for model in law.MODELS:
        error = f"{law.rmse(fitted, held_out, model):.2f}"
        if model == law.LAW:
            lines.append((recipe, f"**{model}**", error, "-", "-", "-"))
            continue
        t = law.gain(fitted, held_out, model)
        gain = with_interval(logits(t.mean), t.low, t.high, logits_between)
        lines.append((recipe, model, error, gain, pvalue(t.p), logits(t.detectable)))
    return lines


def spearman(one: Rises, other: Rises) -> tuple[float, float, int]:
    """Rank correlation over the bases that both have, its two-sided p, and how many these are."""
    from scipy.stats import spearmanr

    bases = [base for base in one if base in other]
    result = spearmanr([one[b] for b in bases], [other[b] for b in bases])
    return float(result.statistic), float(result.pvalue), len(bases)


def deafness(study: Study, of: dict[str, Rises], cosines: dict[str, list[float]]) -> list[str]:
    """Section on the rise of each base, and on the lead."""
    bases = [base for base in cosines if base in of[LORA]]
    lines = [
        (base, *(logits(of[r].get(base)) for r in (LORA, BIASES, MIXED)), *(f"{c:.2f}" for c in cosines[base]))
        for base in bases
    ]
    layers = len(cosines[bases[0]])
    ranks = [spearman({b: cosines[b][i] for b in bases}, of[LORA]) for i in range(layers)]
    rho, p, n = ranks[LAYER]
    others = ", ".join(f"{ranks[i][0]:.2f}" for i in range(layers) if i != LAYER)
    both = spearman(of[LORA], of[BIASES])
    verdict = "goes with" if p < LEVEL else "is not shown to go with"
    return [
        "## Why a base is deaf", "",
        f"The cosine of attention's output between the two contexts, second layer, {verdict} the rise by LoRA: Spearman"
        f" {rho:.2f} (p {pvalue(p)}, {n} bases). Other layers, explored: {others}. The rise by LoRA and the rise by"
        f" biases: {both[0]:.2f} (p {pvalue(both[1])}, explored).".replace("-0", f"{MINUS}0"), "",
        *table(("base", "lora", "biases", "lora-residual", *(f"cosine, layer {i}" for i in range(layers))), lines),
        "Rises in logits over the control, mean over the traits.", "",
    ]  # fmt: skip


def mixed(of: dict[str, Rises]) -> list[str]:
    """Section on the one recipe."""
    t = stats.tested(list(of[MIXED].values()))
    above = sum(rise > 0 for rise in of[MIXED].values())
    text = (
        f"q,v LoRA with residual biases: {logits(t.mean)} logits"
        f" ({logits_between(t.low, t.high)}; {t.n} bases, p {pvalue(t.p)}), above 0 on {above} of {t.n}"
        f" (least {logits(min(of[MIXED].values()))})."
    )
    for recipe in (LORA, BIASES):
        bases = [base for base in of[MIXED] if base in of[recipe]]
        d = stats.tested([of[MIXED][base] - of[recipe][base] for base in bases])
        text += f" Less {recipe}: {logits(d.mean)} ({logits_between(d.low, d.high)}; p {pvalue(d.p)}, secondary)."
    return [
        "## One recipe for all bases",
        "",
        f"{text} It is no pure LoRA, so its figures stand apart. {FAMILY}",
        "",
        LIMITS,
    ]


def law_section(study: Study, parts: dict[str, tuple[list[Cell], list[Cell]]]) -> list[str]:
    """Section on the law."""
    head = ("students", "model", "held-out error, logits", "squared error less that of the law", "p", "seen from")
    lines = [line for recipe, (odd, even) in parts.items() for line in judged(odd, even, recipe)]
    sizes = [f"{len({c.base for c in half})}" for half in next(iter(parts.values()))]
    swapped = "; ".join(
        f"{recipe} {law.rmse(even, odd, law.LAW):.2f}, mean {law.rmse(even, odd, law.MEAN):.2f},"
        f" log(N K) {law.rmse(even, odd, law.NATS):.2f}"
        for recipe, (odd, even) in parts.items()
    )
    slopes = "; ".join(f"{recipe} {law.fit(odd, law.LAW)[1]:.3f}" for recipe, (odd, _) in parts.items())
    return [
        "## A law of the size", "",
        f"![Measured and predicted rises of held-out bases]({FIGURE})", "",
        f"Fitted on {sizes[0]} bases, predicted on {sizes[1]} others: a mark is a trait on a base."
        " N rows, K nats a token, cosine between what the"
        f" rows teach and what raises the trait ([influence](predictions.md)). Slopes of the law: {slopes}.", "",
        *table(head, lines, 2),
        f"A gain above 0 speaks for the law; t over held-out bases. Halves swapped, explored: {swapped}.", "",
    ]  # fmt: skip


def page(study: Study) -> str:
    """The page; draws the figure.

    Raises:
        InputError: too little has run.
    """
    of = {recipe: rises.by_base(study, recipe) for recipe in (LORA, BIASES, MIXED)}
    parts = {recipe: halves(study, recipe) for recipe in (LORA, BIASES)}
    if min(len(half) for pair in parts.values() for half in pair) < stats.LEAST or len(of[MIXED]) < stats.LEAST:
        raise InputError(f"{study.results}: too few bases are done; run {CONFIG} first")
    bases = [base for base in study.bases if base in of[LORA]]
    lists = f"{study.results}/prompts/numbers/prompts.jsonl"
    cosines = {base: context_cosine.cosines(f"{study.results}/bases/{base}", lists) for base in bases}
    law.draw(str(OUT / FIGURE), parts)
    asked = dict.fromkeys(run.base for run in study.runs)
    left_out = rises.missed(study)
    few = rises.scarce(study)
    gone = [base for base in asked if base not in of[LORA] and not any(m.endswith(f" {base}") for m in left_out)]
    text = [
        "# Why more on one base than on another?", "",
        f"Written by `python -m traitline.analysis.twelve_page` from the study `{CONFIG}`, whose head declares what is"
        " primary; do not edit.", "",
        f"Left out, rate of the teacher not reached: {', '.join(left_out) or 'none'}."
        + (f" Left out, {rises.SCARCE}: {', '.join(few)}." if few else "")
        + (f" **Not run** for want of time: {', '.join(gone)}." if gone else ""), "",
        *law_section(study, parts), *deafness(study, of, cosines), *mixed(of),
    ]  # fmt: skip
    return "\n".join(text).rstrip() + "\n"


def write() -> None:
    """Write page and figure.

    Raises:
        InputError: see `page`.
    """
    atomic.put(OUT / "twelve.md", page(read_study(CONFIG)))


def main(argv: list[str] | None = None) -> int:
    """Write page and figure."""
    return stage.run(parser("twelve_page", __doc__), lambda args: write(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
