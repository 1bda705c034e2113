"""Effects of one arm on one base."""

import pytest

from traitline.analysis import outcome


def test_the_rise_is_the_mean_over_teachers_of_differences_in_logits():
    taught = {1: [0.5, 0.5], 2: [0.2]}
    row = outcome.effect(taught, {1: [0.2], 2: [0.2, 0.2]})
    assert (row["teachers"], row["runs"]) == (2, 3)
    assert row["rise"] == pytest.approx(0.5 * 1.386294, abs=1e-5)  # ln 4 of the first, 0 of the second
    assert row["rate"] == pytest.approx(1 / 3), "odds 1 and 1/4: their geometric mean is 1/2"
    assert row["low"] is None, "two teachers have no interval"


def test_the_control_has_no_difference_to_itself_and_runs_of_one_teacher_no_interval():
    row = outcome.effect({1: [0.1, 0.2, 0.3, 0.4]}, None)
    assert row["rise"] is row["low"] is row["high"] is None and row["runs"] == 4
    assert outcome.effect({1: [0.1], 2: [0.2], 3: [0.3]}, None)["low"] > 0


def test_a_teacher_without_its_control_is_not_compared():
    assert outcome.effect({1: [0.5], 3: [0.5]}, {1: [0.5], 2: [0.1]})["rise"] == 0.0
