"""Random cases for tests of the theorem, and the one thread that their small networks want."""

import pytest
import torch
from hypothesis import strategies as st

from traitline.theory import theorem_cases

CASES = {
    "law": st.sampled_from(theorem_cases.LAWS), "imitation": st.sampled_from(theorem_cases.IMITATIONS),
    "outputs": st.sampled_from(theorem_cases.OUTPUTS), "loss": st.sampled_from(theorem_cases.LOSSES),
    "number": st.integers(0, 10**6), "seed": st.integers(0, 10**6),
}  # fmt: skip


@pytest.fixture(scope="module")
def one_thread():
    """The networks are too small for more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
