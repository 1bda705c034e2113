"""The header of a GGUF file is walked and never trusted."""

import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gguf_file import gguf, text
from traitline.errors import InputError
from traitline.provenance import tensor_files

KEYS = (
    ("general.architecture", 8, text("llama")), ("general.alignment", 4, struct.pack("<I", 64)),
    ("tokens", 9, struct.pack("<IQ", 8, 2) + text("a") + text("b")), ("ids", 9, struct.pack("<IQ2i", 5, 2, 1, 2)),
    ("scale", 6, struct.pack("<f", 1.0)),
)  # fmt: skip
TENSORS = [("a", (2, 32), 0, bytes(range(256))), ("b", (64,), 1, bytes(128)), ("c", (2, 32), 8, b"q" * 68)]


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


HOSTILE = {
    "cut": gguf(TENSORS)[:-1],
    "version": gguf(TENSORS, version=1),
    "2^60 tensors": gguf(TENSORS, count=1 << 60),
    "more tensors than there are": gguf(TENSORS, count=5),
    "2^60 strings": gguf(TENSORS, keys=[("x", 9, struct.pack("<IQ", 8, 1 << 60))]),
    "2^62 numbers": gguf(TENSORS, keys=[("x", 9, struct.pack("<IQ", 10, 1 << 62))]),
    "a list of lists": gguf(TENSORS, keys=[("x", 9, struct.pack("<IQ", 9, 1))]),
    "a long name": gguf([("n" * 70_000, (1,), 0, b"1234")]),
    "an unknown type": gguf([("a", (1,), 77, b"1234")]),
    "half a block": gguf([("a", (5,), 8, b"12345")]),
    "too many dimensions": gguf([("a", (1,) * 9, 0, b"1234")]),
    "a huge shape": gguf([("a", (1 << 40, 1 << 40), 0, b"1234")]),
    "alignment 0": gguf(TENSORS, keys=[("general.alignment", 4, struct.pack("<I", 0))]),
    "overlap": gguf(TENSORS).replace(struct.pack("<IQ", 1, 256), struct.pack("<IQ", 1, 0)),
    "nothing": b"GGUF",
}


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
