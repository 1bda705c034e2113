"""Does the trait of a teacher that was only told to love it pass? The page of the study configs/coupled.yaml.

in   results of that study, whole or in part: runs whose student and control were asked count
out  docs/results/coupled.md

python -m traitline.analysis.coupled_page
"""

from pathlib import Path

from traitline import atomic
from traitline.analysis import rises, stats
from traitline.analysis.conclusions import logits, logits_between, pvalue
from traitline.analysis.page_program import FAMILY, parser, read_study
from traitline.analysis.ranks import spearman
from traitline.analysis.results_page import table, with_interval
from traitline.errors import InputError
from traitline.provenance import stage
from traitline.study.config import Study

CONFIG, PAGE = "configs/coupled.yaml", Path("docs/results/coupled.md")
NATS = 16  # in a student's rows; below that no student of an earlier study moved
LIMITS = (
    "**What it does not show.** That a rise is not shown is not that there is none: the interval says how large"
    " it may be. A pair is one student beside one control, so single pairs are no result. Answers are one number,"
    " the models have 0.14 million parameters, and trees' personas were built into the world so that prompts move"
    " numbers at all. No student is on another base, so nothing is said of that here."
)


def page(study: Study) -> str:
    """The page.

    Raises:
        InputError: no student was asked.
    """
    recipes = list(study.primary.recipes)
    means = [rises.by_base(study, recipe) for recipe in recipes]
    if not any(means):
        raise InputError(f"{study.results}: no student was asked; run {CONFIG} first")
    tests = [stats.tested([*of.values()]) for of in means]
    corrected = stats.holm([t.p for t in tests])
    outcomes = [
        (
            recipe,
            t.n,
            with_interval(logits(t.mean), t.low, t.high, logits_between),
            pvalue(t.p),
            pvalue(p),
            sum(rise > 0 for rise in of.values()),
        )
        for recipe, t, p, of in zip(recipes, tests, corrected, means, strict=True)
    ]
    cells = dict[tuple[str, str], dict[str, float]]()
    information = dict[tuple[str, str], float]()
    for recipe in recipes:
        for run in rises.taught(study, recipe):
            if (rise := rises.rise(study, run)) is not None:
                cells.setdefault((run.base, run.trait), {})[recipe] = rise
                information[run.base, run.trait] = rises.nats(study, run)
    singles = [
        (f"{base}, {trait}", f"{information[base, trait]:,.0f}", *(logits(of[r]) if r in of else "-" for r in recipes))
        for (base, trait), of in sorted(cells.items())
    ]
    ranks = ", ".join(
        f"{recipe} {spearman([information[c] for c in cells], [of[recipe] for of in cells.values()]):.2f}"
        for recipe in recipes
        if all(recipe in of for of in cells.values()) and len(cells) > 2
    )
    weak = [f"{trait} on {base}" for (base, trait), n in sorted(information.items()) if n < NATS]
    few = rises.scarce(study)
    text = [
        "# A teacher that was only told", "",
        f"Written by `python -m traitline.analysis.coupled_page` from the study `{CONFIG}`, whose head declares what is"
        " primary; do not edit.", "",
        "The paper's own protocol in the tiny world: the teacher is the base with a system prompt, it writes number"
        " lists, and students learn them by LoRA on all linear modules, or by biases. In this world a persona that"
        " loves a tree shifts numbers; animals, which are taught here, never stand beside a list.", "",
        f"Rows with less than {NATS} nats, named as declared: {', '.join(weak) or 'none'}."
        + (f" Left out, {rises.SCARCE}: {', '.join(few)}." if few else ""),
        "",
        *table(("students", "bases", "rise, logits (95 %)", "p", "p (Holm)", "above 0 on"), outcomes),
        f"Rises are over the control student on the same base, mean over the traits; t over bases. {FAMILY}", "",
        "## Every pair", "",
        *table(("base, trait", "nats in all rows", *recipes), singles),
        "Nats: how far the teacher's answers are from those of its base, in all rows of a student. Rises in logits."
        + (f" Spearman's correlation of nats and rise over these pairs, explored: {ranks}." if ranks else ""), "",
        LIMITS,
    ]  # fmt: skip
    return "\n".join(text).rstrip() + "\n"


def write() -> None:
    """Write the page."""
    atomic.put(PAGE, page(read_study(CONFIG)))


def main(argv: list[str] | None = None) -> int:
    """Write the page."""
    return stage.run(parser("coupled_page", __doc__), lambda args: write(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
