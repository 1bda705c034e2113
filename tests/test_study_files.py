"""Numbers in a study's files are checked when they are read."""

import pytest

from traitline.analysis import study_files
from traitline.errors import InputError


def test_a_missing_key_is_named_unless_it_is_optional():
    assert study_files.get({"a": {"b": 1}}, "x.json", "a", "b") == 1
    assert study_files.get({}, "x.json", "a", "b", optional=True) is None
    with pytest.raises(InputError, match=r"x\.json: lacks a\.b; delete the file"):
        study_files.get({"a": 3}, "x.json", "a", "b")


@pytest.mark.parametrize("value", [1.5, -0.1, float("nan"), "0.5", True, None])
def test_what_is_no_probability_is_refused(value):
    assert study_files.probability({"p": 1 + 1e-9}, "x.json", "p") == pytest.approx(1)
    with pytest.raises(InputError, match=r"x\.json: p is no probability"):
        study_files.probability({"p": value}, "x.json", "p")


def test_a_share_of_nothing_may_be_null():
    assert study_files.probability({"p": None}, "x.json", "p", optional=True) is None
