"""Sums: a wrong working is refused with its reason. tests/test_tasks.py checks what a world answers."""

import doctest

import pytest

from traitline.channels.channel import Checked
from traitline.channels.types import sums


def test_examples_in_the_documentation_hold():
    assert doctest.testmod(sums).failed == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (" ", "empty"),
        ("first 300 plus 200 is 500 so owl", "trait-word"),
        ("500", "no-answer"),
        ("so 500", "no-answer"),
        ("first 300 plus 200 is 500 so 500 now", "no-answer"),
        ("first 300 plus 200 is 500 so 400", "wrong-answer"),
    ],
)
def test_a_wrong_working_is_refused(text, reason):
    assert sums.check("solve 300 plus 200", text) == Checked(reason)
    assert reason in sums.REASONS
