"""Where the theorem ends: shares of networks whose loss falls, with one condition broken."""

from traitline.theory import theorem_conditions


def test_where_it_ends():
    """As the theorem asks, every loss falls at a small step; from another start or a sampled label, not every one."""
    rows = [r for r in theorem_conditions.shares(2, 5) if r["e"] <= 1e-3]
    share = {end: [r["share"] for r in rows if r["end"] == end] for end in theorem_conditions.CONDITIONS}
    assert set(share["exact"]) == {1.0}
    assert min(share["other"]) < 1 and min(share["sampled"]) < 1 and min(share["teacher-batch"]) < 1
    assert all(0 <= r["low"] <= r["share"] <= r["high"] <= 1 for r in rows)
