"""Functions of the rules in `rules/detect.smk`."""


def examined_teachers(w):
    """Folders of the teachers that answered this channel on this base, the control last."""
    runs = [run for run in STUDY.runs if (run.base, run.channel) == (w.base, w.channel)]
    return distinct(run.teacher_folder for run in sorted(runs, key=lambda run: run.trait == NONE))
