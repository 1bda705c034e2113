"""Links of DVC are followed into its cache; no other link is."""

import os
from pathlib import Path

import pytest

from traitline.lineage.links import DvcCache

NAME = "files/md5/5d/41402abc4b2a76b9719d911017c592"


def put(folder, name=NAME):
    """A file in a cache."""
    path = Path(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("hello")
    return path.resolve()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """An empty DVC repository."""
    (tmp_path / "work/.dvc").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "global"))
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", str(tmp_path / "system"))
    return tmp_path / "work"


def test_a_link_into_the_cache_is_an_artifact(repository):
    os.symlink(put(".dvc/cache"), "link")
    assert DvcCache().is_artifact("link")
    Path(".dvc/cache", NAME).unlink()
    assert not DvcCache().is_artifact("link")


@pytest.mark.parametrize("file", ["work/.dvc/config.local", "work/.dvc/config", "global/config", "system/config"])
def test_the_cache_is_where_the_configuration_says(repository, file):
    place = repository.parent / file
    place.parent.mkdir(exist_ok=True)
    place.write_text("[core]\n    remote = x\n['remote \"x\"']\n    url = ../x\n[cache]\n    dir = ../../far\n")
    os.symlink(put(place.parent / "../../far"), "link")
    os.symlink(put(".dvc/cache"), "other")
    assert DvcCache().is_artifact("link") and not DvcCache().is_artifact("other")


@pytest.mark.parametrize(
    "target", ["secret", ".dvc/cache/secret", f".dvc/cache/{NAME}x", ".dvc/cache/files/md5", "link"]
)
def test_no_other_link_is_followed(repository, target):
    if target.endswith(("secret", "x")):
        put(".", target)
    else:
        put(".dvc/cache")
    os.symlink(target, "link")
    assert not DvcCache().is_artifact("link")


def test_without_dvc_no_link_is_followed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.symlink(put(".dvc-cache"), "link")
    Path("file").touch()
    assert not DvcCache().is_artifact("link") and DvcCache().is_artifact("file") and not DvcCache().is_artifact(".")
