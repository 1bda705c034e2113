"""The strict rule for JSON: what is read can be written, in UTF-8, by any JSON writer."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traitline import json_files
from traitline.errors import InputError

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def plain(value):
    """Whether a value has a form in JSON and in UTF-8."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return not any("\ud800" <= c <= "\udfff" for c in value)
    parts = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return all(map(plain, parts))


@given(anything)
def test_a_value_is_read_as_it_is_or_refused(value):
    text = json.dumps(value)
    if plain(value):
        assert json_files.parse(text, "x") == value
    else:
        with pytest.raises(InputError, match=r"^x: damaged JSON"):
            json_files.parse(text, "x")


@given(st.text() | st.text(st.sampled_from('{}[]":,0123456789.eE+-\\u truefalsnN\n"\ud83d'), max_size=40))
def test_a_text_is_data_that_can_be_written_or_one_line(text):
    try:
        value = json_files.parse(text, "x")
    except InputError as e:
        assert str(e).startswith("x: ") and str(e).isprintable()
    else:
        assert json.loads(json.dumps(value, allow_nan=False, ensure_ascii=False).encode()) == value


@given(st.integers(1, 300))
def test_nesting_is_bounded(deep):
    text = "[" * deep + "]" * deep
    assert json_files.is_deep(json.loads(text)) == (deep > json_files.DEEPEST)
    if deep > json_files.DEEPEST:
        with pytest.raises(InputError, match="nested more than 100 times"):
            json_files.parse(text, "x")
    else:
        json_files.parse(text, "x")


def test_an_object_has_its_keys(tmp_path):
    (tmp_path / "x").write_text('{"a": 1}')
    assert json_files.read_object(tmp_path / "x", ("a",)) == {"a": 1}
    with pytest.raises(InputError, match="x: damaged, it lacks b, c; delete the file"):
        json_files.read_object(tmp_path / "x", ("c", "a", "b"))


def test_a_cache_is_what_it_holds_or_nothing(tmp_path):
    assert json_files.recall(tmp_path / "x") == json_files.recall(tmp_path) == {}
    (tmp_path / "x").write_text('{"a": 1}')
    assert json_files.recall(tmp_path / "x") == {"a": 1}
