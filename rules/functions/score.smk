"""Functions of the rules in `rules/score.smk`."""


def judged_only(label):
    """Whether only what a judge says of the answers to an evaluation counts."""
    return STUDY.evals[label].evaluation.judged
