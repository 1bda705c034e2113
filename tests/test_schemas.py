"""Shapes of `--json` have a name, a version, and a word for every key."""

import re

from traitline.cli.schemas import SCHEMAS


def test_every_shape_has_a_name_with_a_version_and_says_what_its_keys_are():
    assert all(re.fullmatch(r"traitline-[a-z-]+/\d+", name) for name in SCHEMAS)
    assert all(text for keys in SCHEMAS.values() for text in keys.values())
