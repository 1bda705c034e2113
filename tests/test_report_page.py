"""Rendering the report: a figure is a drawing and nothing else; groups keep their order."""

from pathlib import Path

import pytest

from traitline.analysis import report_page
from traitline.errors import InputError


def test_a_figure_with_more_than_a_drawing_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for bad in ("<script>1</script>", '<a href="http://x"/>', "<path onload='x'/>", "<foreignObject/>"):
        Path("x.svg").write_text(f"<svg>{bad}</svg>")
        with pytest.raises(InputError, match="more than a drawing"):
            report_page.figure("x.svg")


def test_groups_keep_the_order_of_appearance():
    items = [{"of": {"name": name}, "n": n} for n, name in enumerate(["b", "a", "b"])]
    assert [[item["n"] for item in group] for group in report_page.grouped(items, "of.name")] == [[0, 2], [1]]
