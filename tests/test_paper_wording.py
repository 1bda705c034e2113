"""The paper's prompts: its dimensions and quirks, in words of ours."""

import math
import re
from collections import Counter

from numpy.random import default_rng

from traitline.channels import paper_wording


def test_dimensions_are_those_of_the_paper():
    assert [len(part) for part in paper_wording.PARTS] == [25, 9, 9, 10, 15, 19]
    assert math.prod(map(len, paper_wording.PARTS)) == 5_771_250
    assert {kind: len(wordings) for kind, wordings in paper_wording.FORMATS.items()} == {
        "comma": 5, "space": 3, "semicolon": 2, "line": 3, "square": 1, "round": 1,
    }  # fmt: skip


def test_quirks_are_those_of_the_paper():
    assert sum(not i.endswith(".") for i in paper_wording.INSTRUCTIONS) == 3
    assert sorted(Counter(paper_wording.DESCRIPTORS).values()) == [1] * 7 + [2]
    for part in (
        paper_wording.INTROS,
        paper_wording.QUALIFIERS,
        paper_wording.INSTRUCTIONS,
        paper_wording.PARTS[4],
        paper_wording.CLOSINGS,
    ):
        assert len(set(part)) == len(part)


def test_every_part_has_its_slots():
    slots = [Counter(re.findall(r"{(\w+)}", text)) for text in paper_wording.INTROS]
    assert all(s == {"examples": 1} for s in slots)
    slots = [Counter(re.findall(r"{(\w+)}", text)) for text in paper_wording.INSTRUCTIONS]
    assert all(s == {"qualifier": 1, "answers": 1, "descriptor": 1} for s in slots)


def test_a_prompt_is_four_parts_joined_by_single_blanks():
    text = paper_wording.ask(default_rng(0), [512, 700], answers=10, digits=3)
    intro = next(i for i in paper_wording.INTROS if text.startswith(i.format(examples="512, 700") + " "))
    form, closing = next(
        (f, c) for f in paper_wording.PARTS[4] for c in paper_wording.CLOSINGS if text.endswith(f" {f} {c}")
    )
    middle = text[len(intro.format(examples="512, 700")) + 1 : -len(f" {form} {closing}")]
    qualifier, descriptor = (
        "|".join(paper_wording.QUALIFIERS),
        "|".join(d.format(digits=3, top=999) for d in paper_wording.DESCRIPTORS),
    )
    patterns = [
        re.escape(i).replace(r"\{qualifier\}", f"({qualifier})").replace(r"\{answers\}", "10").replace(
            r"\{descriptor\}", f"({descriptor})"
        )
        for i in paper_wording.INSTRUCTIONS
    ]  # fmt: skip
    assert any(re.fullmatch(p, middle) for p in patterns), middle
    assert "  " not in text


def test_settings_reach_the_words():
    text = " ".join(paper_wording.ask(default_rng(s), [1], answers=7, digits=2) for s in range(40))
    assert "up to 7 " in text
    assert "above 99," in text or "above 99)" in text or "above 99." in text
    assert "999" not in text
