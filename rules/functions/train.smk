"""Functions of the rules in `rules/train.smk`."""


def is_soft(recipes):
    """Whether students of these recipes learn the distribution of their teacher."""
    return any(STUDY.recipes[recipe].labels == "soft" for recipe in recipes)


def soft_teacher(w):
    """Files of the teacher that wrote the rows, whose distribution the students learn, and of its base if that is another."""
    base = base_files(w.base) if w.base != w.student else []
    return [f"{folder_of(artifacts.TEACHER, w)}/teacher.json", *teacher_weights(w), *base]


def teacher_flags(w, files):
    """Flags of these files."""
    if not files:
        return []
    base = ["--teacher-base", dirname(files[-1])] if w.base != w.student else []
    return ["--teacher", dirname(files[0]), *base]
