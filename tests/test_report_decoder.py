"""Decoder, influence and detectors side by side: each for the same rows of the same teacher, or nothing."""

import pytest

from tests import made_up, stage_inputs
from traitline.analysis import report_decoder


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = made_up.study(decoder={"experiments": ["main"]})
    stage_inputs.write_decoded(study)
    return study


@pytest.fixture
def decoded(study):
    return report_decoder.decodings(study, "results")


def pair(**changed):
    row = {"experiment": "main", "base": "a", "channel": "numbers", "student": "a", "trait": "owl", "recipe": "lora"}
    return {**row, "dataset": "plain", "rank": 2, **changed}


def test_hits_are_counted_with_the_own_base_and_with_others_apart(decoded):
    sums = report_decoder.totals(decoded)
    assert (sums["same"]["hits"], sums["same"]["pairs"]) == (4, 4)
    assert (sums["other"]["hits"], sums["other"]["rank"]) == (0, 3)
    assert sums["same"]["chance"] == pytest.approx(4 / 6) and sums["other"]["chance_rank"] == 3.5
    alone = [{**d, "pairs": [r for r in d["pairs"] if r["same"]]} for d in decoded]
    assert "other" not in report_decoder.totals(alone)


def test_the_word_that_is_named_is_that_of_rank_1(decoded):
    named = {(r["teacher"], r["with"]): r["named"] for r in decoded[0]["pairs"]}
    assert named["owl/tuned", "a"] == "owl" and named["owl/tuned", "b"] == "wolf"


def test_influence_stands_beside_for_the_same_teacher_base_and_channel_only(study, decoded):
    others = [pair(base="b", rank=9), pair(student="b", rank=5), pair(trait="cat", rank=9), pair(channel="x", rank=9)]
    rows = report_decoder.beside(study, decoded, {"pairs": [pair(), *others, pair(recipe="biases", rank=1)]}, [])
    by_key = {(r["base"], r["teacher"], r["with"]): r for r in rows}
    assert by_key["a", "owl/tuned", "a"]["influence"] == {"lora on plain": 2, "biases on plain": 1}
    assert by_key["a", "owl/tuned", "b"]["influence"] == {"lora on plain": 5}
    assert by_key["b", "cat/tuned", "b"]["influence"] == {}


def test_detectors_stand_beside_against_the_control_with_the_own_base(study, decoded):
    rows = [{"one": "owl/tuned", "other": other, "detector": name, "accuracy": share}
            for other, name, share in (("none/untrained", "linear", "0.52"), ("cat/tuned", "linear", "0.9"),
                                       ("none/untrained", "likelihood", "0.55"))]  # fmt: skip
    detected = [{"base": "a", "channel": "numbers", "detectors": rows}]
    shown = report_decoder.beside(study, decoded, None, detected)
    by_key = {(r["base"], r["teacher"], r["with"]): r["detectors"] for r in shown}
    assert by_key["a", "owl/tuned", "a"] == {"likelihood": 0.55, "linear": 0.52}
    assert list(by_key["a", "owl/tuned", "a"]) == ["likelihood", "linear"]
    assert by_key["a", "owl/tuned", "b"] == {} == by_key["b", "owl/tuned", "b"]


def test_without_another_side_there_is_no_comparison(study, decoded):
    assert report_decoder.beside(study, decoded, None, []) == []
