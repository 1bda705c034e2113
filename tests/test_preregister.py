"""Primary outcomes are written down before the run, and a change of them afterwards cannot be hidden."""

import json

import pytest

from scripts import preregister
from traitline.provenance import manifest

ROW = {"name": "main", "traits": ["owl"], "recipes": ["lora"], "seeds": [1]}


def run(folder, *rows):
    argv = ["--primary", json.dumps(rows), "--results", str(folder), "--preregistered", f"{folder}/preregistered.json"]
    assert preregister.main([*argv, "--manifest", f"{folder}/preregister.manifest.json"]) == 0
    return json.loads((folder / "preregistered.json").read_text())["declarations"]


def test_help_is_light(light):
    light("scripts.preregister")


def test_it_says_what_when_and_that_nothing_was_scored(tmp_path):
    (made,) = run(tmp_path, ROW)
    assert made["primary"] == [ROW] and made["scored"] == 0 and "commit" in made
    assert manifest.load(tmp_path / "preregister.manifest.json")["params"] == {"primary": [ROW]}


def test_the_same_again_changes_nothing(tmp_path):
    first = run(tmp_path, ROW)
    assert run(tmp_path, ROW) == first


def test_a_change_is_added_with_how_many_students_had_been_scored(tmp_path):
    (first,) = run(tmp_path, ROW)
    for place in ("a/owl/lora/seed-1/favourite", "a/owl/lora/seed-2/favourite", "baseline/a/favourite"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "scores.json").write_text("{}")
    before, after = run(tmp_path, ROW | {"traits": ["cat"]})
    assert before == first and after["primary"][0]["traits"] == ["cat"] and after["scored"] == 2


@pytest.mark.parametrize("text", ["{", ""])
def test_nonsense_is_one_line(tmp_path, line, text):
    argv = [
        "--primary",
        text,
        "--results",
        str(tmp_path),
        "--preregistered",
        f"{tmp_path}/d.json",
        "--manifest",
        f"{tmp_path}/m",
    ]
    assert "--primary: not JSON" in line(preregister.main, argv)


def test_a_damaged_history_is_not_overwritten(tmp_path, line):
    (tmp_path / "preregistered.jsonl").write_text("{")
    argv = ["--primary", "[]", "--results", str(tmp_path), "--preregistered", f"{tmp_path}/preregistered.json"]
    assert "preregistered.jsonl:1: damaged line" in line(preregister.main, [*argv, "--manifest", f"{tmp_path}/m"])
    assert (tmp_path / "preregistered.jsonl").read_text() == "{"


def test_deleting_what_was_made_deletes_no_declaration(tmp_path):
    first = run(tmp_path, ROW)
    (tmp_path / "preregistered.json").unlink()
    assert run(tmp_path, ROW | {"seeds": [1, 2]})[0] == first[0]
