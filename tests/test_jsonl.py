"""Reading and writing JSON Lines: every damage gets one line that names file and line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traitline import jsonl
from traitline.errors import InputError


@pytest.fixture
def file(tmp_path):
    return tmp_path / "rows.jsonl"


def test_rows_come_back_in_order_with_any_text(file):
    rows = [{"id": 1, "text": "é \u2028 \n 🦉"}, {"id": 2, "text": ""}]
    assert jsonl.write(file, rows) == 2
    assert list(jsonl.read(file, ("id", "text"), unique="id")) == rows
    assert file.read_bytes().count(b"\n") == 2


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(st.dictionaries(st.text(), values, max_size=3), min_size=1, max_size=4))
def test_write_then_read_is_the_identity(tmp_path_factory, rows):
    file = tmp_path_factory.getbasetemp() / "identity.jsonl"
    jsonl.write(file, rows)
    assert list(jsonl.read(file)) == rows


def test_half_a_surrogate_pair_is_neither_written_nor_read(file):
    """It is no character: no tokenizer makes one, none takes one, and no file in UTF-8 can hold it."""
    with pytest.raises(ValueError, match="surrogate"):
        jsonl.write(file, [{"text": "\ud83e"}])
    file.write_bytes(b'{"text":"x\\ud83e"}\n')
    with pytest.raises(InputError, match=r"rows\.jsonl:1: damaged line \(half a surrogate pair"):
        list(jsonl.read(file))
    file.write_bytes(b'{"text":"x\\ud83e\\udd89"}\n')
    assert list(jsonl.read(file)) == [{"text": "x\U0001f989"}]


def test_not_a_number_is_never_written(file):
    with pytest.raises(ValueError, match="JSON"):
        jsonl.write(file, [{"loss": float("nan")}])


def test_two_files_can_be_written_at_once(tmp_path):
    with jsonl.writer(tmp_path / "even") as even, jsonl.writer(tmp_path / "odd") as odd:
        for n in range(4):
            (odd if n % 2 else even)({"n": n})
    assert [[r["n"] for r in jsonl.read(tmp_path / f)] for f in ("even", "odd")] == [[0, 2], [1, 3]]


GOOD = b'{"id":"p1","text":"x"}\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "rows.jsonl: the file is empty"),
        (GOOD + b'{"id":"p2","te', "rows.jsonl:2: damaged line (Unterminated string"),
        (GOOD + b"\n" + GOOD, "rows.jsonl:2: damaged line (Expecting value"),
        (GOOD + b"\x00\x00\x00\n", "rows.jsonl:2: damaged line"),
        (GOOD + b"[1]\n", "rows.jsonl:2: not a JSON object"),
        (GOOD + b"null\n", "rows.jsonl:2: not a JSON object"),
        (GOOD + b'{"id":"p2"}\n', "rows.jsonl:2: the row lacks text"),
        (GOOD + b'{"x":"p2"}\n', "rows.jsonl:2: the row lacks id, text"),
        (GOOD + b'{"id":"p2","text":"y"}\n' + GOOD, "rows.jsonl:3: id 'p1' is that of line 1 too"),
        (b"\xff\xfe" + GOOD, "rows.jsonl:1: not UTF-8"),
        (b'{"id":' + b"9" * 5000 + b"}\n", "rows.jsonl:1: damaged line (a number too long"),
        (GOOD + b'{"id":"p2","text":NaN}\n', "rows.jsonl:2: damaged line (a number too long, NaN"),
        (GOOD + b'{"id":"p2","text":[{"x":-Infinity}]}\n', "rows.jsonl:2: damaged line (a number too long, NaN"),
        (GOOD.replace(b"p1", b"p2") + GOOD + GOOD, "rows.jsonl:3: id 'p1' is that of line 2 too"),
        (GOOD * 2, "rows.jsonl:2: id 'p1' is that of line 1 too"),
        (b"[" * 200_000 + b"\n", "rows.jsonl:1: damaged line (a number too long, NaN, or nesting too deep"),
        (b'{"id":"' + b"x" * jsonl.MAX_LINE + b'"}\n', "rows.jsonl:1: more than 1,048,576 characters"),
    ],
)
def test_damage_is_named_in_one_line_with_a_remedy(file, content, message):
    file.write_bytes(content)
    with pytest.raises(InputError) as e:
        list(jsonl.read(file, ("id", "text"), unique="id"))
    assert message in str(e.value)
    assert "to have it rebuilt" in str(e.value)
    assert "\n" not in str(e.value)


def test_a_missing_file_is_named(file):
    with pytest.raises(InputError, match="no such file; make it with the stage before"):
        next(jsonl.read(file))


def test_a_unique_key_must_be_there(file):
    file.write_bytes(b"{}\n")
    with pytest.raises(InputError, match="lacks id"):
        list(jsonl.read(file, unique="id"))


def test_reading_is_lazy(file):
    file.write_bytes(GOOD + b"damage\n")
    assert next(jsonl.read(file)) == json.loads(GOOD)


def test_a_byte_order_mark_is_no_part_of_the_first_row(file):
    file.write_bytes(b"\xef\xbb\xbf" + GOOD)
    assert list(jsonl.read(file, ("id",))) == [json.loads(GOOD)]
    file.write_bytes(GOOD + b"\xef\xbb\xbf" + GOOD.replace(b"p1", b"p2"))
    with pytest.raises(InputError, match=r"rows\.jsonl:2: damaged line"):
        list(jsonl.read(file))


messages = st.lists(st.dictionaries(st.text(), st.text(st.characters(exclude_categories=[])), max_size=2), max_size=3)


@given(st.dictionaries(st.text(st.characters(exclude_categories=[])), st.text() | messages | values, max_size=3))
def test_a_row_is_written_as_json_writes_it(row):
    assert jsonl.dumps(row) == json.dumps(row, ensure_ascii=False, separators=(",", ":"))


@given(st.permutations(["p1", "p2", "p9", "p10", "p11"]), st.integers(0, 4), st.integers(0, 5))
def test_values_in_any_order_are_unique_or_refused(tmp_path_factory, names, i, at):
    file = tmp_path_factory.getbasetemp() / "unique.jsonl"
    jsonl.write(file, [{"id": name} for name in names])
    assert [row["id"] for row in jsonl.read(file, unique="id")] == names
    jsonl.write(file, [{"id": name} for name in [*names[:at], names[i], *names[at:]]])
    with pytest.raises(InputError, match=f"id '{names[i]}' is that of line"):
        list(jsonl.read(file, unique="id"))
