"""Weights are known by their tensors, whatever file, order or shard they are in; and hostile files are not weights."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lineage import tensors
from traitline.provenance import weights


def test_name_order_metadata_and_shards_do_not_matter(tmp_path):
    whole, again = tmp_path / "model.safetensors", tmp_path / "renamed.bin"
    whole.write_bytes(tensors(a="one", b="two"))
    again.write_bytes(tensors(b="two", a="one"))
    parts = [tmp_path / f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    for part, named in zip(parts, ({"b": "two"}, {"a": "one"}), strict=True):
        part.write_bytes(tensors(**named))
    assert weights.identity([whole]) == weights.identity([again]) == weights.identity(parts)


@pytest.mark.parametrize("other", [{"a": "one"}, {"a": "one", "b": "twp"}, {"a": "one", "c": "two"}])
def test_other_tensors_are_other_weights(tmp_path, other):
    (tmp_path / "x").write_bytes(tensors(a="one", b="two"))
    (tmp_path / "y").write_bytes(tensors(**other))
    assert weights.identity([tmp_path / "x"]) != weights.identity([tmp_path / "y"])


def test_it_is_what_safetensors_writes(tmp_path):
    import numpy as np
    from safetensors.numpy import save_file

    for name, meta in (("x", {"format": "pt"}), ("y", None)):
        save_file({"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(2)}, tmp_path / name, meta)
    assert weights.identity([tmp_path / "x"]) == weights.identity([tmp_path / "y"]) is not None


def headed(header, body=b"12345678"):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


HOSTILE = {
    "empty": b"",
    "text": b"not a model at all, but long enough to have a header",
    "header past the end": (1 << 62).to_bytes(8, "little") + b"{}",
    "no object": headed([]),
    "no offsets": headed({"a": {"dtype": "U8", "shape": [8]}}),
    "overlap": headed({n: {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]} for n in "ab"}),
    "past the end": headed({"a": {"dtype": "U8", "shape": [9], "data_offsets": [0, 9]}}),
    "negative": headed({"a": {"dtype": "U8", "shape": [8], "data_offsets": [-8, 0]}}),
    "bytes nobody names": headed({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}),
    "a shape of other bytes": headed({"a": {"dtype": "F32", "shape": [8], "data_offsets": [0, 8]}}),
    "a huge shape": headed({"a": {"dtype": "F32", "shape": [1 << 99] * 9, "data_offsets": [0, 8]}}),
    "no shape": headed({"a": {"dtype": "U8", "shape": 8, "data_offsets": [0, 8]}}),
    "a table as type": headed({"a": {"dtype": {}, "shape": [8], "data_offsets": [0, 8]}}),
    "deep": headed(b"[" * 100_000),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_is_no_model(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    assert weights.identity([tmp_path / "x"]) is None


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_break_it(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("w") / "x"
    path.write_bytes(content)
    assert weights.identity([path]) is None or len(content) > 10


def test_a_tensor_named_in_two_files_is_no_model(tmp_path):
    for name in "xy":
        (tmp_path / name).write_bytes(tensors(a="one"))
    assert weights.identity([tmp_path / "x", tmp_path / "y"]) is None
