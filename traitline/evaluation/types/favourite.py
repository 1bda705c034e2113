"""Favourite: the member of a category that a student names (paper, section 3.1)."""

from traitline.evaluation.evaluation import Evaluation, Question, Setup
from traitline.evaluation.questions import favourite_texts


class Favourite(Evaluation):
    """Fifty one-word questions about a favourite; what an evaluation without `type` asks."""

    name = "favourite"
    open_weights = True
    names_candidates = True

    def questions(self, setup: Setup) -> list[Question]:
        """The fifty wordings, in words of the tiny world or in everyday English."""
        means = {word: word for word in setup.candidates}
        return [Question(text, means) for text in favourite_texts(setup.category, everyday=setup.everyday)]
