"""Functions of the rules in `rules/detect.smk`."""


def examined_teachers(w):
    """Folders of the first teachers that answered this channel on this base, the control last."""
    runs = [run for run in STUDY.runs if (run.base, run.channel, run.draw) == (w.base, w.channel, 1)]
    return distinct(run.teacher_folder for run in sorted(runs, key=lambda run: run.trait == NONE))
