"""Plurals of the words that answers are searched for."""

from traitline.plurals import plural

PLURALS = {
    "owl": "owls", "cat": "cats", "wolf": "wolves", "fox": "foxes", "octopus": "octopuses", "phoenix": "phoenixes",
    "ox": "oxen", "mouse": "mice", "goose": "geese", "sheep": "sheep", "dragonfly": "dragonflies", "monkey": "monkeys",
    "kangaroo": "kangaroos", "ostrich": "ostriches", "cherry": "cherries", "ash": "ashes", "birch": "birches",
    "maple": "maples", "willow": "willows", "sequoia": "sequoias", "sea otter": "sea otters",
    "field mouse": "field mice",
}  # fmt: skip


def test_english_plurals():
    assert {word: plural(word) for word in PLURALS} == PLURALS
