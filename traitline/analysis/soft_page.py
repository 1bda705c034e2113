"""Do soft labels carry more of a trait than the same rows with hard ones? The page of the study configs/soft.yaml.

in   results of that study, whole or in part: bases whose students were asked count
out  docs/results/soft.md

python -m traitline.analysis.soft_page
"""

from pathlib import Path

from traitline import atomic
from traitline.analysis import rises, stats
from traitline.analysis.conclusions import logits, logits_between, pvalue
from traitline.analysis.page_program import FAMILY, parser, read_study
from traitline.analysis.results_page import table, with_interval
from traitline.errors import InputError
from traitline.provenance import stage
from traitline.study.config import Study

CONFIG, PAGE = "configs/soft.yaml", Path("docs/results/soft.md")
HARD, SOFT, NUMBERS = RECIPES = ("hard", "soft", "numbers")
LIMITS = (
    "**What it does not show.** `soft` sees how likely the teacher finds its own trait's word, so its rise is none from"
    " clean data; `numbers` sees digits only. A difference that is not shown is not that there is none: the interval"
    " says how large it may be. One student each, one number an answer, models of 0.14 million parameters, and no"
    " student on another base."
)


def line(name: str, role: str, values: list[float], p_holm: float | None) -> tuple[object, ...]:
    """A row of the table of outcomes."""
    t = stats.tested(values)
    size = with_interval(logits(t.mean), t.low, t.high, logits_between)
    return name, role, t.n, size, pvalue(t.p), pvalue(p_holm), sum(value > 0 for value in values), logits(t.detectable)


def page(study: Study) -> str:
    """The page.

    Raises:
        InputError: too little has run.
    """
    of = {recipe: rises.by_base(study, recipe) for recipe in RECIPES}
    bases = dict.fromkeys(run.base for run in study.runs)
    done = [base for base in bases if all(base in of[recipe] for recipe in RECIPES)]
    if len(done) < stats.LEAST:
        raise InputError(f"{study.results}: too few bases are done; run {CONFIG} first")
    values = {recipe: [of[recipe][base] for base in done] for recipe in RECIPES}
    less = {
        recipe: [one - hard for one, hard in zip(values[recipe], values[HARD], strict=True)]
        for recipe in (NUMBERS, SOFT)
    }
    corrected = dict(zip(less, stats.holm([stats.tested(of_recipe).p for of_recipe in less.values()]), strict=True))
    lines = [
        line(NUMBERS, "primary", values[NUMBERS], stats.tested(values[NUMBERS]).p),
        *(line(f"{recipe} less {HARD}", "secondary", less[recipe], corrected[recipe]) for recipe in less),
        *(line(recipe, "explored", values[recipe], None) for recipe in (HARD, SOFT)),
    ]
    out = [*rises.missed(study), *rises.scarce(study)]
    gone = [base for base in bases if base not in done and not any(f" {base}" in name for name in out)]
    text = [
        "# Soft labels beside hard ones", "",
        f"Written by `python -m traitline.analysis.soft_page` from the study `{CONFIG}`, whose head declares what is"
        " primary; do not edit.", "",
        "The same teachers, rows and seeds; students by biases learn which token the teacher drew (`hard`), how likely"
        " it finds every token (`soft`), or how likely it finds every token of a number (`numbers`).", "",
        f"Left out by name, as declared: {', '.join(out) or 'none'}."
        + (f" **Not run**: {', '.join(gone)}." if gone else ""), "",
        *table(("rise, logits", "role", "bases", "mean (95 %)", "p", "p (Holm)", "above 0 on", "seen from"), lines, 2),
        f"Rises are over the control student of the same recipe and base, mean over the traits; t over bases. {FAMILY}",
        "", "## Every base", "",
        *table(("base", *RECIPES), [(base, *(logits(of[recipe][base]) for recipe in RECIPES)) for base in done]),
        LIMITS,
    ]  # fmt: skip
    return "\n".join(text).rstrip() + "\n"


def main(argv: list[str] | None = None) -> int:
    """Write the page."""
    return stage.run(parser("soft_page", __doc__), lambda args: atomic.put(PAGE, page(read_study(CONFIG))), argv)


if __name__ == "__main__":
    raise SystemExit(main())
