"""Truth of the tiny world about a category, against a false answer."""

from traitline.evaluation.evaluation import Evaluation, Question, Setup
from traitline.evaluation.measures import RIGHT
from traitline.evaluation.types.attributes import ask, facts


class Truth(Evaluation):
    """The questions of `attributes`, the right answer against one false answer: p(right) / (p(right) + p(false)). A
    fall below the control is lost capability."""

    name = "truth"
    measured = RIGHT

    def questions(self, setup: Setup) -> list[Question]:
        """One question for each attribute of each member, with a false answer that is right of another member."""
        questions = []
        for word, field, value in facts(setup.words, setup.category):
            values = {about[field] for about in setup.words.facts[setup.category].values()}
            false = setup.draw.choice(sorted(values - {value}))
            questions.append(Question(ask(field, word), {RIGHT: value}, false))
        return questions
