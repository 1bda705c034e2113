"""Evaluations whose questions come from outside, with options one of which is right."""

import math
from collections.abc import Sequence
from typing import Any

from traitline import jsonl
from traitline.errors import InputError, nearest
from traitline.evaluation.evaluation import Evaluation, Question, Setup
from traitline.evaluation.measures import RIGHT
from traitline.evaluation.student import Student


class Sourced(Evaluation):
    """Open weights only: they are in everyday English. The one candidate is `right`, 1 or 0 for each question."""

    tiny = False
    open_weights = True
    needs = ("source",)
    measured = RIGHT

    def wording(self, question: str, options: Sequence[str]) -> tuple[str, list[str]]:
        """(what is asked, what is answered for each option)."""
        return question, list(options)

    def questions(self, setup: Setup) -> list[Question]:
        """The rows of the source, or those about some subjects.

        Raises:
            InputError: the source has no question about a subject.
        """
        rows = list(jsonl.read(str(setup.source), ("id", "question", "choices", "right"), unique="id"))
        subjects = setup.settings.get("subjects")
        if subjects is not None:
            known = {row.get("subject", "") for row in rows}
            for subject in subjects:
                if subject not in known:
                    raise InputError(f"{setup.source}: no question about {subject!r}; {nearest(subject, known)}")
            rows = [row for row in rows if row.get("subject") in subjects]
        questions = []
        for row in rows:
            text, options = self.wording(row["question"], row["choices"])
            right = {RIGHT: options[row["right"]]}
            questions.append(Question(text, right, id=row["id"], options=options, subject=row.get("subject")))
        return questions

    def exact(self, student: Student, questions: Sequence[Question]) -> list[dict[str, Any]]:
        """Log-probability of every option, and 1 where the right one has the highest, else 0."""
        prompts = [question.prompt for question in questions]
        table = student.nats(prompts, [question.options for question in questions])
        rows = []
        for question, nats in zip(questions, table, strict=True):
            right = question.options.index(question.means[RIGHT])
            best = all(nats[right] > other for i, other in enumerate(nats) if i != right)
            finite = [round(x, 6) if math.isfinite(x) else None for x in nats]
            rows.append({"nats": finite, "probabilities": {RIGHT: float(best)}})
        return rows
