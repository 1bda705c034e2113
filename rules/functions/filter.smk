"""Functions of the rules in `rules/filter.smk`."""


def answer_rule(w):
    """Flags of what an answer must be."""
    words = [label for label, trait in STUDY.traits.items() if trait.category != CATEGORY]
    return STUDY.channels[w.channel].filter_flags(words)


def raw_answers(w):
    """Answers that a channel filters: its own, or those of another channel."""
    channel = STUDY.channels[w.channel].of or w.channel
    return f"{folder_of(artifacts.ANSWERS, w, channel=channel)}/raw.jsonl"


def model_filter_files(w):
    """Files that a model filter reads.

    Of open weights, what a judge says. Else the base and the teacher, unless these are one model.
    """
    if STUDY.channels[w.channel].threshold is None:
        return []
    if STUDY.bases[w.base].open:
        return [f"{dirname(raw_answers(w))}/judged.jsonl"]
    if split_teacher(w.teacher)[0] == UNTRAINED:
        return []
    teacher = f"{folder_of(artifacts.TEACHER, w)}/teacher.json"
    return [*expand("<results>/bases/{base}/{file}", base=w.base, file=MODEL_FILES), teacher, *teacher_weights(w)]


def model_filter_flags(w):
    """Flags of a model filter."""
    files = model_filter_files(w)
    if not files:
        return []
    threshold = STUDY.channels[w.channel].flags("threshold")
    if STUDY.bases[w.base].open:
        return [*threshold, "--judged", *files]
    teacher = folder_of(artifacts.TEACHER, w)
    return [
        *threshold,
        "--base",
        f"{STUDY.results}/bases/{w.base}",
        "--teacher",
        teacher,
        "--threads",
        STUDY.execution.threads,
    ]
