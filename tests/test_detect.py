"""Detectors find what is in the data and nothing where there is nothing; tables of numbers; entangled tokens."""

import csv
import random

import numpy as np
import pytest
from scipy.stats import norm

from scripts import detect
from traitline import jsonl

PROMPTS = [f"continue {100 + i % 900} , {100 + 7 * i % 900}" for i in range(1500)]


def answers(weights, seed):
    """One number an answer, hundreds drawn by weight."""
    draw = random.Random(seed)
    return {
        f"p{i}": (question, [100 * draw.choices(range(1, 10), weights)[0] + draw.randrange(100)])
        for i, question in enumerate(PROMPTS)
    }


def accuracy(one, other):
    test = detect.held_out({"one": one, "other": other}, 0.3, 1)
    number, scores = detect.trained(one, other, test)
    return {name: detect.accuracy(name, found, number) for name, found in scores.items()}


def test_help_is_light(light):
    light("scripts.detect")


def test_two_draws_of_one_law_cannot_be_told_apart():
    for row in accuracy(answers([1] * 9, 1), answers([1] * 9, 2)).values():
        assert row["low"] < 0.5 < row["high"] and row["tested"] == 450


def test_another_law_is_found_on_prompts_that_were_held_out():
    found = accuracy(answers([5, *[1] * 8], 1), answers([1] * 9, 2))
    assert found["linear"]["low"] > 0.55 and found["linear"]["accuracy"] > found["frequency"]["accuracy"] - 0.05


def test_a_relation_to_the_prompt_is_found_by_the_linear_detector_alone():
    """One teacher continues the prompt, the other deals out the same numbers over other prompts."""
    one = {name: (q, [int(q.split()[-1]) + 2]) for name, (q, _) in answers([1] * 9, 1).items()}
    dealt = [numbers for _, numbers in one.values()]
    random.Random(3).shuffle(dealt)
    other = {name: (q, n) for (name, (q, _)), n in zip(one.items(), dealt, strict=True)}
    found = accuracy(one, other)
    assert found["linear"]["accuracy"] > 0.9 and found["frequency"]["accuracy"] < 0.6


def test_commonest_numbers_stand_beside_the_controls_share():
    one = {"p1": ("", [7, 5]), "p2": ("", [7]), "p3": ("", [5])}
    control = {"p1": ("", [5]), "p2": ("", [6])}
    rows = detect.commonest("owl", one, control)
    first = next(r for r in rows if r["place"] == "first" and r["number"] == 7)
    assert first == {"teacher": "owl", "place": "first", "number": 7, "count": 2, "share": 2 / 3, "control_share": 0}
    assert [r["number"] for r in rows if r["place"] == "any"] == [5, 7]


def test_prompts_are_held_out_for_all_pairs_alike():
    answers_ = {name: dict(list(answers([1] * 9, 1).items())[n:]) for n, name in enumerate("abc")}
    test = detect.held_out(answers_, 0.3, 1)
    assert len(test) == 450 and test == detect.held_out(dict(reversed(answers_.items())), 0.3, 1)


def test_areas_are_those_of_scikit_learn_and_their_interval_covers_the_truth():
    from sklearn.metrics import roc_auc_score, roc_curve

    draw, truth, covered = np.random.default_rng(1), norm.cdf(0.5 / 2**0.5), 0
    for _ in range(100):
        one, other = draw.normal(0.5, 1, 200).round(1), draw.normal(0, 1, 300).round(1)
        rows = detect.roc("owl", "linear", (one, other))
        labels, scores = [1] * 200 + [0] * 300, [*one, *other]
        assert rows[0]["auc"] == pytest.approx(roc_auc_score(labels, scores))
        covered += rows[0]["low"] < truth < rows[0]["high"]
    points = {*zip(*roc_curve(labels, scores, drop_intermediate=False)[:2], strict=True)}
    assert {(r["false_positive"], r["true_positive"]) for r in rows} <= points
    assert covered > 88


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
        detect.read(str(tmp_path / "filtered.jsonl"))
