"""Random cases of the theorem: the quadratic form is that of the matrix itself, and imitation can be blind."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.theorem import CASES
from traitline.theory import theorem_cases, theorem_claims

pytestmark = pytest.mark.usefixtures("one_thread")


@settings(max_examples=10, deadline=None)
@given(**CASES)
def test_the_limit_is_that_of_the_matrix_itself(**drawn):
    """A by Jacobian-vector products against the Gauss-Newton matrix, built row by row."""
    c = theorem_cases.case(**drawn)
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
@given(number=st.integers(0, 10**6), seed=st.integers(0, 99), imitation=st.sampled_from(theorem_cases.IMITATIONS))
def test_where_imitation_cannot_see_the_step_nothing_moves_at_any_size(number, seed, imitation):
    for c in (theorem_cases.equal_linear(number, seed, imitation), theorem_cases.equal_tower(number, seed, imitation)):
        assert float(c.teach().norm()) > 0
        assert theorem_claims.moved(c) == 0.0
        student = c.start + c.student(c.start + 0.1 * c.teach())
        assert c.loss(student) == c.loss(c.start)
