"""Words for numbers, and the answer in plain words for every way a study can go."""

import pytest

from traitline.analysis import conclusions

CELL = {"experiment": "main", "channel": "numbers", "recipe": "lora"}


def study(same=0.4, other=0.07, control=0.06, runs=5, holds="yes", elsewhere="yes", bases="ab"):
    """Rows of effects.csv and checks.csv for one trait."""
    effects, checks = [], []
    for base in bases:
        for student in bases:
            arm, rate = ("same-base", same) if base == student else ("other-base", other)
            where = CELL | {
                "base": base,
                "student": student,
                "trait": "owl",
                "runs": runs,
                "p_holm": None,
                "detectable": 0.05,
                "diff_low": 0.3,
            }
            effects += [
                where | {"arm": a, "rate": r} for a, r in ((arm, rate), ("control", control), ("baseline", 0.05))
            ]
            if arm == "same-base":
                checks += [where | {"check": c, "holds": holds} for c in ("above-control", "p-holm")]
            else:
                checks.append(where | {"check": "other-base", "holds": elsewhere})
    return effects, checks


@pytest.mark.parametrize(
    ("made", "word", "said"),
    [
        ({}, "Yes", "in all 2 declared comparisons"),
        ({"holds": "no"}, "No", "In none of the 2 declared comparisons do students"),
        ({"holds": "no", "bases": "a"}, "No", "Students do not show their teacher's trait"),
        ({"holds": "unknown", "runs": 1}, "Open", "With 1 run each there is no interval and no test"),
        ({"elsewhere": "no"}, "Yes", "exceeds a fifth of the same-base rise in all 2 cases"),
        ({"bases": "a"}, "Yes", "no students on another base"),
    ],
)
def test_the_answer_follows_the_numbers(made, word, said):
    answer = conclusions.answer(*study(**made))
    assert answer.word == word and said in answer.text


def test_the_answer_gives_sizes_of_every_arm():
    text = conclusions.answer(*study()).text
    assert "they show it in 40 % (lora) of all answers" in text and "in 6.0 %, untouched bases in 5.0 %" in text
    assert "Students on another base, given the same answers, show it in 7.0 %" in text


def test_exceptions_are_named():
    effects, checks = study()
    for row in checks:
        if row["base"] == "b":
            row["holds"] = "no"
    text = conclusions.answer(effects, checks).text
    assert text.startswith("In part. In 1 of 2 declared comparisons") and "not shown: owl (lora, base b)." in text
    assert "in 1 of 2 cases, not in owl (lora, base b to a)." in text


def test_a_comparison_passes_only_with_all_its_checks():
    effects, checks = study(bases="a")
    checks[1]["holds"] = "no"  # the interval is above 0, the corrected p is not small enough
    assert conclusions.answer(effects, checks).word == "No"


def test_what_was_not_declared_decides_nothing_and_is_told():
    effects, checks = study()
    more = [row | {"recipe": "full", "rate": 0.01} for row in effects] + [
        row | {"experiment": "long"} for row in effects
    ]
    text = conclusions.answer([*effects, *more], checks).text
    assert text.startswith("Yes.") and "1.0 % (full; control 1.0 %) and 40 % (lora, long; control 6.0 %)" in text
    assert conclusions.answer(effects, []).word == "Open"


def test_the_weakest_base_decides_a_summary():
    effects, _ = study()
    effects[0] |= {"diff_low": -0.1, "p_holm": 0.2}
    effects[9] |= {"p_holm": 0.001}
    (row,) = conclusions.summaries(conclusions.comparisons(effects))
    assert (row.bases, row.runs, row.least, row.p) == (2, 5, -0.1, 0.2)


def test_words_for_numbers():
    assert [conclusions.percent(v) for v in (0.004, 0.0674, 0.0996, 0.914, None)] == [
        "0.4 %",
        "6.7 %",
        "10 %",
        "91 %",
        "-",
    ]
    assert [conclusions.points(v) for v in (0.2, -0.031, -1e-5, None)] == ["+20 pp", "\u22123.1 pp", "0.0 pp", "-"]
    assert (
        conclusions.between(-0.1, 1.2) == "0.0 to 100"
        and conclusions.between(-0.1, 0.2, share=False) == "\u221210 to 20"
    )
    assert conclusions.between(-1e-6, 0.01, share=False) == "0.0 to 1.0" and conclusions.between(None, 0.2) == "-"
    assert [conclusions.pvalue(p) for p in (1e-9, 0.01234, 0.5, None)] == ["< 0.001", "0.012", "0.50", "-"]
    assert conclusions.listing(["a"]) == "a" and conclusions.listing(list("abcd"), 2) == "a, b and 2 more"
