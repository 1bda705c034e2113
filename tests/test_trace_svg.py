"""The picture of one student's origins: joined by content, whatever files are called."""

from pathlib import Path

import pytest

from tests import made_up
from traitline.analysis import trace_svg
from traitline.provenance import manifest


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_origins_follow_a_moved_file():
    """Paths in manifests are not looked at: after a rename of the folder the picture is the same."""
    study = made_up.study()
    made_up.make(study)
    jobs = [manifest.load(p) for p in Path("results").glob("**/*.manifest.json")]
    run = next(r for r in study.runs if r.arm == "same-base")
    for job in jobs:
        for entry in (*job["inputs"], *job["outputs"]):
            entry["path"] = f"elsewhere/{entry['sha256']}{Path(entry['path']).suffix}"
    nodes = trace_svg.lineage(run, trace_svg.Origins(jobs))
    assert [n.stage for n in nodes] == ["pretrain", "teach", "prompts", "sample", "filter", "prepare", "train"]


def test_two_possible_makers_are_both_kept():
    entry = {"role": "data", "path": "x.jsonl", "sha256": "aa", "bytes": 3}
    made = {"inputs": [], "outputs": [entry], "stage": "filter"}
    found = trace_svg.Origins([made, dict(made), {"inputs": [entry], "outputs": [], "stage": "train"}])
    assert set(found.parents(2)) == {0, 1}
    empty = {**entry, "bytes": 0}
    assert not trace_svg.Origins([{**made, "outputs": [empty]}, {"inputs": [empty], "outputs": []}]).parents(1)
