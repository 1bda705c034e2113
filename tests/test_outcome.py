"""Effects of one arm, and checks that cannot be made."""

import math

from traitline.analysis import outcome

ROW = {"experiment": "main", "channel": "numbers", "base": "a", "student": "a", "recipe": "lora", "trait": "owl"}


def test_the_control_is_not_compared_with_itself():
    row = outcome.effect([0.1, 0.2], [0.1, 0.2], compared=False)
    assert math.isnan(row["diff"]) and row["p"] is None and row["runs"] == row["control_runs"] == 2
    assert outcome.effect([0.5], [0.1, 0.3], compared=True)["diff"] == 0.5 - 0.2


def test_a_check_without_its_number_is_unknown():
    primary = ROW | {"arm": "same-base", "diff_low": None, "p_holm": None, "diff": 0.5}
    other = primary | {"arm": "other-base", "student": "b", "diff": 0.2}
    rows = outcome.checks([primary, other], [primary])
    assert [(r["check"], r["holds"]) for r in rows] == [
        ("above-control", "unknown"), ("p-holm", "unknown"), ("other-base", "no"),
    ]  # fmt: skip
    assert rows[2]["bound"] == 0.1 and rows[2]["student"] == "b"
