"""The header of a GGUF file is walked and never trusted."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gguf_file import HOSTILE, KEYS, TENSORS, gguf
from traitline.errors import InputError
from traitline.provenance import tensor_files


def places(tmp_path, content):
    (tmp_path / "m.gguf").write_bytes(content)
    return tensor_files.places(tmp_path / "m.gguf")


def test_tensors_are_where_the_header_says(tmp_path):
    content = gguf(TENSORS, keys=KEYS, alignment=64)
    read = places(tmp_path, content)
    assert [(p.name, p.dtype, tuple(p.shape)) for p in read] == [
        ("a", "F32", (2, 32)), ("b", "F16", (64,)), ("c", "Q8_0", (2, 32)),
    ]  # fmt: skip
    assert [content[p.start : p.start + p.bytes] for p in read] == [t[3] for t in TENSORS]


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_header_is_one_line(tmp_path, content):
    start = time.monotonic()
    with pytest.raises(InputError, match="damaged") as e:
        places(tmp_path, content)
    assert "\n" not in str(e.value) and time.monotonic() - start < 2


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 300))
def test_no_bytes_break_it(tmp_path_factory, content, at):
    whole = gguf(TENSORS, keys=KEYS)
    path = tmp_path_factory.mktemp("g") / "m.gguf"
    path.write_bytes(whole[:at] + content + whole[at + len(content) :])
    try:
        tensor_files.places(path)
    except InputError as e:
        assert "\n" not in str(e)
