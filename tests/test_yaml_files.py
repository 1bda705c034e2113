"""YAML as plain data: any text is data or one line, in bounded time."""

import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from traitline import yaml_files
from traitline.errors import InputError

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(categories=["L", "N", "P", "Zs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcde", min_size=1), inner, max_size=4),
    max_leaves=8,
)


@given(plain)
def test_plain_data_are_read_as_they_are(value):
    text = yaml.safe_dump(value, allow_unicode=True)
    assert yaml_files.parse(text, "x") == yaml.safe_load(text)


@settings(deadline=10_000)
@given(st.text(st.sampled_from("ab:-?[]{}&*!|>'\"%@#,\n\t 0123456789._<~=\x00\u202e"), max_size=60))
def test_a_text_is_data_or_one_line(text):
    try:
        yaml_files.parse(text, "x")
    except InputError as e:
        assert str(e).startswith("x") and str(e).isprintable()


@pytest.mark.parametrize("levels", [20, 60])
@pytest.mark.parametrize("form", ["[*a{0}, *a{0}]", "{{x: *a{0}, y: *a{0}}}"])
def test_aliases_that_grow_are_counted_before_they_are_followed(levels, form):
    text = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} {form.format(i - 1)}\n" for i in range(1, levels))
    start = time.monotonic()
    with pytest.raises(InputError, match="x: not plain data: more than 100,000 values, aliases counted"):
        yaml_files.parse(text, "x")
    assert time.monotonic() - start < 2


def test_aliases_that_people_write_are_followed():
    assert yaml_files.parse("a: &a {k: 1}\nb: {<<: *a, l: 2}\nc: *a\n", "x")["b"] == {"k": 1, "l": 2}


def test_a_table_is_wanted(tmp_path):
    (tmp_path / "x").write_text("- a\n")
    with pytest.raises(InputError, match="x: holds no table of keys"):
        yaml_files.read_table(tmp_path / "x")
    (tmp_path / "x").write_text("# nothing\n")
    assert yaml_files.read_table(tmp_path / "x") == {}
