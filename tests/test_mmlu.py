"""MMLU: lettered options, and subjects."""

from scripts import respond as stage
from tests.answered import outside_flags, rows


def test_subjects_can_be_chosen_and_a_wrong_one_is_named(weights, outside_rows, tmp_path, line):
    flags = outside_flags(weights, outside_rows, "mmlu", "--out", str(tmp_path), subjects=["sums"])
    assert stage.main(flags) == 0
    assert {r["subject"] for r in rows(tmp_path)} == {"sums"} and len(rows(tmp_path)) == 3
    flags = outside_flags(weights, outside_rows, "mmlu", "--out", str(tmp_path), subjects=["sum"])
    assert "no question about 'sum'; did you mean sums?" in line(stage.main, flags)
    assert "--questions: one file of rows" in line(stage.main, flags[:-2])
