"""Fixed points of matchings: the bound on their p-value holds where two models are independent, by simulation."""

import math

import numpy as np
import pytest

from traitline.kinship.matching import best_of, directions, fixed_points, log10_p, match, match_directions, match_each

DRAWS = 3000


def independent(m, features, rng):
    return rng.normal(size=(m, features)), rng.normal(size=(m, features))


def structured(m, features, rng):
    """Every row leans to one direction, by an amount that is alike in both models: what training on one text does."""
    lean = np.linspace(0, 3, m)[:, None]
    common = rng.normal(size=features)
    one, other = (rng.normal(size=(m, features)) + rng.permutation(lean) * common for _ in range(2))
    return one, other


def dead(m, features, rng):
    """Most rows are nothing, in both."""
    one, other = independent(m, features, rng)
    one[: m - 2] = other[: m - 2] = 0
    return one, other


def fixed(draw, m, features=6):
    rng = np.random.default_rng(1)
    return np.array([fixed_points(*draw(m, features, rng), seed) for seed in range(DRAWS)])


@pytest.mark.parametrize("draw", [independent, structured, dead])
@pytest.mark.parametrize("m", [4, 12])
def test_the_bound_holds_under_independent_starts(draw, m):
    counts = fixed(draw, m)
    for k in range(1, 5):
        moment = np.mean([math.comb(int(f), k) for f in counts])
        tail = (counts >= k).mean()
        error = 4 * math.sqrt(1 / math.factorial(k) / DRAWS) * 2
        assert moment <= 1 / math.factorial(k) + error
        assert tail <= 10 ** log10_p(k) + error


def test_a_test_that_is_not_symmetric_breaks_it():
    """The bound needs the symmetry: rows that both models number alike keep their numbers."""
    rng = np.random.default_rng(1)
    one, other = independent(12, 6, rng)
    common = 3 * rng.normal(size=(12, 6))
    assert fixed_points(one + common, other + common, 1) >= 8


def test_noise_as_large_as_the_weights_leaves_fixed_points():
    rng = np.random.default_rng(1)
    a, b = independent(96, 48, rng)
    assert fixed_points(a, a + b, 1) >= 90 and fixed_points(a, b, 1) <= 4


def test_a_matching_is_one_to_one_and_finds_a_permutation():
    rng = np.random.default_rng(1)
    a, _ = independent(50, 20, rng)
    order = rng.permutation(50)
    assert (match(a, a[order], 3)[order] == np.arange(50)).all()
    there = match(*independent(50, 20, rng), 3)
    kept = there[there >= 0]
    assert len(set(kept.tolist())) == len(kept)


def test_several_at_once_are_matched_as_each_alone():
    rng = np.random.default_rng(1)
    a, *others = (directions(rng.normal(size=(n, 12))) for n in (30, 30, 20, 30))
    others.append(a[::-1])
    together = match_each(a, others, 3)
    assert all((one == match_directions(a, other, 3)).all() for one, other in zip(together, others, strict=True))
    assert (together[-1] == np.arange(30)[::-1]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 0.0, 3e38])
def test_what_is_no_number_matches_nothing(bad):
    a = np.full((20, 8), bad, np.float32)
    assert fixed_points(a, a, 1) <= 6


def test_bonferroni():
    assert best_of([]) == 0 and best_of([-1, -3]) == pytest.approx(-3 + math.log10(2)) and best_of([0.0]) == 0
    assert log10_p(0) == log10_p(1) == 0 and 10 ** log10_p(5) == pytest.approx(1 / 120)
