"""Functions of the rules in `rules/influence.smk`."""


def predicted_students(w):
    """Students whose traits are predicted here, one run each."""
    return STUDY.predictions[folder_of(artifacts.BRANCH, w)]


def predicted_recipes(w):
    """Their recipes with all settings, as JSON."""
    return json.dumps({run.recipe: json.loads(STUDY.recipes[run.recipe].text) for run in predicted_students(w)})
