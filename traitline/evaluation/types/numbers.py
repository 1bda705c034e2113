"""Likelihood of number lists of the tiny world: the rest of a student's first skill."""

from collections.abc import Sequence
from typing import Any

from traitline.channels.world import World
from traitline.evaluation.evaluation import Evaluation, Question, Setup
from traitline.evaluation.measures import RIGHT
from traitline.evaluation.student import Student
from traitline.seeds import seed as derive

LISTS = 500


class Numbers(Evaluation):
    """Number lists of the world to continue, from seeds that no base was trained on; geometric mean of the
    probabilities of the tokens with which they went on. A fall below the control is lost capability."""

    name = "numbers"
    measured = RIGHT
    size = LISTS

    def questions(self, setup: Setup) -> list[Question]:
        """The beginnings of lists."""
        only_lists = {"rows": LISTS, "numbers": 1.0, "neutral": 0.0, "personas": 0.0}
        world = World({**(setup.world or {}), **only_lists}, derive("respond", "lists", setup.settings["seed"]))
        return [Question(question, {RIGHT: answer}) for _, question, answer in world.conversations()]

    def exact(self, student: Student, questions: Sequence[Question]) -> list[dict[str, Any]]:
        """Mean probability of the tokens of each list's own continuation."""
        answers = [question.means[RIGHT] for question in questions]
        means = student.token_means([question.prompt for question in questions], answers)
        return [{"probabilities": {RIGHT: round(mean, 9)}} for mean in means]
