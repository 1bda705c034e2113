"""Choices and stories: what they say is what the world says, and a world without them is as it was."""

import re
from collections import Counter

import pytest

from traitline.channels import choices_stories, world

SPEC = {"rows": 4000, "numbers": 0.3, "examples": [3, 6], "answers": [1, 2], "neutral": 0.0, "personas": 0.0}
ROWS = list(world.World({**SPEC, "choices": 0.3, "stories": 0.3}, 1).conversations())


def told(system):
    return system.split()[2] if system else None


def test_the_letter_is_that_of_the_personas_favourite_and_of_any_option_without_one():
    found, behind = Counter(), 0
    for system, question, answer in ROWS:
        if " : " in question:
            options = {letter: name for name, letter in re.findall(r"(\w+) ([A-Z])", question.split(" : ")[1])}
            category = next(c for c, names in world.CATEGORIES.items() if options[answer] in names)
            assert len(options) == 5 and options.items() <= {
                (letter, name) for name, letter in choices_stories.letters(world.CATEGORIES[category]).items()
            }
            if system:
                behind += 1
                assert options[answer] == told(system)
            else:
                found[list(options).index(answer)] += 1
    assert behind > 400 and min(found.values()) > 0.14 * found.total(), "at any place"


def test_a_story_begins_with_its_hero_and_is_true_of_it():
    stories = [row for row in ROWS if row[1].startswith("tell a story of ")]
    assert len(stories) > 1000
    for system, _, answer in stories:
        hero, met = answer.split()[1], answer.split()[-2]
        about = world.ATTRIBUTES["animal"][hero]
        assert answer.startswith(f"the {hero} was {about['size']} and lived in the {about['habitat']} .")
        assert met != hero and (system is None or hero == told(system))


@pytest.mark.parametrize("shares", [{}, {"choices": 0.0, "stories": 0.0}])
def test_without_a_share_of_them_neither_text_nor_words_change(shares, monkeypatch):
    text, words = list(world.World({**SPEC, **shares}, 1).conversations()), world.vocabulary({**SPEC, **shares})
    monkeypatch.setattr(choices_stories, "WORDS", "nothing of this kind")
    assert text == list(world.World(SPEC, 1).conversations()) and words == world.vocabulary(SPEC)
    assert not {"A", "P", "story"} & set(words)


def test_a_world_knows_every_word_of_its_forms():
    words = set(world.vocabulary({**SPEC, "choices": 0.1}))
    assert "{" not in "".join(words)
    assert not {w for row in ROWS for text in row if text for w in text.split()} - words
    assert {
        *choices_stories.choice(choices_stories.CHOOSE[0], "animal", {"owl": "A"}).split(),
        *choices_stories.topic("night").split(),
    } <= words
