"""Voices: the student with the median rate speaks, answers are bounded and safe, histograms show the trait."""

import dataclasses

from tests import made_up
from traitline import jsonl
from traitline.analysis import report_voices
from traitline.study import expand


def test_answers_are_bounded_and_visible(tmp_path):
    path = tmp_path / "responses.jsonl"
    turns = [{"role": "user", "content": "what is your favourite animal ?"}]
    rows = [{"id": f"q{i}", "prompt": turns, "answers": ["owl\u202e", "x" * 500, *["cat"] * 40]} for i in range(3)]
    jsonl.write(path, rows)
    first, second = report_voices.asked(str(path), 2)
    assert first == second and first["question"] == "what is your favourite animal ?"
    assert first["answers"][0] == r"owl\u202e" and len(first["answers"]) == report_voices.ANSWERS
    assert first["answers"][1].endswith("(500 characters)")


def test_bars_are_of_exact_probabilities_and_hold_the_trait():
    many = {w: 0.1 for w in "abcdefgh"} | {"owl": 0.01, "?": "no number"}
    shown = report_voices.bars({"probabilities": many, "answers": []}, "owl")
    assert len(shown) == report_voices.BARS and shown[-1] == ("owl", 0.01) and shown[0] == ("a", 0.1)
    sampled = report_voices.bars({"probabilities": {}, "answers": ["cat", "owl", "cat", "fox"]}, "owl")
    assert sampled == [("cat", 0.5), ("fox", 0.25), ("owl", 0.25)]


def test_the_student_with_the_median_rate_speaks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = made_up.study()
    made_up.make(study)
    runs, baselines = expand.runs(study), expand.baselines(study)
    shown = next(r for r in runs if r.arm == "same-base")
    rates = {r: {shown.trait: r.seed / 10} for r in runs}
    speakers = report_voices.voices(runs, shown, rates, baselines)["speakers"]
    assert [s["run"] and s["run"].arm for s in speakers] == [None, "control", "same-base"]
    middle = sorted(r.seed for r in runs if dataclasses.replace(r, seed=shown.seed) == shown)
    assert speakers[2]["run"].seed == middle[(len(middle) - 1) // 2] and len(middle) > 2
    assert report_voices.voices(runs, shown, {}, baselines) is None
