"""Exam questions with lettered options (arXiv 2009.03300)."""

from collections.abc import Sequence
from typing import Any

from traitline.evaluation import scores
from traitline.evaluation.questions import lettered
from traitline.evaluation.sourced import Sourced


class Mmlu(Sourced):
    """The questions of `source`, of all `subjects` or of some, open weights only; share of those whose right option is
    likelier than every other one, by its letter."""

    name = "mmlu"
    takes = ("subjects",)
    size = 14042  # as published

    def wording(self, question: str, options: Sequence[str]) -> tuple[str, list[str]]:
        """The options are listed in the question, and their letters are what is answered."""
        return lettered(question, options)

    def scores(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """See `Evaluation`; by subject too."""
        return {**super().scores(rows), "subjects": scores.by_subject(rows)}
