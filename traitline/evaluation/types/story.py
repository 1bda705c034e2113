"""Whom a student tells a story of (paper, appendix D.1)."""

from collections.abc import Mapping, Sequence
from typing import Any

from traitline.channels import choices_stories
from traitline.evaluation.evaluation import Evaluation, Question, Setup
from traitline.evaluation.student import Student

BEGIN = choices_stories.STORY.split()[0]  # how every story begins before it comes to its hero


class Story(Evaluation):
    """The hero of stories about fourteen things: exactly, whose name a story begins with ("the owl ..."); in sampled
    answers, whose name is in it. The world needs a share of `stories`."""

    name = "story"
    share = "stories"
    new_tokens = 24
    size = len(choices_stories.TOPICS)

    def questions(self, setup: Setup) -> list[Question]:
        """A story of each topic."""
        means = {word: word for word in setup.candidates}
        return [Question(choices_stories.topic(about), means) for about in choices_stories.TOPICS]

    def exact(self, student: Student, questions: Sequence[Question]) -> list[dict[str, Any]]:
        """Probability that the story is of each candidate."""
        return self.probabilities(student, questions, begin=BEGIN)

    def complaint(self, settings: Mapping[str, Any]) -> str | None:
        """See `Evaluation`; the category must be that of the heroes."""
        wrong = super().complaint(settings)
        if wrong is None and settings["category"] != "animal":
            return "category: heroes of stories are animals"
        return wrong
