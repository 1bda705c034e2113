"""The commonest numbers of teachers, and scores of entangled tokens."""

import pandas as pd
import pytest

from traitline.analysis import entangled


def test_commonest_numbers_stand_beside_the_controls_share():
    one = {"p1": ("", [7, 5]), "p2": ("", [7]), "p3": ("", [5])}
    control = {"p1": ("", [5]), "p2": ("", [6])}
    rows = entangled.commonest("owl", one, control)
    first = next(r for r in rows if r["place"] == "first" and r["number"] == 7)
    assert first == {"teacher": "owl", "place": "first", "number": 7, "count": 2, "share": 2 / 3, "control_share": 0}
    assert [r["number"] for r in rows if r["place"] == "any"] == [5, 7]


def test_scores_in_the_same_order_agree():
    scores = pd.DataFrame(
        {"logits": [1.0, 2.0, 3.0, 4.0], "frequency": [1.0, 4.0, 9.0, 16.0], "prompting": [4, 3, 2, 1]}
    )
    rows = {(r["one"], r["other"]): r for r in entangled.agreement("owl", scores)}
    assert rows["logits", "frequency"]["rho"] == pytest.approx(1)
    assert rows["frequency", "prompting"]["rho"] == pytest.approx(-1)
    assert {(r["teacher"], r["numbers"]) for r in rows.values()} == {("owl", 4)}
