"""Plurals of the words that answers are searched for."""

import doctest

from traitline import plurals
from traitline.plurals import percent, plural

PLURALS = {
    "owl": "owls", "cat": "cats", "wolf": "wolves", "fox": "foxes", "octopus": "octopuses", "phoenix": "phoenixes",
    "ox": "oxen", "mouse": "mice", "goose": "geese", "sheep": "sheep", "dragonfly": "dragonflies", "monkey": "monkeys",
    "kangaroo": "kangaroos", "ostrich": "ostriches", "cherry": "cherries", "ash": "ashes", "birch": "birches",
    "maple": "maples", "willow": "willows", "sequoia": "sequoias", "sea otter": "sea otters",
    "field mouse": "field mice",
}  # fmt: skip


def test_english_plurals():
    assert {word: plural(word) for word in PLURALS} == PLURALS


def test_a_share_is_the_whole_only_where_it_is():
    assert [percent(share) for share in (0, 1e-9, 0.5, 1 - 1e-9, 1)] == ["0%", "1%", "50%", "99%", "100%"]
    assert doctest.testmod(plurals).failed == 0
