"""Functions of the rules in `rules/mark_divergence.smk`."""


def counterparts(w):
    """Folders of the other teachers of this base and channel whose students learn only some tokens."""
    folders = [
        run.teacher_folder
        for run in STUDY.runs
        if (run.base, run.channel, run.draw) == (w.base, w.channel, split_teacher(w.teacher)[1])
        and STUDY.datasets[run.dataset].tokens
    ]
    teacher_folder = folder_of(artifacts.TEACHER, w)
    return [folder for folder in distinct(folders) if folder != teacher_folder]
