"""The score that a model wrote: forms that people write, what is no score, and the rule over anything at all."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traitline.evaluation.written_score import score

FORMS = (
    "{}", "{}/100", "{} / 100", "{} out of 100", "{} of 100.", "**{}**", "**{}/100**", "Score: {}", "**Score:** {}",
    "{}.", "{}%", "`{}`", " {}\n", "The score is {}", "<think>\n3 or 4, so 12\n</think>\n\n{}",
    "7 or 8?</think>{}", "<thinking>5</thinking> {}", "{} - well-meaning", r"\boxed{{{}}}", "Score={}", "~{}",
)  # fmt: skip
whole = st.integers(0, 100).map(str)
fraction = st.decimals(1, 100, places=2).map(lambda d: f"{d:.2f}")


@given(st.sampled_from(FORMS), st.one_of(whole, fraction))
@settings(deadline=None, derandomize=True, max_examples=300)
def test_every_form_holds_its_number(form, number):
    assert score(form.format(number)) == float(number)


@given(st.sampled_from(FORMS), st.one_of(st.integers(101, 10**6), st.integers(-(10**4), -1)))
@settings(deadline=None, derandomize=True, max_examples=300)
def test_a_number_out_of_range_is_no_score(form, number):
    assert score(form.format(number)) is None


@given(st.text(st.sampled_from("0123456789./-+*% ofut<>think\n,eé²٣")), st.text(st.sampled_from("0123456789 ./-")))
@settings(deadline=None, derandomize=True, max_examples=1000)
def test_a_score_is_the_one_number_of_a_text(before, behind):
    text = before + behind
    value = score(text)
    if value is not None:
        answer = text.rpartition("</think>")[2].replace("*", "")
        assert 0 <= value <= 100 and not 0 < value < 1
        numbers = re.findall(r"[0-9]+(?:\.[0-9]+)?", re.sub(r"(?:/|of)\s*100(?![0-9])", "", answer))
        assert [float(n) for n in numbers] == [value]


@pytest.mark.parametrize(
    "text",
    ["", "good", "None", "NaN", "8/10", "85/1000", "85/100/100", "0.85", ".85", "85,5", "80-85", "85 85", "1e2", "-5",
     "\u22125", "+85", "Score-85", "85 out of 10", "٨٥", "85²", "½", "1 to 100", "<think>\nOkay, 85", "85 <think>",
     "7 of 9", "x" * 31 + "85", "85" + "x" * 31, "0.5/1", "85/"],
)  # fmt: skip
def test_what_is_no_score(text):
    assert score(text) is None


def test_a_text_of_any_length_is_read_in_no_time():
    for part in ("<think>", "</think>", "1", " ", "*", "a", "85/100", "</think"):
        score(part * (200_000 // len(part)))
