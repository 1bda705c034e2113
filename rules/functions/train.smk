"""Functions of the rules in `rules/train.smk`."""


def is_soft(recipes):
    """Whether students of these recipes learn the distribution of their teacher."""
    return any(STUDY.recipes[recipe].labels == "soft" for recipe in recipes)


def soft_teacher(w):
    """Files of the teacher that wrote the rows, whose distribution the students learn."""
    return [f"{folder_of(artifacts.TEACHER, w)}/teacher.json", *teacher_weights(w)]


def other_base(w):
    """Files of that teacher's base, where it is not the students' base."""
    return base_files(w.base) if w.base != w.student else []
