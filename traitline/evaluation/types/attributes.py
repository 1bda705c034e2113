"""Knowledge of the tiny world about the members of a category."""

from collections.abc import Iterator

from traitline.channels.lexicon import Lexicon
from traitline.evaluation.evaluation import Evaluation, Question, Setup
from traitline.evaluation.measures import RIGHT


class Attributes(Evaluation):
    """Ask what the world says about every member of the category; share of right answers. A fall below the control is
    lost capability."""

    name = "attributes"
    measured = RIGHT

    def questions(self, setup: Setup) -> list[Question]:
        """One question for each attribute of each member."""
        return [Question(ask(field, word), {RIGHT: value}) for word, field, value in facts(setup.words, setup.category)]


def facts(words: Lexicon, category: str) -> Iterator[tuple[str, str, str]]:
    """(member, attribute, its value) for all members of a category."""
    for word, about in words.facts[category].items():
        for field, value in about.items():
            yield word, field, value


def ask(field: str, word: str) -> str:
    """`what is the habitat of the owl`."""
    return f"what is the {field} of the {word}"
