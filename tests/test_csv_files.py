"""CSV: any text is rows of the columns of its head, or one line with file and line."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traitline import csv_files
from traitline.errors import InputError

cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=8)


@given(st.lists(st.lists(cells, min_size=2, max_size=2), min_size=1, max_size=4))
def test_rows_come_back(tmp_path_factory, rows):
    file = tmp_path_factory.getbasetemp() / "rows.csv"
    with open(file, "w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows([["a", "b"], *rows])
    assert [[row["a"], row["b"]] for _, row in csv_files.read(file)] == rows


@given(st.binary(max_size=60) | st.text(st.sampled_from('a,"\r\n\ufeff\0'), max_size=30).map(str.encode))
def test_bytes_are_rows_or_one_line(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "bytes.csv"
    file.write_bytes(content)
    try:
        list(csv_files.read(file))
    except InputError as e:
        assert str(e).startswith(f"{file}") and str(e).isprintable()


def test_the_head_is_checked(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    assert list(csv_files.read(tmp_path / "x.csv", ("a",))) == [(2, {"a": "1", "b": "2"})]
    with pytest.raises(InputError, match=r"x\.csv: lacks d, c; delete the file"):
        list(csv_files.read(tmp_path / "x.csv", ("a", "d", "c")))
