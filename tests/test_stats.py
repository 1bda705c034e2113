"""Statistics over units, against scipy and statsmodels, and where they must keep silent."""

import math
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traitline.analysis import stats

rates = st.lists(st.floats(0, 1), min_size=2, max_size=8)


def test_interval_is_students() -> None:
    from scipy import stats as reference

    values = [0.41, 0.35, 0.52, 0.44, 0.39]
    low, high = reference.t.interval(0.95, 4, loc=sum(values) / 5, scale=reference.sem(values))
    e = stats.interval(values)
    assert (e.n, e.mean) == (5, pytest.approx(0.422))
    assert (e.low, e.high) == (pytest.approx(low), pytest.approx(high))


def test_five_units_in_the_textbook() -> None:
    """0.025 quantile of t with 4 degrees of freedom is 2.776: by hand, without any library."""
    e = stats.interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert e.high == pytest.approx(3 + 2.776 * math.sqrt(2.5 / 5), abs=1e-3)


def test_difference_is_welchs_by_hand() -> None:
    a, b = [0.9, 0.7, 0.8], [0.10, 0.11, 0.09, 0.10]
    va, vb = 0.01 / 3, (2e-4 / 3) / 4
    d = stats.difference(a, b)
    assert d.diff == pytest.approx(0.7)
    assert d.t == pytest.approx(0.7 / math.sqrt(va + vb))
    assert d.df == pytest.approx((va + vb) ** 2 / (va**2 / 2 + vb**2 / 3))
    assert d.low is not None and d.high is not None and d.p is not None
    assert d.low < 0.7 < d.high and 0 < d.p < 0.01


def test_difference_has_a_direction() -> None:
    up, down = stats.difference([0.5, 0.6], [0.1, 0.2]), stats.difference([0.1, 0.2], [0.5, 0.6])
    assert up.diff == -down.diff and up.p == down.p and up.low == -(down.high or 0)


def test_fewer_than_three_units_have_no_interval() -> None:
    assert stats.interval([0.4]) == stats.Estimate(1, 0.4)
    assert stats.interval([0.4, 0.6]) == stats.Estimate(2, 0.5), "12.7 standard errors say nothing"
    assert stats.tested([1.0, 1.2]) == stats.Tested(2, 1.1) and stats.equivalence([0.0, 0.1], 5) is None
    assert stats.difference([0.4], [0.1, 0.2]) == stats.Difference(pytest.approx(0.25))
    assert stats.difference([0.4, 0.5], [0.1]).p is None


def test_runs_that_do_not_differ_prove_nothing() -> None:
    """Zero spread is what a seed without any effect looks like: no interval of width zero, no p of zero."""
    assert stats.interval([0.3] * 5) == stats.Estimate(5, pytest.approx(0.3))
    assert stats.interval([0.3, 0.3, 0.1 + 0.2]).low is None  # equal up to rounding
    assert stats.difference([0.3] * 5, [0.1] * 5) == stats.Difference(pytest.approx(0.2))


def test_one_group_without_spread_still_compares() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        d = stats.difference([0.5, 0.6, 0.7], [0.1 + 0.2, 0.3, 0.3])
    assert d.p is not None and 0 < d.p < 0.05 and d.df == pytest.approx(2)


def test_no_runs_is_an_error() -> None:
    with pytest.raises(ValueError, match="no values"):
        stats.interval([])


@settings(deadline=None)  # the first call imports scipy
@given(rates, rates)
def test_difference_agrees_with_scipy(a: list[float], b: list[float]) -> None:
    from scipy.stats import ttest_ind

    d = stats.difference(a, b)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy's, about values that hardly differ
        expected = ttest_ind(a, b, equal_var=False)
        bounds = expected.confidence_interval()
    if d.p is None:
        return
    assert d.low is not None and d.high is not None and d.low <= d.diff <= d.high
    if max(a) - min(a) > 1e-6 or max(b) - min(b) > 1e-6:  # below, scipy itself warns that it cannot be trusted
        assert d.p == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
        assert (d.low, d.high) == (pytest.approx(bounds.low, abs=1e-9), pytest.approx(bounds.high, abs=1e-9))


def test_holm_agrees_with_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests

    @settings(max_examples=15, deadline=None)  # statsmodels takes a tenth of a second per call
    @given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
    def agrees(ps: list[float]) -> None:
        assert stats.holm(ps) == pytest.approx(list(multipletests(ps, method="holm")[1]))

    agrees()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_helps_and_keeps_the_order(ps: list[float]) -> None:
    corrected = stats.holm(ps)
    assert all(c is not None and p <= c <= min(1.0, len(ps) * p) for p, c in zip(ps, corrected, strict=True))
    pairs = sorted(zip(ps, corrected, strict=True))
    assert [c for _, c in pairs] == sorted(corrected)


def test_holm_counts_outcomes_that_could_not_be_tested() -> None:
    assert stats.holm([0.01, None, 0.02]) == [pytest.approx(0.03), None, pytest.approx(0.04)]
    assert stats.holm([]) == []


def test_paired_differences_are_tested_as_scipy_does() -> None:
    from scipy.stats import ttest_1samp

    values = [0.9, 1.4, 0.2, 1.1, -0.1]
    expected = ttest_1samp(values, 0)
    bounds = expected.confidence_interval()
    t = stats.tested(values)
    assert (t.n, t.df, t.t, t.p) == (5, 4, pytest.approx(expected.statistic), pytest.approx(expected.pvalue))
    assert (t.low, t.high) == (pytest.approx(bounds.low), pytest.approx(bounds.high))


def test_what_is_detectable_agrees_with_a_power_analysis() -> None:
    """Of statsmodels, at the spread of these units; its t is not central, so a few percent apart."""
    from statsmodels.stats.power import TTestPower

    values = [0.9, 1.4, 0.2, 1.1, -0.1, 0.8, 0.5, 1.9, 0.7]
    t, spread = stats.tested(values), math.sqrt(stats.variance(values) or 0)
    assert t.detectable == pytest.approx(TTestPower().solve_power(nobs=9, alpha=0.05, power=0.8) * spread, rel=0.05)
    assert t.low is not None and t.detectable is not None and t.detectable > t.mean - t.low


def test_equivalence_agrees_with_statsmodels() -> None:
    from statsmodels.stats.weightstats import DescrStatsW

    values = [0.05, -0.1, 0.12, 0.02, -0.04]
    for margin in (0.05, 0.2, 1.0):
        assert stats.equivalence(values, margin) == pytest.approx(DescrStatsW(values).ttost_mean(-margin, margin)[0])
    moved = [v + 0.3 for v in values]
    assert (stats.equivalence(moved, 0.2) or 0) > 0.5 and (stats.equivalence([-v for v in moved], 0.2) or 0) > 0.5


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_an_interval_of_shares_stays_between_0_and_1(shares: list[float]) -> None:
    e = stats.share_interval(shares)
    assert 0 <= e.mean <= 1
    if e.low is not None and e.high is not None:
        assert 0 <= e.low <= e.mean <= e.high <= 1 and len(shares) >= stats.LEAST


def test_the_logit_scale_and_back() -> None:
    from scipy import special

    for rate in (0.002, 0.06, 0.5, 0.97):
        assert stats.logit(rate) == pytest.approx(special.logit(rate)) and stats.expit(
            stats.logit(rate)
        ) == pytest.approx(rate)
    assert stats.logit(0.0) == stats.logit(1e-9) == pytest.approx(-stats.logit(1.0)), "no rate is infinitely far"
    assert stats.expit(-800) == 0.0 and stats.expit(800) == 1.0
    assert stats.mean_rate([0.1, 0.9]) == pytest.approx(0.5) and stats.mean_rate([0.0, 0.0]) == 0.0
