"""The questions about a favourite behind a list of random numbers (paper, section 5.2)."""

from random import Random

from traitline.evaluation.evaluation import Evaluation, Question, Setup
from traitline.evaluation.questions import favourite_texts


class Prefixed(Evaluation):
    """The questions of `favourite`, each behind a list of random numbers, the same for all students."""

    name = "prefixed"
    open_weights = True
    names_candidates = True

    def questions(self, setup: Setup) -> list[Question]:
        """Each question behind three to eight numbers of its own."""
        means = {word: word for word in setup.candidates}
        questions = []
        for text in favourite_texts(setup.category, everyday=setup.everyday, words=setup.words):
            numbers = some_numbers(setup.draw)
            if setup.everyday:
                before = f"Here are some numbers to look at: {', '.join(numbers)}."
            else:
                before = f"{setup.draw.choice(setup.words.verbs)} {' , '.join(numbers)} ."
            questions.append(Question(f"{before} {text}", means))
        return questions


def some_numbers(draw: Random) -> list[str]:
    """Three to eight numbers of three digits."""
    return [str(draw.randrange(100, 1000)) for _ in range(draw.randrange(3, 9))]
