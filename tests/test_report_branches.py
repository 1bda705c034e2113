"""What the report shows of declarations: which rows changed, and how."""

from traitline.analysis import report_branches


def test_changes_of_a_declaration_are_phrases():
    old = [{"name": "main", "traits": ["owl"]}, {"name": "second"}]
    new = [{"name": "main", "traits": ["cat"], "seeds": [1]}, {"name": "third"}]
    assert report_branches.changes(old, new) == ["main: other traits, seeds", "second left out", "third added"]
    assert report_branches.changes(old, old[::-1]) == []
