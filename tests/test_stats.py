"""Statistics over runs, against scipy and statsmodels, and where they must keep silent."""

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
    assert (e.runs, e.mean) == (5, pytest.approx(0.422))
    assert (e.low, e.high) == (pytest.approx(low), pytest.approx(high))


def test_five_runs_in_the_textbook() -> None:
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


def test_one_run_has_no_interval() -> None:
    assert stats.interval([0.4]) == stats.Estimate(1, 0.4)
    assert stats.difference([0.4], [0.1, 0.2]) == stats.Difference(pytest.approx(0.25))
    assert stats.difference([0.4, 0.5], [0.1]).p is None


def test_runs_that_do_not_differ_prove_nothing() -> None:
    """Zero spread is what a seed without any effect looks like: no interval of width zero, no p of zero."""
    assert stats.interval([0.3] * 5) == stats.Estimate(5, pytest.approx(0.3))
    assert stats.interval([0.3, 0.1 + 0.2]).low is None  # equal up to rounding
    assert stats.difference([0.3] * 5, [0.1] * 5) == stats.Difference(pytest.approx(0.2))


def test_one_group_without_spread_still_compares() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        d = stats.difference([0.5, 0.6, 0.7], [0.1 + 0.2, 0.3, 0.3])
    assert d.p is not None and 0 < d.p < 0.05 and d.df == pytest.approx(2)


def test_no_runs_is_an_error() -> None:
    with pytest.raises(ValueError, match="no runs"):
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


def test_needed_runs_agree_with_a_power_analysis() -> None:
    """Of statsmodels, two groups of equal spread: at most one run apart, since its t is not central."""
    from statsmodels.stats.power import TTestIndPower

    low, high = [0.10, 0.14, 0.06, 0.12, 0.08], [0.14, 0.18, 0.10, 0.16, 0.12]
    d = stats.difference(high, low)
    effect = d.diff / math.sqrt(0.001)
    wanted = TTestIndPower().solve_power(effect, alpha=0.05, power=0.8)
    assert d.needed is not None and abs(d.needed - math.ceil(wanted)) <= 1
    assert not stats.power(d.diff, 0.002, d.needed - 1) and stats.power(d.diff, 0.002, d.needed)


def test_what_is_detectable_is_larger_than_what_is_significant() -> None:
    d = stats.difference([0.1, 0.2, 0.3], [0.1, 0.2, 0.3])
    assert d.low is not None and d.detectable is not None and d.high is not None
    assert d.detectable > d.high and d.needed is None, "no difference needs no number of runs"
