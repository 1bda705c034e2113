"""A file appears whole, or what was there stays and nothing is left beside it."""

import pytest

from traitline import atomic


def test_text_and_bytes_appear_under_their_name_alone(tmp_path):
    atomic.put(tmp_path / "deep/a.json", "é")
    atomic.put(tmp_path / "deep/b", b"\xff")
    assert {p.name: p.read_bytes() for p in (tmp_path / "deep").iterdir()} == {"a.json": "é".encode(), "b": b"\xff"}


def test_a_failed_write_leaves_nothing(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError):
        atomic.put(tmp_path / "taken", "x")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]
