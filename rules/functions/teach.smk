"""Functions of the rules in `rules/teach.smk`."""


def corpus_settings():
    """Settings of a teacher on open weights that is tuned on a corpus, as JSON."""
    return json.dumps({**json.loads(STUDY.recipes[STUDY.teach.recipe].text), "seed": STUDY.teach.seed})


def persona_settings(base):
    """Settings of a teacher that is not tuned, as JSON."""
    persona = STUDY.teach.persona if STUDY.bases[base].open else None
    return json.dumps({"persona": persona} if persona else {})


def teaching_student(w):
    """Run of the student that teaches."""
    return TEACHING[folder_of(artifacts.TEACHER, w)]
