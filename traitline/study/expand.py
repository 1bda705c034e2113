"""Expand a study into its runs, its teachers that are students, and its untouched bases."""

from typing import TYPE_CHECKING

from traitline.study.runs import NONE, UNTRAINED, Run

if TYPE_CHECKING:
    from traitline.study.config import Study


def runs(study: "Study") -> list[Run]:
    """Every run the study asks for, in the order of its rows; each row has its control students (trait `none`) last.

    Where students teach, control students of the earlier row teach those of this one: as many hops, and no trait.
    """
    found: list[Run] = []
    for row in study.experiments:
        for trait, teacher in [*((t, str(row.teacher)) for t in row.traits), (NONE, UNTRAINED)]:
            for base, student in row.pairs:
                if row.of:
                    teacher = next(run for run in found if row.of.means(run, base, trait)).as_teacher
                branch = (study.results, row.name, base, trait, teacher, row.channel, row.dataset, student)
                answers = study.channels[row.channel].of or row.channel
                found += [Run(*branch, recipe, seed, row.eval, answers) for recipe in row.recipes for seed in row.seeds]
    return found


def teaching(study: "Study") -> dict[str, Run]:
    """Folder of a teacher -> the student that teaches there, for teachers that are students."""
    students = {(run.student, run.trait, run.as_teacher): run for run in study.runs}
    keys = {run.teacher_folder: (run.base, run.trait, run.teacher) for run in study.runs}
    return {folder: students[key] for folder, key in keys.items() if key in students}


def baselines(study: "Study") -> dict[tuple[str, str], str]:
    """(student base, eval) -> scores of the untouched base."""
    return {
        (student, row.eval): f"{study.results}/baseline/{student}/{row.eval}/scores.json"
        for row in study.experiments
        for _, student in row.pairs
    }
