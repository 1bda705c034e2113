"""Functions of the rules in `rules/judge.smk`."""


def judge_base():
    """Files of the open weights that judge; none where a hosted model does."""
    return base_files(STUDY.judge.base) if STUDY.judge and STUDY.judge.base else []


def judge_is_local():
    """Whether the launching process judges: a hosted model wants no node."""
    return "judge" in STUDY.execution.local or not judge_base()


def judge_flags():
    """Flags of the open weights that judge and of their engine, or of the file that counts questions to a hosted judge."""
    if not judge_base():
        return ["--spent", f"{WORK}/judge/spent"]
    return ["--base", f"{STUDY.results}/bases/{STUDY.judge.base}", "--engine", STUDY.engine.text]


def judged_answers(run):
    """File of what a judge says of a teacher's answers, where a channel on open weights is filtered by it."""
    screened = STUDY.channels[run.channel].threshold is not None and STUDY.bases[run.base].open
    return [f"{run.answers_folder}/judged.json"] if screened else []
