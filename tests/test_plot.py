"""Figures of a made-up study: the same bytes twice, ink from the page, every base in them."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scripts import plot, summarise
from tests import made_up

SVG = "{http://www.w3.org/2000/svg}"
FLAGS = ["--tables", "results/tables", "--figures", "results/figures", "--manifest", "results/figures/m.manifest.json"]


def draw(study, rates=None):
    made_up.make(study, rates)
    tables = ["--tables", "results/tables", "--manifest", "results/tables/m.manifest.json"]
    assert summarise.main(["--study", study.text, *tables]) == 0
    assert plot.main(FLAGS) == 0


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    """Folder of the figures of the usual made-up study."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("study"))
        draw(made_up.study())
        yield Path("results/figures").resolve()


def test_every_figure_is_whole_and_takes_its_ink_from_the_page(figures):
    for name in ("headline", "headline-narrow", "effects", "confusion"):
        text = (figures / f"{name}.svg").read_text()
        root = ElementTree.fromstring(text)
        assert root.find(f"{SVG}title").text and "currentColor" in text and plot.INK not in text
        assert "prefers-color-scheme:dark" in text
        assert not re.search(r'<script|(href|src)="(?!#)|<!DOCTYPE|dc:date', text)
    assert (figures / "headline.png").read_bytes()[:4] == b"\x89PNG"


def test_figures_can_share_a_page(figures):
    """Ids are unique over all figures, and every reference has its target."""
    texts = [p.read_text() for p in sorted(figures.glob("*.svg"))]
    ids = [i for t in texts for i in re.findall(r'\bid="([^"]+)"', t)]
    assert len(ids) == len(set(ids))
    for text in texts:
        own = set(re.findall(r'\bid="([^"]+)"', text))
        assert set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text)) <= own


def test_every_base_is_a_dot(figures):
    text = (figures / "headline.svg").read_text()
    for colour in ("d55e00", "2f86c9", "858b92"):  # 3 recipes x 2 traits x 2 bases (pairs of them)
        drawn = re.findall(rf'<use [^>]*style="fill: #{colour}; fill-opacity: 0.6"', text)
        assert len(drawn) == 12, colour


def test_an_interval_is_over_bases_and_two_of_them_have_none():
    rows = [
        {"arm": "same-base", "base": b, "student": b, "rate": r} for b, r in zip("abc", (0.1, 0.2, 0.4), strict=True)
    ]
    assert plot.over_bases(rows[:2]).low is None
    e = plot.over_bases([*rows, rows[2]])
    assert e.n == 3 and e.low is not None and 0 < e.low < e.mean < e.high < 1


def test_the_same_tables_give_the_same_bytes(figures, monkeypatch):
    monkeypatch.chdir(figures.parent.parent)
    before = {p.name: p.read_bytes() for p in figures.iterdir() if p.suffix in (".svg", ".png")}
    assert plot.main(FLAGS) == 0
    assert {name: (figures / name).read_bytes() for name in before} == before


def test_the_title_says_what_the_picture_shows(figures):
    title = ElementTree.parse(figures / "headline.svg").getroot().find(f"{SVG}title").text
    assert re.search(r"lora: same base 3\d %, other base 6\.\d %, control 6\.\d %, untouched \d\.\d %", title)


@pytest.mark.parametrize("seeds", [[1], [1, 2]])
def test_few_runs_and_several_experiments_are_drawn_too(tmp_path, monkeypatch, seeds):
    monkeypatch.chdir(tmp_path)
    row = made_up.study().experiments[0].model_dump()
    rows = [row | {"seeds": seeds}, row | {"name": "second", "seeds": seeds, "recipes": ["full"], "students": ["a"]}]
    draw(made_up.study(experiments=rows))
    text = Path("results/figures/effects.svg").read_text()
    assert "second: full students" in text and "second" not in Path("results/figures/headline.svg").read_text()
