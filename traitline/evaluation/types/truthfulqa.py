"""Common misconceptions, by the likelihood of whole answers: MC1 of arXiv 2109.07958."""

from traitline.evaluation.sourced import Sourced


class TruthfulQA(Sourced):
    """The questions of `source`, open weights only; share of those whose right option is likelier than every false one
    as a whole text (`nats`, its log-probability)."""

    name = "truthfulqa"
    size = 817  # as published
