"""Functions of the rules in `rules/train.smk`."""


def is_soft(recipes):
    """Whether students of these recipes learn the distribution of their teacher."""
    return any(STUDY.recipes[recipe].labels == "soft" for recipe in recipes)


def soft_teacher(w):
    """Files of the teacher that wrote the rows, whose distribution the students learn."""
    return [f"{folder_of(artifacts.TEACHER, w)}/teacher.json", *teacher_weights(w)]
