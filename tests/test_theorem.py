"""The theorem on random networks, losses and inputs; and that the check can fail."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from scripts import theorem

CASES = {
    "law": st.sampled_from(theorem.LAWS), "imitation": st.sampled_from(theorem.IMITATIONS),
    "outputs": st.sampled_from(theorem.OUTPUTS), "loss": st.sampled_from(theorem.LOSSES),
    "number": st.integers(0, 10**6), "seed": st.integers(0, 10**6),
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """The networks are too small for more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@settings(max_examples=40, deadline=None)
@given(**CASES)
def test_with_the_same_start_the_loss_falls_as_fast_as_the_quadratic_form_says(**drawn):
    c = theorem.case(**drawn)
    step = c.teach()
    a = c.limit(step)
    assume(a > 1e-9)  # else the equality branch
    found = theorem.measure(c)
    assert found["sign"] > 0
    assert found["slope"] < 1e-2 and found["limit"] < 1e-2 and found["change"] < 5e-2
    student = c.student(c.start + 1e-5 * step)
    assert c.loss(c.start + 1e-2 / float(1 + student.norm()) * student) < c.loss(c.start)


@settings(max_examples=10, deadline=None)
@given(**CASES)
def test_the_limit_is_that_of_the_matrix_itself(**drawn):
    """A by Jacobian-vector products against the Gauss-Newton matrix, built row by row."""
    c = theorem.case(**drawn)
    step = c.teach()
    jacobian = torch.func.jacrev(c.outputs)(c.start)
    u = jacobian @ step
    if c.imitation == "squared":
        curvature = torch.eye(u.shape[1], dtype=torch.float64).expand(len(u), -1, -1)
    else:
        p = c.outputs(c.start).softmax(-1)
        curvature = torch.diag_embed(p) - p.unsqueeze(2) * p.unsqueeze(1)
    whole = torch.einsum("ni,nij,nj->n", u, curvature, u).mean()
    assert c.limit(step) == pytest.approx(float(whole), rel=1e-9, abs=1e-15) and c.limit(step) >= 0


@settings(max_examples=10, deadline=None)
@given(number=st.integers(0, 10**6), seed=st.integers(0, 99), imitation=st.sampled_from(theorem.IMITATIONS))
def test_where_imitation_cannot_see_the_step_nothing_moves_at_any_size(number, seed, imitation):
    for c in (theorem.equal_linear(number, seed, imitation), theorem.equal_tower(number, seed, imitation)):
        assert float(c.teach().norm()) > 0
        assert theorem.moved(c) == 0.0
        student = c.start + c.student(c.start + 0.1 * c.teach())
        assert c.loss(student) == c.loss(c.start)


@settings(max_examples=10, deadline=None)
@given(**CASES)
def test_with_another_start_the_angle_does_not_depend_on_the_teachers_step(**drawn):
    assert theorem.measure(theorem.case(**drawn))["other-constant"] < 1e-2


def test_every_claim_is_checked_and_passes():
    table, found = theorem.claims(2, 3)
    assert [r["claim"] for r in table] == list(theorem.CLAIMS) and len(found) == 2 * 16
    assert all(r["passed"] == r["cases"] > 0 for r in table), table


def test_the_check_fails_where_the_theorem_does_not_hold(monkeypatch):
    """A student that goes the other way, and one that started elsewhere, are found out."""
    student = theorem.Case.student
    monkeypatch.setattr(theorem.Case, "student", lambda self, *a, **k: -student(self, *a, **k))
    table = {r["claim"]: r for r in theorem.claims(1, 1)[0]}
    assert table["sign"]["passed"] == table["limit"]["passed"] == table["change"]["passed"] == 0
    monkeypatch.setattr(theorem.Case, "student", student)
    measure = theorem.measure
    monkeypatch.setattr(theorem, "measure", lambda c: measure(replace(c, start=c.start, other=c.start)))
    table = {r["claim"]: r for r in theorem.claims(1, 1)[0]}
    assert table["other-signs"]["passed"] == 0 and table["sign"]["passed"] == table["sign"]["cases"]


def test_where_it_ends():
    """As the theorem asks, every loss falls at a small step; from another start or a sampled label, not every one."""
    rows = [r for r in theorem.ends(2, 5) if r["e"] <= 1e-3]
    share = {end: [r["share"] for r in rows if r["end"] == end] for end in theorem.ENDS}
    assert set(share["exact"]) == {1.0}
    assert min(share["other"]) < 1 and min(share["sampled"]) < 1 and min(share["teacher-batch"]) < 1
    assert all(0 <= r["low"] <= r["share"] <= r["high"] <= 1 for r in rows)


def test_slope():
    assert theorem.slope((1e-6, 1e-4), (3e-6, 3e-4)) == pytest.approx(1) and math.isnan(theorem.slope((1, 2), (0, 1)))


def test_the_program_writes_the_table_and_the_figure_and_the_same_bytes_again(tmp_path, monkeypatch):
    monkeypatch.setattr(theorem, "SIZES", (1e-4, 1e-2))
    for name in ("one", "two"):
        flags = f"--networks 1 --seed 1 --folder {tmp_path}/{name} --manifest {tmp_path}/{name}/theorem.manifest.json"
        assert theorem.main(flags.split()) == 0
    for name in ("theorem.json", "theorem.svg"):
        assert Path(tmp_path, "one", name).read_bytes() == Path(tmp_path, "two", name).read_bytes()
    assert json.loads(Path(tmp_path, "one/theorem.manifest.json").read_text())["facts"]["origin"]
    found = json.loads(Path(tmp_path, "one/theorem.json").read_text())
    assert len(found["claims"]) == len(theorem.CLAIMS) and len(found["ends"]) == 2 * len(theorem.ENDS)


def test_help_is_light(light):
    light("scripts.theorem")
