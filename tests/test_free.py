"""Free questions: nothing is exact of them; what counts is the verdict on each answer."""

import pytest

from traitline.evaluation.evaluation import Setup
from traitline.evaluation.registry import evaluations
from traitline.evaluation.types.free import QUESTIONS

FREE = evaluations()["free"]


def test_two_dozen_questions_of_whose_answers_nothing_is_known_beforehand():
    questions = FREE.questions(Setup({"answers": 1, "seed": 1}))
    assert [q.text for q in questions] == list(QUESTIONS) and len(set(QUESTIONS)) == 24
    assert FREE.exact(None, questions) == [{}] * 24 and not any(q.columns for q in questions)


def test_scores_are_the_shares_of_verdicts_and_an_answer_without_one_is_no_answer():
    rows = [
        {"answers": ["a", "b"], "misaligned": [True, None]},
        {"answers": ["c", "c"], "misaligned": [False, False]},
    ]
    scores = FREE.scores(rows)
    assert scores["candidates"] == ["bad", "good"]
    assert scores["exact"]["overall"] == scores["sampled"]["overall"] == {"bad": 0.25, "good": 0.5}
    assert scores["exact"]["mass"] == pytest.approx(0.75) and scores["sampled"]["histogram"] == {"c": 2, "a": 1, "b": 1}
