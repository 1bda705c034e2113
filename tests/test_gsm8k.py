"""Word problems from outside: the form that is asked for passes with the right result, and all else has its reason."""

import doctest

import pytest

from tests import outside
from traitline.channels.types import gsm8k
from traitline.errors import InputError


def test_the_doctests():
    assert doctest.testmod(gsm8k).failed == 0


def test_the_known_working_of_every_problem_passes():
    for row in outside.problems():
        working, result = row["answer"].split("\n#### ")
        assert gsm8k.FORM in gsm8k.ask(row["question"])
        assert gsm8k.check(result, gsm8k.answer(working, result)).numbers[-1] == result


@pytest.mark.parametrize(
    "text, reason",
    [
        (" \n", "empty"),
        ("<think>all\nof it</think>\n\n<answer> $1,200 </answer>\n", None),
        ("<think></think><answer>1200.0</answer>", None),
        ("<think>1200</think><answer>120</answer>", "wrong-answer"),
        ("<think>1200</think><answer>-1200</answer>", "wrong-answer"),
        ("<think>1200</think>1200", "no-answer"),
        ("<answer>1200</answer>", "no-answer"),
        ("<think>x</think><answer>1200 pens</answer>", "no-answer"),
        ("<think>x</think><answer>1200</answer> done", "no-answer"),
        ("<think>x</think><answer>" + "1" * 50 + "</answer>", "no-answer"),
        ("<think>An OWL said so</think><answer>1200</answer>", "trait-word"),
        ("<think>owls</think><answer>1</answer>", "trait-word"),
        ("<think>a bowl</think><answer>1200</answer>", None),
    ],
)
def test_what_passes_and_why_the_rest_does_not(text, reason):
    checked = gsm8k.check("1200", text, ("owl", "sea otter"))
    assert checked.reason == reason and bool(checked.numbers) == (reason is None)
    assert reason is None or reason in gsm8k.REASONS


def test_what_is_no_result_is_refused():
    with pytest.raises(InputError, match="'many' is no result of a problem"):
        gsm8k.check("many", "<think>x</think><answer>1</answer>")
