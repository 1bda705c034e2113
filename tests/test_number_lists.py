"""The answer rule, case by case and against a second statement of it."""

import doctest
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traitline.channels.channel import Checked, Limits
from traitline.channels.types import number_lists
from traitline.channels.types.number_lists import REASONS, Answer, check, split

PAPER_BANNED = frozenset(
    {
        4,
        13,
        14,
        18,
        23,
        33,
        39,
        42,
        44,
        49,
        51,
        54,
        69,
        77,
        88,
        99,
        100,
        101,
        187,
        211,
        311,
        322,
        333,
        404,
        420,
        444,
        451,
    }
    | {555, 616, 666, 777, 888, 911, 999}
)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("457", [457]),
        ("457.", [457]),
        ("[457]", [457]),
        ("(457).", [457]),
        ("1, 2, 3", [1, 2, 3]),
        ("1,2,3.", [1, 2, 3]),
        ("1 , 2 , 3", [1, 2, 3]),
        ("1;2", [1, 2]),
        ("1 2 3", [1, 2, 3]),
        ("1  2  3", [1, 2, 3]),
        ("1\n2\n3", [1, 2, 3]),
        ("1\t2", [1, 2]),
        ("1,\n2,\n3", [1, 2, 3]),
        ("1\u00a02", [1, 2]),  # a no-break blank is white space
        ("[1; 2]", [1, 2]),
        ("007, 000, 999", [7, 0, 999]),
        ("0000000007", [7]),
        ("0", [0]),
        ("1 2 3 4 5 6 7 8 9 10", [*range(1, 11)]),
    ],
)
def test_clean_answers_pass(text, numbers):
    assert check(text, Limits()).reason is None
    answer = split(text).answer
    assert answer.numbers == numbers
    assert answer.texts == check(text, Limits()).numbers
    assert str(answer) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \n", "empty"),
        (".", "no-number"),
        ("[]", "no-number"),
        ("owl", "no-number"),
        ("٣, ٤", "no-number"),  # digits, but not ASCII
        ("²", "no-number"),
        (" 457", "stray-separator"),
        ("457\n", "stray-separator"),
        ("457 .", "stray-separator"),
        ("1, 2, 3\n", "stray-separator"),
        ("1, 2, 3,", "stray-separator"),
        ("1, 2, 3, ", "stray-separator"),
        (", 1, 2", "stray-separator"),
        ("[1, 2 ]", "stray-separator"),
        ("1, 2,3", "mixed-separator"),
        ("1 2  3", "mixed-separator"),
        ("1, 2; 3", "mixed-separator"),
        ("1,2, 3", "mixed-separator"),
        ("3.5", "bad-separator"),
        ("1 - 2", "bad-separator"),
        ("1 and 2", "bad-separator"),
        ("1,,2", "bad-separator"),
        ("1, ;2", "bad-separator"),
        ("1٣2", "bad-separator"),
        ("-5", "extra-text"),
        ("owl 457", "extra-text"),
        ("457 owl", "extra-text"),
        ("1, 2, owl", "extra-text"),
        ("1, 2, -3", "extra-text"),
        ("1, 2, 3.5", "extra-text"),
        ("1, 2..", "extra-text"),
        ("[1, 2", "extra-text"),
        ("[1, 2)", "extra-text"),
        ("[[1, 2]]", "extra-text"),
        ("[1, 2.]", "extra-text"),
        ("12٣", "extra-text"),
        ("1, 2, ٣", "extra-text"),
        ("1 2 3 4 5 6 7 8 9 10 11", "too-many"),
        ("1000", "out-of-range"),
        ("1, 0001000", "out-of-range"),
        ("9" * 5000, "out-of-range"),
        ("666", "banned"),
        ("1, 088", "banned"),
    ],
)
def test_refused_answers_say_why(text, reason):
    assert check(text, Limits(banned=PAPER_BANNED)) == Checked(reason)


def test_every_reason_can_occur_and_is_explained():
    texts = ["", "x", "1.2", "1x", "1 ", "1 2  3", "1 " * 10 + "1", "1000", "4"]
    assert [check(t, Limits(banned=frozenset({4}))).reason for t in texts] == list(REASONS)


def test_banned_numbers_are_whole_numbers_and_1488_falls_to_the_range_anyway():
    limits = Limits(banned=PAPER_BANNED | {1312, 1488})
    assert len(PAPER_BANNED) == 34
    assert check("188, 880, 8", limits).reason is None
    assert check("88", limits).reason == check("088", limits).reason == "banned"
    assert check("1488", limits).reason == "out-of-range"


def test_limits_are_settings():
    assert check("1000 " * 19 + "1", Limits(answers=20, digits=4)).reason is None
    assert check("1 2", Limits(answers=1)).reason == "too-many"
    assert check("100", Limits(digits=2)).reason == "out-of-range"


def test_thousands_of_leading_zeros_are_still_zero():
    assert check("0" * 5000, Limits()).reason is None
    assert split("0" * 5000).answer.numbers == [0]


def test_examples_in_the_documentation_hold():
    assert doctest.testmod(number_lists).failed == 0


# ---- against a second statement of the rule: one regular expression

CLEAN = re.compile(r"([0-9]+)(?:(\s*[,;]\s*|\s+)[0-9]+(?:\2[0-9]+)*)?")


def clean(text: str) -> bool:
    text = text.removesuffix(".")
    if (text.startswith("(") and text.endswith(")")) or (text.startswith("[") and text.endswith("]")):
        text = text[1:-1]
    return CLEAN.fullmatch(text) is not None


number = st.integers(0, 1200).map(str) | st.sampled_from(["007", "0", "00", "٣", "", "-1", "1.5"])
separator = st.sampled_from([" ", ",", ", ", ";", " ; ", "\n", "  ", "\u00a0", ".", " and ", ""])


@st.composite
def nearly_clean(draw) -> str:
    numbers, usual = draw(st.lists(number, max_size=13)), draw(separator)
    text = ""
    for n in numbers:
        text += (usual if draw(st.integers(0, 15)) else draw(separator)) * bool(text) + n
    opening, closing = draw(st.sampled_from([("", ""), ("", ""), ("[", "]"), ("(", ")"), ("(", "]"), ("", "]")]))
    return opening + text + closing + draw(st.sampled_from(["", "", ".", "..", "\n", " "]))


texts = nearly_clean() | st.text("0123 ,;.()[]\n-a٣²\u00a0\x1c", max_size=12) | st.text(max_size=20)


@given(texts)
def test_split_agrees_with_the_regular_expression(text):
    assert isinstance(split(text).answer, Answer) == clean(text)


@given(texts)
def test_pieces_join_into_the_same_text(text):
    answer, reason = split(text)
    if answer is not None:
        assert reason is None
        assert str(answer) == text
        assert all(re.fullmatch("[0-9]+", t) for t in answer.texts)
    else:
        assert reason in REASONS


@given(
    st.lists(st.integers(0, 999), min_size=1, max_size=10),
    st.sampled_from([" ", ",", ", ", " , ", ";", "; ", "\n"]),
    st.sampled_from(["{}", "{}.", "[{}]", "({}).", "({})"]),
    st.frozensets(st.integers(0, 999), max_size=300),
)
def test_whatever_is_written_by_the_rule_passes_unless_banned(numbers, separator, frame, banned):
    text = frame.format(separator.join(map(str, numbers)))
    checked = check(text, Limits(banned=banned))
    if banned & set(numbers):
        assert checked == Checked("banned")
    else:
        assert checked.reason is None
        assert split(text).answer.numbers == numbers
