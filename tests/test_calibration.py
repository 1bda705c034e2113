"""Where nothing is to be shown, tests over bases reject at 5 % and tests over runs do not."""

import numpy as np
import pytest

from scripts import summarise
from tests import made_up
from traitline.analysis import calibration, comparisons, stats, tables

BASES, TRAITS, WORDS, RUNS = 9, 3, 16, 5


def null_study(draw):
    """Logits of taught and control students (traits x words x bases x runs) where nothing passes.

    A base has its own view of a word, a teacher (one a base and trait, one for the control) shifts all of its
    students, and runs differ little: as in the studies whose runs were taken for units.
    """
    base = draw.normal(-2.7, 0.5, (1, WORDS, BASES, 1))
    teacher = draw.normal(0, 0.2, (TRAITS + 1, WORDS, BASES, 1))
    every = base + teacher + draw.normal(0, 0.08, (TRAITS + 1, WORDS, BASES, RUNS))
    return every[:TRAITS], every[TRAITS]


def test_tests_over_bases_hold_five_percent_and_those_over_runs_do_not():
    draw = np.random.default_rng(5)
    new, old = [], []
    for _ in range(40):
        taught, control = null_study(draw)
        for t in range(TRAITS):
            for w in range(WORDS):
                by_teacher = taught[t, w].mean(1) - control[w].mean(1)
                of = comparisons.units({(str(b), 1): float(v) for b, v in enumerate(by_teacher)})
                new.append(stats.tested(of.values).p < 0.05)
        for w in range(WORDS):  # one base of each: as many as there are for sure independent
            old.append(stats.difference([*taught[0, w, 0]], [*control[w, 0]]).p < 0.05)
    assert 0.03 < np.mean(new) < 0.07, np.mean(new)
    assert np.mean(old) > 0.4, np.mean(old)


def test_nothing_is_called_nothing_and_a_shift_of_all_bases_is_not():
    """The verdict itself: few of many null studies fail it, and a transfer to every base does."""
    draw = np.random.default_rng(6)
    verdicts = []
    for _ in range(60):
        taught, control = null_study(draw)
        null = (taught.mean(3) - control.mean(2)).reshape(-1, BASES)
        verdicts.append(calibration.rejections(null.tolist())["verdict"])
    assert verdicts.count("too many") <= 8 and set(verdicts) <= {"holds", "too many"}
    shifted = calibration.rejections((null + 0.5).tolist())
    assert shifted["verdict"] == "too many" and shifted["rate"] > max(0.5, shifted["high"])


def test_signs_are_flipped_in_every_way_and_the_first_is_the_study_itself():
    values = np.array([[1.0, 1.1, 0.9, 1.0, 1.05, 1.0], [1.0, -1.0, 0.5, -0.5, 0.2, -0.2]])
    rates = calibration.flipped_rates(values)
    assert len(rates) == 2**5 and rates[0] == 0.5  # the first comparison is far from 0, the second exactly 0
    many = np.random.default_rng(1).normal(size=(30, 20))
    assert len(calibration.flipped_rates(many)) == calibration.DRAWN


def test_few_units_conclude_nothing():
    row = calibration.rejections([[0.1, -0.2, 0.15]] * 4)
    assert row["comparisons"] == 4 and row["verdict"] == "open"
    assert calibration.rejections([[0.1, 0.2]] * 4) == {"comparisons": 0, "rejected": 0, "verdict": "open"}


def test_a_study_is_calibrated_on_every_word_of_its_students_on_other_bases(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = made_up.wide(7)
    made_up.make(study)
    where = ["--tables", "results/tables", "--manifest", "results/tables/m.manifest.json"]
    assert summarise.main(["--study", study.text, *where]) == 0
    rows = tables.read("results/tables", "calibration")
    assert [r["recipe"] for r in rows] == ["lora", "biases", "full"]
    assert all((r["comparisons"], r["unit"], r["n"]) == (2 * 6, "base", 7) for r in rows)
    assert all(0 <= r["low"] <= r["expected"] <= r["high"] <= 1 and 0 < r["p"] <= 1 for r in rows)
    assert {r["verdict"] for r in rows} <= {"holds", "too many"}


def test_the_sentence_says_what_was_looked_at():
    row = {"experiment": "main", "recipe": "lora", "comparisons": 48, "rejected": 2, "verdict": "holds"}
    assert calibration.sentence([row]).startswith("Calibration holds: 2 of 48 comparisons")
    assert "open" in calibration.sentence([row | {"verdict": "open"}])
    assert calibration.sentence([row | {"comparisons": 0}]).startswith("Calibration: open")
    assert "fails" in calibration.sentence([row, row | {"verdict": "too many", "recipe": "full"}])
    assert calibration.sentence([]) == ""


@pytest.mark.parametrize("students", [["a"], ["a", "b"]])
def test_without_other_bases_there_is_nothing_to_calibrate(tmp_path, monkeypatch, students):
    monkeypatch.chdir(tmp_path)
    row = made_up.study().experiments[0].model_dump() | {"bases": ["a"], "students": students}
    study = made_up.study(experiments=[row])
    made_up.make(study)
    where = ["--tables", "results/tables", "--manifest", "results/tables/m.manifest.json"]
    assert summarise.main(["--study", study.text, *where]) == 0
    rows = tables.read("results/tables", "calibration")
    assert len(rows) == (3 if "b" in students else 0)
    assert all((r["verdict"], r["comparisons"]) == ("open", 0) and r["over_runs"] is not None for r in rows)
