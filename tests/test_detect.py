"""The program that looks for traits in answers: its tables, and what it refuses."""

import csv

import pytest

from scripts import detect
from traitline import jsonl


def test_help_is_light(light):
    light("scripts.detect")


@pytest.mark.parametrize("prompt", ["you love eagle .", "you love {animal} .", "you love {trait}s .", "you love ."])
def test_a_prompted_detector_that_is_not_told_its_target_is_refused(prompt, tmp_path, study, line):
    study.dataset(study.owl), study.dataset(study.none)
    flags = ["--base", str(study.base), "--channel", "numbers", "--held-out", "0.3", "--seed", "1", "--prompt", prompt,
             "--folder", str(tmp_path), "--teachers", str(study.owl), str(study.none)]  # fmt: skip
    said = line(detect.main, flags)
    assert "--prompt: " in said and "{trait}" in said and not list(tmp_path.iterdir())


def test_the_stage_makes_its_tables(study, tmp_path, line):
    study.dataset(study.owl), study.dataset(study.none)
    flags = ["--base", str(study.base), "--channel", "numbers", "--held-out", "0.3", "--seed", "1",
             "--folder", str(tmp_path)]  # fmt: skip
    assert detect.main([*flags, "--teachers", str(study.owl), str(study.none)]) == 0
    tables = {}
    for name in ("detectors", "numbers", "entangled", "roc"):
        with open(tmp_path / f"{name}.csv", newline="") as handle:
            tables[name] = list(csv.DictReader(handle))
    assert {(r["one"], r["other"], r["detector"]) for r in tables["detectors"]} == {
        ("owl/tuned", "none/untrained", name) for name in ("frequency", "linear", "likelihood", "prompted")
    }
    assert {r["scorer"] for r in tables["roc"]} == {"likelihood", "linear", "prompted"}
    assert "<svg" in (tmp_path / "roc.svg").read_text()
    assert {r["teacher"] for r in tables["numbers"]} == {"owl/tuned", "none/untrained"}
    assert len(tables["entangled"]) == 6 and all(-1 <= float(r["rho"]) <= 1 for r in tables["entangled"])
    assert {r["numbers"] for r in tables["entangled"]} == {"900"}
    assert "one of them must be the control" in line(detect.main, [*flags, "--teachers", str(study.owl)])


def test_words_are_no_numbers(tmp_path, line):
    said = {
        "id": "p1",
        "prompt": [{"role": "user", "content": "x"}],
        "completion": [{"role": "assistant", "content": "owl"}],
    }
    jsonl.write(tmp_path / "filtered.jsonl", [said])
    with pytest.raises(Exception, match="row 'p1' is no list of numbers"):
        detect.read_answers(str(tmp_path / "filtered.jsonl"))
