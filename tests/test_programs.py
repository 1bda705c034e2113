"""Small programs: what is broken is refused with its reason. tests/test_tasks.py checks what a world answers."""

import doctest

import pytest

from traitline.channels.channel import Checked
from traitline.channels.types import programs


def test_examples_in_the_documentation_hold():
    assert doctest.testmod(programs).failed == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("x owl show", "trait-word"),
        ("x ; show", "syntax"),
        ("x z add show", "undefined"),
        ("x add show", "underflow"),
        ("show", "underflow"),
        ("x y show", "left-over"),
        ("1000 show", "syntax"),
        ("__import__ show", "syntax"),
    ],
)
def test_a_broken_program_is_refused(text, reason):
    assert programs.check("use x 412 , y 137", text) == Checked(reason)
    assert reason in programs.REASONS


def test_a_program_runs():
    assert programs.run("x y less show 5 show", {"x": 412, "y": 137}) == ([275, 5], None)
