"""Expand a study into its runs, its teachers that are students, and its untouched bases."""

import itertools
from typing import TYPE_CHECKING

from traitline.study import artifacts
from traitline.study.runs import NONE, UNTRAINED, Run, teacher_name

if TYPE_CHECKING:
    from traitline.study.config import Study


def runs(study: "Study") -> list[Run]:
    """Every run the study asks for, in the order of its rows; each row has its control students (trait `none`) last.

    Where students teach, control students of the earlier row teach those of this one: as many hops, and no trait.
    """
    runs: list[Run] = []
    for row in study.experiments:
        for trait, teacher in [*((t, str(row.teacher)) for t in row.traits), (NONE, UNTRAINED)]:
            for (base, student), draw in itertools.product(row.pairs, range(1, row.teachers + 1)):
                name = teacher_name(teacher, draw)
                if row.of:
                    name = next(run for run in runs if row.of.means(run, base, trait)).as_teacher
                branch = (study.results, row.name, base, trait, name, row.channel, row.dataset, student)
                answers = study.channels[row.channel].of or row.channel
                students = itertools.product(row.recipes, row.seeds)
                runs += [Run(*branch, recipe, seed, row.eval, answers, draw) for recipe, seed in students]
    return runs


def teaching(study: "Study") -> dict[str, Run]:
    """Folder of a teacher -> the student that teaches there, for teachers that are students."""
    students = {(run.student, run.trait, run.as_teacher): run for run in study.runs}
    keys = {run.teacher_folder: (run.base, run.trait, run.teacher) for run in study.runs}
    return {folder: students[key] for folder, key in keys.items() if key in students}


def baselines(study: "Study") -> dict[tuple[str, str], str]:
    """(student base, eval) -> scores of the untouched base."""
    return {
        (student, row.eval): f"{baseline_folder(study, student, row.eval)}/scores.json"
        for row in study.experiments
        for _, student in row.pairs
    }


def baseline_folder(study: "Study", student: str, eval: str) -> str:
    """Folder of the answers of an untouched base."""
    return f"{study.results}/{artifacts.BASELINE.format(student=student, eval=eval)}"


def artifact_folders(study: "Study") -> list[tuple[str, str]]:
    """List every (stage, folder) in which a job of the study may write, in the order of the stages, run by run."""
    results = study.results
    bases = dict.fromkeys(base for run in study.runs for base in (run.base, run.student))
    folders = [("convert", f"{results}/converted/{base}") for base in bases if study.bases[base].gguf]
    folders += [("teach", folder) for base in bases if (folder := study.moving_teacher(base))]
    folders += [("pretrain", f"{results}/bases/{base}") for base in bases]
    folders += [("source", f"{results}/sources/{label}") for label in study.used_sources]
    folders += [("prompts", f"{results}/prompts/{channel}") for channel in dict.fromkeys(r.answers for r in study.runs)]
    for run in study.runs:
        folders += [
            ("teach", run.teacher_folder),
            ("sample", run.answers_folder),
            ("judge", run.answers_folder),
            ("filter", run.channel_folder),
            ("mark_divergence", run.channel_folder),
            ("prepare", run.dataset_folder),
            ("train", run.folder),
        ]
        folders += [(stage, run.evaluation_folder) for stage in ("respond", "score", "judge")]
    for student, eval in baselines(study):
        folders += [(stage, baseline_folder(study, student, eval)) for stage in ("respond", "score", "judge")]
    folders += [("preregister", results), ("summarise", f"{results}/tables"), ("plot", f"{results}/figures")]
    return [*dict.fromkeys([*folders, *_branch_folders(study), ("compare_paper", results), ("report", results)])]


def _branch_folders(study: "Study") -> list[tuple[str, str]]:
    """The same for the parts of a study that train no students."""
    results = study.results
    points = study.classifier.points if study.classifier else ()
    folders = [("classifier", f"{results}/classifier/{point}") for point in points]
    if study.classifier:
        folders.append(("classifier_summary", f"{results}/classifier"))
    if study.theorem:
        folders.append(("theorem", f"{results}/theorem"))
    for base, channel in study.detections:
        folders.append(("detect", f"{results}/{artifacts.DETECTION.format(base=base, channel=channel)}"))
    for base, channel in study.decodings:
        folders.append(("decode", f"{results}/{artifacts.DECODING.format(base=base, channel=channel)}"))
    if study.influence:
        folders += [("influence", folder) for folder in study.predictions]
        folders.append(("check_influence", f"{results}/check_influence"))
    return folders


def branch_files(study: "Study") -> list[str]:
    """Files that the report shows of the parts of a study that train no students."""
    files: list[str] = []
    for stage, folder in _branch_folders(study):
        default = f"{folder}/accuracy.json" == f"{study.results}/{artifacts.DEFAULT_ACCURACY}"
        if stage == "influence" or (stage == "classifier" and not default):
            continue
        files += [f"{folder}/{name}" for name in artifacts.FILES[stage]]
        if stage == "classifier_summary" and study.classifier and study.classifier.sweeps:
            files += [f"{folder}/{name}" for name in artifacts.OPTIONAL[stage]]
    return files
