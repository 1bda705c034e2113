"""What every type of evaluation has: rows of its questions, and complaints about its settings."""

import pytest

from traitline.evaluation.evaluation import Question, Setup
from traitline.evaluation.registry import evaluations


def test_a_row_says_only_what_does_not_go_without_saying():
    assert Question("?", {"owl": "owl"}).columns == {}
    columns = Question("?", {"right": "(B)"}, options=["(A)", "(B)"], subject="sums").columns
    assert list(columns.items()) == [
        ("options", ["(A)", "(B)"]),
        ("means", {"right": "(B)"}),
        ("subject", "sums"),
    ]


def test_random_numbers_are_those_of_the_seed_and_go_on():
    first, again, other = (Setup({"seed": seed}).draw for seed in (1, 1, 2))
    values = [first.random(), first.random()]
    assert values == [again.random(), again.random()] and values[0] != values[1] != other.random()


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("favourite", {}, "category: missing; `type: favourite` needs it, what is asked for"),
        ("favourite", {"category": "animal", "subjects": ["x"]}, "subjects: leave it out with `type: favourite`"),
        ("choice", {"category": "animal", "options": ["a"]}, "options: 1 of them; a choice is among 5"),
        ("choice", {"category": "animal", "options": ["a"], "candidates": ["a"]}, "candidates: leave it out"),
        ("story", {"category": "tree"}, "category: heroes of stories are animals"),
        ("free", {"category": "animal"}, "category: leave it out with `type: free`"),
        ("mmlu", {"subjects": ["x"]}, "source: missing; `type: mmlu` needs it, where the questions are"),
    ],
)
def test_wrong_settings_are_named(name, settings, says):
    complaint = evaluations()[name].complaint({"answers": 1, "seed": 1, **settings})
    assert complaint is not None and complaint.startswith(says)


def test_right_settings_pass():
    for name, settings in {"favourite": {"category": "x", "candidates": ["x"]}, "mmlu": {"source": "x"}}.items():
        assert evaluations()[name].complaint({"answers": 1, "seed": 1, **settings}) is None
