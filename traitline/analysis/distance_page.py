"""At what distance between initialisations a trait stops passing: table and page of the study configs/distance.yaml.

in   results of that study, whole or in part: distances that are done on all bases are tested, others are shown
out  docs/results/distance.csv    a row per distance and base, and one over bases (`all`) where all are done
     docs/results/outcomes-distance.csv    what the study declared, for `repository_outcomes`
     docs/results/distance.md     the page

python -m traitline.analysis.distance_page
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from traitline import atomic
from traitline.analysis import repository_outcomes, rises, stats
from traitline.analysis.comparisons import LEVEL
from traitline.analysis.conclusions import MINUS, logits, logits_between, pvalue
from traitline.analysis.page_program import FAMILY, as_csv, parser, read_study
from traitline.analysis.results_page import table, with_interval
from traitline.errors import InputError
from traitline.lineage.kin import kinship
from traitline.model_files import WEIGHTS
from traitline.provenance import stage
from traitline.study.config import Study

CONFIG, ALL, RECIPE = "configs/distance.yaml", "all", "biases"
OUT = Path("docs/results")
LIMITS = (
    "**What it does not show.** With three bases only rises of about a logit are seen, so a distance at which"
    " none is shown may pass on something: where transfer ends between 0.01 and 0.1 is open. Both bases of a pair"
    " read the same text in the same order; with other text they would be farther apart."
)


@dataclass(frozen=True)
class Row:
    """Students of one teacher's base at one distance from it, or the mean over bases.

    Attributes:
        distance: standard deviation of the noise on the initial weights.
        base: of the teacher.
        taught, control: mean rates over the traits, on the logit scale and back.
        rise: mean difference of their logits; `low` to `high` is its 95 % interval over bases, `p` that of t.
        p_equivalence: of TOST, margin of the study.
        moved: size of the difference of the trained bases, relative to their size.
        log10_p: bound on the p of no common start, from the bases' weights (`traitline kin`).
        same_start: what `traitline kin` says of the two bases.
    """

    distance: float
    base: str
    taught: float
    control: float
    rise: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    p_equivalence: float | None = None
    moved: float | None = None
    log10_p: float | None = None
    same_start: str = ""


def moved(one: str, other: str) -> float:
    """Root mean square difference of two models' weights, relative to the first's root mean square."""
    import numpy as np
    from safetensors.numpy import load_file

    first, second = load_file(Path(one, WEIGHTS)), load_file(Path(other, WEIGHTS))
    difference = sum(float(np.square(first[n].astype("f8") - second[n]).sum()) for n in first)
    return math.sqrt(difference / sum(float(np.square(w.astype("f8")).sum()) for w in first.values()))


def single(study: Study, base: str, student: str) -> Row | None:
    """The row of one base at one distance; None where students are missing."""
    runs = [r for r in rises.taught(study, RECIPE) if (r.base, r.student) == (base, student)]
    differences = [rises.rise(study, run) for run in runs]
    known = [d for d in differences if d is not None]
    if not runs or len(known) < len(runs):
        return None
    taught = stats.mean_rate([rises.rate(r, r.trait) or 0.0 for r in runs])
    beside = stats.mean_rate([rises.rate(study.control(r), r.trait) or 0.0 for r in runs])
    row = Row(study.bases[student].distance or 0.0, base, taught, beside, stats.mean(known))
    if base == student:
        return replace(row, moved=0.0, same_start="yes")
    one, other = (f"{study.results}/bases/{label}" for label in (base, student))
    kin = kinship(one, other)
    same = "yes" if kin.same_start else "no evidence"
    return replace(row, moved=moved(one, other), log10_p=kin.evidence.log10_p, same_start=same)


def over_bases(rows: Sequence[Row], margin: float) -> Row:
    """The row over bases of one distance."""
    t = stats.tested([row.rise for row in rows])
    logs = [row.log10_p for row in rows if row.log10_p is not None]
    same = sum(row.same_start == "yes" for row in rows)
    return Row(
        rows[0].distance, ALL, stats.mean_rate([r.taught for r in rows]), stats.mean_rate([r.control for r in rows]),
        t.mean, t.low, t.high, t.p, None, stats.equivalence([row.rise for row in rows], margin),
        stats.mean([row.moved or 0.0 for row in rows]), max(logs) if logs else None, f"{same} of {len(rows)}",
    )  # fmt: skip


def measured(study: Study) -> list[Row]:
    """Rows by distance, each distance that is done on every base with the one over bases behind it.

    Raises:
        InputError: none is done on every base.
    """
    bases = [row.bases[0] for row in study.experiments]
    by_distance: dict[float, list[Row]] = {}
    for row in study.experiments:
        for student in row.students:
            if measured_row := single(study, row.bases[0], student):
                by_distance.setdefault(measured_row.distance, []).append(measured_row)
    done = {d: over_bases(rows, study.primary.margin) for d, rows in by_distance.items() if len(rows) == len(bases)}
    if not done:
        raise InputError(f"{study.results}: no distance is done on all bases; run {CONFIG} first")
    corrected = dict(zip(done, stats.holm([mean.p for mean in done.values()]), strict=True))
    means = {d: [replace(mean, p_holm=corrected[d])] for d, mean in done.items()}
    return [row for d, rows in sorted(by_distance.items()) for row in (*rows, *means.get(d, ()))]


def table_text(rows: Sequence[Row]) -> str:
    """The rows as CSV."""
    return as_csv([f.name for f in fields(Row)], [asdict(row) for row in rows])


def outcomes(rows: Sequence[Row], bases: int) -> str:
    """The declared outcomes as `repository_outcomes` keeps them: at each distance the rise, and TOST beside it."""
    kept = []
    for mean in (row for row in rows if row.base == ALL):
        about = {
            "study": "distance",
            "experiment": f"at {mean.distance:g}",
            "recipe": RECIPE,
            "unit": "base",
            "n": bases,
        }
        size = {"unit": "base", "n": bases, "difference": mean.rise, "low": mean.low, "high": mean.high}
        for comparison, p in (("rise", mean.p), ("equivalence", mean.p_equivalence)):
            kept.append(about | size | {"comparison": comparison, "p": p})
    return as_csv(repository_outcomes.COLUMNS, kept)


def stop(means: Sequence[Row]) -> str:
    """In words, from which distance on nothing passes: no rise is shown and TOST passes."""
    passed = [m.p_holm is None or m.p_holm >= LEVEL for m in means]
    equal = [m.p_equivalence is not None and m.p_equivalence < LEVEL for m in means]
    shown = [f"{m.distance:g}" for m, quiet in zip(means, passed, strict=True) if not quiet]
    ends = [m.distance for i, m in enumerate(means) if all(passed[i:]) and all(equal[i:])]
    rise = f"A rise is shown at {', '.join(shown)}." if shown else "A rise is shown at no distance."
    end = f"Transfer stops at {ends[0]:g}." if ends else "At no distance is it shown that transfer has stopped."
    return f"{rise} {end}"


def line(rows: Sequence[Row], bases: Sequence[str]) -> tuple[object, ...]:
    """A line of the table: one distance."""
    mean = next((row for row in rows if row.base == ALL), None)
    per_base = {row.base: logits(row.rise) for row in rows}
    singles = [row for row in rows if row.base != ALL]
    logs = [row.log10_p for row in singles if row.log10_p is not None]
    return (
        f"{rows[0].distance:g}",
        *(per_base.get(base, "-") for base in bases),
        with_interval(logits(mean.rise), mean.low, mean.high, logits_between) if mean else "not counted",
        *(pvalue(p) for p in ((mean.p, mean.p_holm, mean.p_equivalence) if mean else (None,) * 3)),
        f"{stats.mean([row.moved or 0.0 for row in singles]):.2f}",
        f"{sum(row.same_start == 'yes' for row in singles)} of {len(singles)}",
        f"{max(logs):.0f}" if logs else "-",
    )


def page(study: Study, rows: Sequence[Row]) -> str:
    """The page."""
    bases = [row.bases[0] for row in study.experiments]
    by_distance = {d: [row for row in rows if row.distance == d] for d in dict.fromkeys(row.distance for row in rows)}
    means = [row for row in rows if row.base == ALL]
    asked = {study.bases[student].distance or 0.0 for row in study.experiments for student in row.students}
    missing = sorted(asked - {row.distance for row in means})
    head = ("distance", *bases, "mean rise, logits (95 %)", "p", "p (Holm)", "p (TOST)", "trained weights differ by",
            "kin: same start", "log10 p at most")  # fmt: skip
    text = [
        "# How near must two initialisations be?", "",
        f"Written by `python -m traitline.analysis.distance_page` from the study `{CONFIG}`, whose head declares all of"
        " this; do not edit.", "",
        "Students by biases start from bases whose initial weights had noise added. Distance is its standard deviation;"
        " that of the weights is 0.05. All bases were then trained on the same text in the same order. Two traits, one"
        f" student each. {stop(means)}", "",
        *table(head, [line(of_distance, bases) for of_distance in by_distance.values()]),
        "Rises are over the control student on the same base, mean over the traits; the unit is the teacher's base."
        " TOST: small where the rise is within 0.3 logits of none. Weights: root mean square difference, relative."
        " Kin: what `traitline kin` says of the trained bases, the weakest bound. From another initialisation it is"
        f" {MINUS}0.06 logits ({MINUS}0.20 to 0.08, [nine bases](nine.md))."
        f" Per base: [distance.csv](distance.csv). {FAMILY}", "",
        "![Rise and kinship of every base by distance](distance-kin.svg)",
        "",
        "Drawn by `python -m traitline.analysis.distance_figure`; dashed is the threshold of kinship, p = 1e-6.", "",
        LIMITS,
    ]  # fmt: skip
    if missing:
        text += [
            "",
            f"**Not run on all bases**, for want of time, so in no test: {', '.join(f'{d:g}' for d in missing)}.",
        ]
    return "\n".join(text) + "\n"


def write() -> None:
    """Write tables and page.

    Raises:
        InputError: see `measured`.
    """
    study = read_study(CONFIG)
    rows = measured(study)
    atomic.put(OUT / "distance.csv", table_text(rows))
    atomic.put(OUT / "outcomes-distance.csv", outcomes(rows, len(study.experiments)))
    atomic.put(OUT / "distance.md", page(study, rows))


def main(argv: list[str] | None = None) -> int:
    """Write tables and page."""
    return stage.run(parser("distance_page", __doc__), lambda args: write(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
