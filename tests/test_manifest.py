"""Manifests: what they say, and that a file which is not what they say is refused."""

import hashlib
import json

import pytest

from traitline.errors import InputError
from traitline.provenance import manifest, stage


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A folder in which `filter` made out.txt from in.txt."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("in\n")
    with stage.record(
        "filter", "r/filter.manifest.json", inputs={"raw": "in.txt"}, outputs={"filtered": "r/out.txt"},
        params={"answers": 1}, seeds={"order": 7}, facts={"trait": "owl"},
    ) as job:  # fmt: skip
        job.path("filtered").write_text("out\n")
    return tmp_path


def test_a_manifest_says_what_was_made_from_what(made):
    m = manifest.load("r/filter.manifest.json")
    assert m["stage"] == "filter" and m["params"] == {"answers": 1} and m["seeds"] == {"order": 7}
    assert m["facts"] == {"trait": "owl"}
    (put,), (got,) = m["inputs"], m["outputs"]
    sha = hashlib.sha256(b"in\n").hexdigest()
    assert put == {"role": "raw", "path": "in.txt", "sha256": sha, "bytes": 3, "statement": None}
    assert got == {"role": "filtered", "path": "r/out.txt", "sha256": hashlib.sha256(b"out\n").hexdigest(), "bytes": 4}
    assert m["code"]["digest"] and m["started"] <= m["ended"]
    assert m["env"]["python"] and m["env"]["threads"] >= 1
    assert not [key for key in m["env"] if key.lower() in ("path", "home", "user")]


def test_a_file_is_found_by_its_manifest_even_after_the_folder_moved(made):
    (made / "r").rename(made / "elsewhere")
    m, entry = manifest.maker("elsewhere/out.txt")
    assert m["stage"] == "filter" and entry["role"] == "filtered"
    manifest.check("elsewhere/out.txt")


def test_a_changed_file_is_refused_by_name(made):
    (made / "r/out.txt").write_text("OUT\n")
    with pytest.raises(InputError, match=r"^r/out\.txt: changed since `filter` made it .*delete the file"):
        manifest.check("r/out.txt")


def test_a_file_without_a_manifest_is_not_refused(made):
    manifest.check("in.txt")


def test_a_file_changed_twice_within_a_process_is_hashed_twice(made):
    first = manifest.sha256("in.txt")
    (made / "in.txt").write_text("other\n")
    assert manifest.sha256("in.txt") != first


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": "other/1"}', "\x00"])
def test_a_damaged_manifest_is_one_line(made, text):
    (made / "r/filter.manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"^r/filter\.manifest\.json: .*delete it") as e:
        manifest.load("r/filter.manifest.json")
    assert "\n" not in str(e.value)


def test_paths_are_relative_inside_the_working_folder_and_absolute_outside(made, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "x"
    assert manifest.relative(made / "r" / ".." / "in.txt") == "in.txt"
    assert manifest.relative(outside) == outside.as_posix()


def test_a_manifest_is_plain_json_that_others_can_read(made):
    text = (made / "r/filter.manifest.json").read_text(encoding="utf-8")
    assert json.loads(text)["schema"] == manifest.SCHEMA and text.endswith("\n")


def test_no_secret_enters_a_manifest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "WANDB_API_KEY", "SSH_AUTH_SOCK", "PASSWORD", "SLURM_JWT"]
    for name in names:
        monkeypatch.setenv(name, "planted-secret")
    (tmp_path / "in.txt").write_text("in\n")
    with stage.record("filter", "filter.manifest.json", inputs={"raw": "in.txt"}, outputs={"x": "out.txt"}) as job:
        job.path("x").write_text("out\n")
    text = (tmp_path / "filter.manifest.json").read_text()
    assert "planted" not in text and not [name for name in names if name in text]
