"""Finished parts of a job: what was kept comes back as it was, or not at all."""

import pytest

from traitline.provenance import kept_parts


def test_a_part_comes_back_as_it_was(tmp_path):
    for content in (b"", b"\n", b"one\ntwo\n", bytes(range(256))):
        kept_parts.keep(content, tmp_path / "below/part")
        assert kept_parts.recall(tmp_path / "below/part") == content


@pytest.mark.parametrize("at", [0, 70, -1])
def test_a_flipped_bit_anywhere_is_no_part_and_one_line(tmp_path, caplog, at):
    kept_parts.keep(b'{"answer": "owl"}\n' * 9, tmp_path / "part")
    content = bytearray((tmp_path / "part").read_bytes())
    content[at] ^= 1
    (tmp_path / "part").write_bytes(content)
    assert kept_parts.recall(tmp_path / "part") is None
    (record,) = caplog.records
    assert "damaged part" in record.getMessage() and "\n" not in record.getMessage()


@pytest.mark.parametrize("content", [b"", b"[1]", b"[1]\n"])
def test_a_part_without_a_checksum_is_none(tmp_path, content):
    (tmp_path / "part").write_bytes(content)
    assert kept_parts.recall(tmp_path / "part") is None


def test_what_was_never_kept_is_none(tmp_path):
    (tmp_path / "folder").mkdir()
    assert [kept_parts.recall(path) for path in (None, tmp_path / "x", tmp_path / "folder")] == [None] * 3
