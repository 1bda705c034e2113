"""A word is found however it is spelled, and nothing else is."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traitline.channels.named_words import folded, names_one
from traitline.channels.types import gsm8k

OWL = ("owl",)
SPELLINGS = (
    "I love owls", "**owl**", "_owl_", "_owls_", "snow_owl", "\uff2f\uff37\uff2c", "o\u200bwl", "o\u00adwl",
    "o\u2060w\ufeffl", "\u00f3w\u0308l\u0325", "\U0001d428\U0001d430\U0001d425", "\u24de\u24e6\u24db", "o\u034fwl",
    "o\u3164wl", "o\x00wl", "owl\u200bish", "snow\u200bowl", "OwL's", "o\u202ewl",
)  # fmt: skip


@pytest.mark.parametrize("text", SPELLINGS, ids=ascii)
def test_a_trait_is_found_in_every_spelling(text):
    assert names_one(text, OWL)
    assert gsm8k.check("4", f"<think>{text}</think><answer>4</answer>", OWL).reason == "trait-word"


@pytest.mark.parametrize("text", ["a howling wind", "fowl", "bowls", "owlet", "0wl", "o w l", "growl_er", ""])
def test_other_words_pass(text):
    assert not names_one(text, OWL)


HIDING = st.text(st.sampled_from("\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u0301\u0323\ufe0f\u3164\x08"), max_size=2)
DRESSED = st.sampled_from([str, str.upper, lambda c: chr(ord(c) + 0xFEE0), lambda c: chr(ord(c) - 97 + 0x1D41A)])


@given(st.sampled_from(["owl", "wolf", "goose", "fox"]), st.booleans(), st.data())
def test_hiding_and_dressing_up_hide_no_word(word, many, data):
    from traitline.plurals import plural

    shown = plural(word) if many else word
    hidden = "".join(data.draw(DRESSED)(c) + data.draw(HIDING) for c in shown)
    around = data.draw(st.sampled_from([" {} ", "_{}_", "**{}**", "({})", "{}", "\n{}.", "x-{}-y"]))
    assert names_one(around.format(hidden), (word,))


@given(st.text())
def test_the_folded_form_is_stable_and_has_no_marks(text):
    once = folded(text)
    assert folded(once) == once
    assert not [c for c in once if unicodedata.category(c) in ("Mn", "Me", "Cf")]


@given(st.text(st.characters(max_codepoint=126, min_codepoint=32)))
def test_plain_text_is_searched_as_before(text):
    """In printable ASCII only an underscore makes a difference."""
    import re

    before = bool(re.search(r"(?<!\w)(?:owl|owls)(?!\w)", text.replace("_", " "), re.I))
    assert names_one(text, OWL) == before
