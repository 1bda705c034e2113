"""Functions of the rules in `rules/decode.smk`."""


def decoded_runs(w):
    """Students of the rows whose teachers are read here, the first of each trait."""
    names = [row.name for row in STUDY.decoded_rows]
    first = [run for run in STUDY.runs if run.draw == 1 and run.experiment in names]
    return [run for run in first if (run.base, run.channel) == (w.base, w.channel)]


def decoded_teachers(w):
    """Folders of the teachers that answered this channel on this base, the control last."""
    return distinct(run.teacher_folder for run in sorted(decoded_runs(w), key=lambda run: run.trait == NONE))


def other_readers(w):
    """Labels of the other bases of these rows: read with them, the rows should say nothing."""
    rows = [row for row in STUDY.decoded_rows if w.base in row.bases and row.channel == w.channel]
    return distinct(base for row in rows for base in row.models if base != w.base)


def reader_folders(w):
    """Flags of their folders."""
    folders = [f"{STUDY.results}/bases/{base}" for base in other_readers(w)]
    return ["--others", *folders] if folders else []
