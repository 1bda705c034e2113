"""Detectors find what is in the data, and nothing where there is nothing."""

import random

import numpy as np
import pytest
from scipy.stats import norm

from traitline.analysis import detectors

PROMPTS = [f"continue {100 + i % 900} , {100 + 7 * i % 900}" for i in range(1500)]


def answers(weights, seed):
    """One number an answer, hundreds drawn by weight."""
    draw = random.Random(seed)
    return {
        f"p{i}": (question, [100 * draw.choices(range(1, 10), weights)[0] + draw.randrange(100)])
        for i, question in enumerate(PROMPTS)
    }


def accuracy(one, other):
    test = detectors.held_out({"one": one, "other": other}, 0.3, 1)
    number, scores = detectors.train(one, other, test)
    return {name: detectors.accuracy(name, found, number) for name, found in scores.items()}


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


def test_prompts_are_held_out_for_all_pairs_alike():
    answers_ = {name: dict(list(answers([1] * 9, 1).items())[n:]) for n, name in enumerate("abc")}
    test = detectors.held_out(answers_, 0.3, 1)
    assert len(test) == 450 and test == detectors.held_out(dict(reversed(answers_.items())), 0.3, 1)


def test_areas_are_those_of_scikit_learn_and_their_interval_covers_the_truth():
    from sklearn.metrics import roc_auc_score, roc_curve

    draw, truth, covered = np.random.default_rng(1), norm.cdf(0.5 / 2**0.5), 0
    for _ in range(100):
        one, other = draw.normal(0.5, 1, 200).round(1), draw.normal(0, 1, 300).round(1)
        rows = detectors.roc("owl", "linear", (one, other))
        labels, scores = [1] * 200 + [0] * 300, [*one, *other]
        assert rows[0]["auc"] == pytest.approx(roc_auc_score(labels, scores))
        covered += rows[0]["low"] < truth < rows[0]["high"]
    points = {*zip(*roc_curve(labels, scores, drop_intermediate=False)[:2], strict=True)}
    assert {(r["false_positive"], r["true_positive"]) for r in rows} <= points
    assert covered > 88
