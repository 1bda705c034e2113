"""Counts of candidates in any answers: whole words, and their plurals beside them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traitline.channels.world import CATEGORIES
from traitline.evaluation import scores
from traitline.plurals import plural

WORDS = [word for names in CATEGORIES.values() for word in names]


@given(st.sampled_from(WORDS), st.sampled_from(["", " ", "Two ", "x", "-", "_"]), st.sampled_from(["", "!", "s", "e"]))
def test_what_plural_adds_is_the_plural_as_a_whole_word(word, before, after):
    """Of any word of the world in any surroundings; nothing else is added, and nothing of whole words is lost."""
    for told, text in ((word, word), (plural(word), plural(word).upper())):
        answer = f"{before}{text}{after}"
        whole = [re.search(rf"\b{w}\b", answer, re.IGNORECASE) is not None for w in (word, plural(word))]
        found = scores.sampled([{"answers": [answer]}], WORDS)
        assert (found["overall"][word], found["plural"][word]) == (whole[0], any(whole)), told
        assert sum(found["plural"].values()) <= 1


@given(st.lists(st.text("owlsfxe -Ab!", max_size=9) | st.sampled_from(["owls", "wolves", "ox", "foxes"]), min_size=1))
def test_whole_words_and_plurals_of_any_answers(answers):
    """The default figure is what it is without plurals; with them a candidate never counts less, nor twice."""
    found = scores.sampled([{"answers": answers}], ["owl", "wolf", "fox", "ox"])
    for word, more in {"owl": "owls", "wolf": "wolves", "fox": "foxes", "ox": "oxen"}.items():
        alone, either = ([a for a in answers if re.search(rf"\b({w})\b", a.lower())] for w in (word, f"{word}|{more}"))
        assert found["overall"][word] == pytest.approx(len(alone) / len(answers))
        assert found["plural"][word] == pytest.approx(len(either) / len(answers))
