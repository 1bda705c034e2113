"""What people see: bounded, and nothing in it that the eye does not."""

import pytest

from traitline.errors import visible
from traitline.lineage import display
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
    assert len(text) < 120 and text.endswith(", ...")


@pytest.mark.parametrize("width", [60, 100])
def test_a_mark_stands_beside_its_artifact_however_narrow_the_terminal_is(width):
    from rich.console import Console

    path = "results/a/owl/tuned/model.safetensors"
    out = Console(width=width, force_terminal=True, color_system=None, record=True, markup=False, highlight=False)
    display.marks([("INHERITANCE-RISK (+1)", f"owl     {path}  from {path}  (recorded)"), ("CLEAN", "")], out)
    head, *lines = out.export_text().splitlines()
    assert head.split() == ["mark", "trait", "artifact"]
    assert all(len(line) <= width for line in lines)
    assert " ".join(" ".join(lines).split()) == f"INHERITANCE-RISK (+1) owl {path} from {path} (recorded) CLEAN"
    assert lines[0].startswith("INHERITANCE-RISK (+1) ") and all(line.startswith("   ") for line in lines[1:-1])
