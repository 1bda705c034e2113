"""What the asking side promises to the tiny world."""

import ast
from pathlib import Path

from traitline.channels import wordings, world


def test_verbs_are_the_agreed_ones():
    assert wordings.TINY_VERBS == ("continue", "extend", "add to", "complete", "go on from")


def test_the_world_knows_every_word_and_number_of_the_tiny_wording():
    words = set(world.vocabulary())
    assert {w for verb in wordings.TINY_VERBS for w in verb.split()} <= words
    assert {str(n) for n in wordings.TINY_NUMBERS} <= words


def test_the_module_imports_nothing_so_that_an_edit_elsewhere_never_remakes_a_base():
    tree = ast.parse(Path(wordings.__file__).read_text(encoding="utf-8"))
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
