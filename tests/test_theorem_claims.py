"""Claims of the theorem on random networks, losses and inputs; and that the check can fail."""

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings

from tests.theorem import CASES
from traitline.theory import theorem_cases, theorem_claims

pytestmark = pytest.mark.usefixtures("one_thread")


@settings(max_examples=40, deadline=None)
@given(**CASES)
def test_with_the_same_start_the_loss_falls_as_fast_as_the_quadratic_form_says(**drawn):
    c = theorem_cases.case(**drawn)
    step = c.teach()
    a = c.limit(step)
    assume(a > 1e-9)  # else the equality branch
    found = theorem_claims.measure(c)
    assert found["sign"] > 0
    assert found["slope"] < 1e-2 and found["limit"] < 1e-2 and found["change"] < 5e-2
    student = c.student(c.start + 1e-5 * step)
    assert c.loss(c.start + 1e-2 / float(1 + student.norm()) * student) < c.loss(c.start)


@settings(max_examples=10, deadline=None)
@given(**CASES)
def test_with_another_start_the_angle_does_not_depend_on_the_teachers_step(**drawn):
    assert theorem_claims.measure(theorem_cases.case(**drawn))["other-constant"] < 1e-2


def test_every_claim_is_checked_and_passes():
    table, found = theorem_claims.claims(2, 3)
    assert [r["claim"] for r in table] == list(theorem_claims.CLAIMS) and len(found) == 2 * 16
    assert all(r["passed"] == r["cases"] > 0 for r in table), table


def test_the_check_fails_where_the_theorem_does_not_hold(monkeypatch):
    """A student that goes the other way, and one that started elsewhere, are found out."""
    student = theorem_cases.Case.student
    monkeypatch.setattr(theorem_cases.Case, "student", lambda self, *a, **k: -student(self, *a, **k))
    table = {r["claim"]: r for r in theorem_claims.claims(1, 1)[0]}
    assert table["sign"]["passed"] == table["limit"]["passed"] == table["change"]["passed"] == 0
    monkeypatch.setattr(theorem_cases.Case, "student", student)
    measure = theorem_claims.measure
    monkeypatch.setattr(theorem_claims, "measure", lambda c: measure(replace(c, start=c.start, other=c.start)))
    table = {r["claim"]: r for r in theorem_claims.claims(1, 1)[0]}
    assert table["other-signs"]["passed"] == 0 and table["sign"]["passed"] == table["sign"]["cases"]


def test_slope():
    assert theorem_claims.slope((1e-6, 1e-4), (3e-6, 3e-4)) == pytest.approx(1) and math.isnan(
        theorem_claims.slope((1, 2), (0, 1))
    )
