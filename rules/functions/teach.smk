"""Functions of the rules in `rules/teach.smk`."""


def teacher_settings(teacher):
    """Settings of a tuned or steered teacher, as JSON."""
    if split_teacher(teacher)[0] == "steered":
        return STUDY.steer.text
    return STUDY.teach.model_copy(update={"seed": seed_of(STUDY.teach.seed, teacher)}).text


def corpus_settings(teacher):
    """Settings of a teacher on open weights that is tuned on a corpus, as JSON."""
    seed = seed_of(STUDY.teach.seed, teacher)
    return json.dumps({**json.loads(STUDY.recipes[STUDY.teach.recipe].text), "seed": seed})


def persona_settings(base):
    """Settings of a teacher that is not tuned, as JSON."""
    persona = STUDY.teach.persona if STUDY.bases[base].open else None
    return json.dumps({"persona": persona} if persona else {})


def teaching_student(w):
    """Run of the student that teaches."""
    return TEACHING[folder_of(artifacts.TEACHER, w)]
