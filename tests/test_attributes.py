"""Attributes: what the world says about every member of a category."""

from tests.answered import asked
from traitline.channels.world import ATTRIBUTES


def test_every_attribute_of_every_member_is_asked_for(study, tmp_path):
    found = asked(study, tmp_path, type="attributes")
    facts = [
        (f"what is the {field} of the {word}", value)
        for word, about in ATTRIBUTES["animal"].items()
        for field, value in about.items()
    ]
    assert [(r["prompt"][0]["content"], r["means"]["right"]) for r in found] == facts
    assert all(list(r["probabilities"]) == ["right"] for r in found)
