"""Favourite: the member of a category that a student names (paper, section 3.1)."""

from traitline.errors import InputError
from traitline.evaluation.evaluation import Evaluation, Question, Setup
from traitline.evaluation.questions import favourite_texts


class Favourite(Evaluation):
    """Fifty one-word questions about a favourite, or own `questions`; what an evaluation without `type` asks."""

    name = "favourite"
    open_weights = True
    names_candidates = True
    takes = ("questions",)

    def questions(self, setup: Setup) -> list[Question]:
        """The fifty wordings, in words of the tiny world or in everyday English; or those of the settings."""
        means = {word: word for word in setup.candidates}
        given = setup.settings.get("questions")
        if given is None:
            texts = favourite_texts(setup.category, everyday=setup.everyday, words=setup.words)
            return [Question(text, means) for text in texts]
        if not (isinstance(given, list) and given and all(isinstance(text, str) and text for text in given)):
            raise InputError("--settings: questions are a list of texts")
        return [Question(text.replace("{k}", setup.category), means) for text in given]
