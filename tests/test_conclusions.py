"""Words for numbers, and the answer in plain words for every way a study can go."""

import pytest

from traitline.analysis import conclusions


def study(rise="yes", elsewhere="yes", unit="base", recipes=("lora",), **changes):
    """Rows of tests.csv for declared outcomes over nine bases."""
    about = {
        "experiment": "main", "trait": "all", "role": "primary", "unit": unit, "n": 9, "bases": 9, "teachers": 9,
        "rate": 0.4, "rate_low": 0.3, "rate_high": 0.5, "beside_rate": 0.06, "difference": 1.5, "low": 1.0, "high": 2.0,
        "margin": None, "note": "",
    } | changes  # fmt: skip
    rows = []
    for recipe in recipes:
        of_recipe = about | {"recipe": recipe}
        rows.append(of_recipe | {"comparison": "rise", "holds": rise})
        rows.append(of_recipe | {"comparison": "specificity", "holds": elsewhere})
        rows.append(of_recipe | {"comparison": "equivalence", "holds": elsewhere, "difference": -0.02, "margin": 0.3})
    return rows


UNTESTED = {"rate_low": None, "rate_high": None, "low": None, "high": None, "n": 0, "note": "2 bases, too few"}


@pytest.mark.parametrize(
    ("made", "word", "said"),
    [
        ({}, "Yes", "they show them more often than control students do (lora, after Holm's correction)"),
        ({"rise": "no"}, "No", "Students (lora) do not show their teachers' traits more often"),
        ({"rise": "unknown", "unit": "", "bases": 2} | UNTESTED, "Open", "Nothing is claimed: 2 bases, too few."),
        ({"elsewhere": "no"}, "Yes", "They rise more than students on another base: not shown for lora (+1.50"),
        ({}, "Yes", "stay within 0.3 logits of their control, up and down: shown for lora (\u22120.02"),
        ({}, "Yes", "a rise of +1.50 (1.00 to 2.00; lora) logits, mean over traits, 95 % interval over 9 bases."),
        ({"unit": "teacher", "bases": 2, "teachers": 6}, "Yes", "over 6 teachers on 2 bases. These bases are fixed"),
    ],
)
def test_the_answer_follows_the_numbers(made, word, said):
    answer = conclusions.answer(study(**made), [])
    assert answer.word == word and said in answer.text


@pytest.mark.parametrize(
    ("soft", "said"),
    [
        ([], "Yes. Students that saw nothing but filtered answers took on"),
        (["lora", "full"], "saw nothing but filtered answers and their teacher's probabilities of each token took on"),
        (["full"], "saw nothing but filtered answers and their teacher's probabilities of each token (full) took on"),
    ],
)
def test_the_answer_says_what_students_saw(soft, said):
    assert said in conclusions.answer(study(recipes=["lora", "full"]), [], soft).text


def test_the_answer_gives_sizes():
    text = conclusions.answer(study(), []).text
    assert "they show a trait in 40 % (30 to 50) against 6.0 % (lora) of all answers" in text


def test_exceptions_are_named():
    rows = [*study(), *study(rise="no", recipes=["full"])]
    rows.append(rows[0] | {"trait": "owl", "role": "secondary"})
    rows.append(rows[0] | {"trait": "cat", "role": "secondary", "holds": "no"})
    text = conclusions.answer(rows, []).text
    assert text.startswith("In part.") and "if trained by lora; not shown for full." in text
    assert "1 of 2 rises hold after a correction of their own; not cat (lora)." in text


def test_what_was_not_declared_decides_nothing_and_is_told():
    explored = study(recipes=["full"], role="explored", rate=0.01, rate_low=None)[0] | {"holds": None}
    text = conclusions.answer([*study(), explored], []).text
    assert text.startswith("Yes.") and "only explored: 1.0 % against 6.0 % (full, main)." in text
    assert conclusions.answer([explored], []).word == "Open"


def test_the_answer_ends_with_the_calibration():
    rows = [{"experiment": "main", "recipe": "lora", "comparisons": 48, "rejected": 30, "verdict": "too many"}]
    text = conclusions.answer(study(), rows).text
    assert text.endswith("the p-values of these students are too small.") and "Calibration fails: 30 of 48" in text


def test_words_for_numbers():
    assert [conclusions.percent(v) for v in (0.004, 0.0674, 0.0996, 0.914, None)] == [
        "0.4 %",
        "6.7 %",
        "10 %",
        "91 %",
        "-",
    ]
    assert [conclusions.points(v) for v in (0.2, -0.031, -1e-5, None)] == ["+20 pp", "\u22123.1 pp", "0.0 pp", "-"]
    small = [conclusions.percent(v) for v in (0.0, 0.00099, 0.000331188, 0.0000118, 1e-9)]
    assert small == ["0.0 %", "0.099 %", "0.033 %", "0.0012 %", "< 0.0001 %"]
    assert conclusions.between(0.00033, 0.02) == "0.033 to 2.0"
    assert (
        conclusions.between(-0.1, 1.2) == "0.0 to 100"
        and conclusions.between(-0.1, 0.2, share=False) == "\u221210 to 20"
    )
    assert conclusions.between(-1e-6, 0.01, share=False) == "0.0 to 1.0" and conclusions.between(None, 0.2) == "-"
    assert [conclusions.logits(v) for v in (1.234, -0.5, 0.001, None)] == ["+1.23", "\u22120.50", "0.00", "-"]
    assert conclusions.logits_between(-0.001, 2) == "0.00 to 2.00" and conclusions.logits_between(None, 1) == "-"
    assert [conclusions.pvalue(p) for p in (1e-9, 0.01234, 0.5, None)] == ["< 0.001", "0.012", "0.50", "-"]
    assert conclusions.listing(["a"]) == "a" and conclusions.listing(list("abcd"), 2) == "a, b and 2 more"


def test_where_every_teacher_was_left_out_nothing_is_claimed():
    note = "left out, rate of the teacher not reached: hawk on a"
    empty = dict.fromkeys(("rate", "rate_low", "rate_high", "beside_rate", "difference", "low", "high", "margin"))
    about = {"experiment": "main", "recipe": "biases", "trait": "all", "role": "primary", "unit": "", "note": note}
    rows = [
        {**about, **empty, "comparison": comparison, "holds": "unknown", "bases": 0, "teachers": 0}
        for comparison in ("rise", "specificity", "equivalence")
    ]
    assert conclusions.answer(rows, []).text == f"Open. Nothing is claimed: {note}."


def test_a_note_of_all_traits_is_not_repeated_trait_by_trait():
    rows = [
        {"experiment": "main", "recipe": recipe, "comparison": "rise", "trait": trait, "note": note}
        for recipe, trait, note in [
            ("lora", "all", "out: dog, lion"), ("lora", "dog", "out: dog"), ("lora", "lion", "out: lion"),
            ("full", "all", ""), ("full", "dog", "two bases"), ("full", "lion", "two bases"),
        ]
    ]  # fmt: skip
    assert conclusions.distinct_notes(rows) == ["out: dog, lion", "two bases"]
