"""Ranks and their correlations are those of scipy; a bootstrap needs several teachers."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from traitline.analysis import ranks


def test_correlations_are_those_of_scipy_whatever_counts():
    draw = np.random.default_rng(1)
    one, other = draw.integers(0, 6, 12).astype(float), draw.normal(size=12)
    counts = draw.integers(0, 3, (20, 12))
    for rho, n in zip(ranks.weighted_spearman(one, other, counts), counts, strict=True):
        assert rho == pytest.approx(spearmanr(one.repeat(n), other.repeat(n)).statistic)
    assert ranks.spearman([1, 1, 1], [1, 2, 3]) is None is ranks.spearman([1, 2], [1, 2])


def test_equal_scores_share_their_rank():
    assert ranks.place({"a": 1.0, "b": 1.0, "c": 0.0}, "a") == 1.5
    assert ranks.place({"a": 1.0, "b": 1.0, "c": 0.0}, "c") == 3


def test_students_of_one_teacher_are_not_resampled():
    rows = [{"base": "a", "trait": "owl", "score": 1.0, "rise": 1.0}] * 5
    assert ranks.bootstrap_interval(rows) == (None, None), "five students' bases are one teacher"
