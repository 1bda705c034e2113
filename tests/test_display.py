"""What people see: bounded, and nothing in it that the eye does not."""

import pytest

from traitline.errors import visible
from traitline.lineage.display import settings


@pytest.mark.parametrize(
    "text, shown",
    [("owl", "owl"), ("a b", "a b"), ("a\n\x1b[31m", "a\\n\\x1b[31m"), ("\u202egnp", "\\u202egnp"), ("ü", "ü")],
)
def test_what_hides_is_spelled_out(text, shown):
    assert visible(text) == shown


def test_long_text_is_cut_and_says_so():
    assert visible("x" * 1000) == "x" * 320 + " … (1,000 characters)"


def test_settings_are_one_line_that_ends_where_a_setting_ends():
    assert settings({"recipe": "lora", "settings": {"lr": 0.1, "rank": 8}}) == "recipe lora, lr 0.1, rank 8"
    text = settings({f"key{i}": i for i in range(100)})
    assert len(text) < 120 and text.endswith(", …")
