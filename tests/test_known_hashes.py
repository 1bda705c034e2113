"""Hashes that are remembered: never of another file than the one that was hashed."""

import json
import os
import shutil
from pathlib import Path

import pytest

from traitline.errors import InputError
from traitline.provenance import manifest
from traitline.provenance.known_hashes import KnownHashes


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A file in the working folder, and a place for hashes."""
    monkeypatch.chdir(tmp_path)
    Path("x").write_text("one")
    return "x"


def again():
    """What a later process knows."""
    return KnownHashes(Path("kept/hashes.json"))


def hashed(file):
    """Hash a file and keep the answer."""
    known = again()
    sha = known(file)
    known.save()
    return sha


def exchanged_at_once(file):
    """An edit in the same step of the clock as the hashing, size and time kept."""
    before = os.stat(file)
    Path(file).write_text("two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def linked(file):
    """Another file behind a link of the same name."""
    Path("other").write_text("two")
    shutil.copystat(file, "other")
    os.unlink(file)
    os.symlink("other", file)


@pytest.mark.parametrize("change", [exchanged_at_once, linked])
def test_another_content_is_another_hash_whatever_its_time(file, change):
    first = hashed(file)
    change(file)
    assert hashed(file) != first
    assert hashed(file) == manifest.sha256(file)


def test_an_untouched_file_is_known_to_the_next_process(file, monkeypatch):
    sha = hashed(file)
    monkeypatch.setattr(manifest, "sha256", lambda path: pytest.fail("hashed again"))
    assert again()(file) == sha


def test_jobs_that_run_side_by_side_keep_what_each_has_hashed(file):
    Path("y").write_text("two")
    one, other = again(), again()
    one(file), other("y")
    one.save(merge=True)
    other.save(merge=True)
    assert json.loads(Path("kept/hashes.json").read_text()).keys() == {"x", "y"}


@pytest.mark.parametrize("text", ["{", "[]", '{"x": 1}', '{"x": [1, 2]}', '{"x": []}'])
def test_a_damaged_memory_is_none(file, text):
    Path("kept").mkdir()
    Path("kept/hashes.json").write_text(text)
    assert hashed(file) == manifest.sha256(file)


def test_where_nobody_may_write_it_still_answers(file):
    Path("kept").write_text("a file in the way")
    assert hashed(file) == manifest.sha256(file)


def test_a_file_that_is_gone_is_named(file):
    with pytest.raises(InputError, match="gone: no such file"):
        again()("gone")
