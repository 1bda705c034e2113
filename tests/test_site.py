"""The docs site: built as `make site` builds it, complete without a network, searchable, readable by everybody."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests import page_pictures
from tests.lineage import Works, tensors
from traitline.cli import program

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built strictly: a link that leads nowhere, or a page without a place, is an error."""
    folder = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_has_a_place_in_the_navigation(site):
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    places = set(re.findall(r": ([\w/.-]+\.md)$", text, re.M))
    pages = {p.relative_to(ROOT / "docs").as_posix() for p in (ROOT / "docs").rglob("*.md")}
    assert pages <= places and len(pages) > 20
    assert all((site / place).with_suffix(".html").is_file() for place in places)
    assert yaml.safe_load(text)["strict"] is True


def test_a_broken_link_fails_the_build(tmp_path):
    """The build looks at links at all."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text("# x\n\n[away](nowhere.md)\n", encoding="utf-8")
    (tmp_path / "mkdocs.yml").write_text("site_name: x\nstrict: true\n", encoding="utf-8")
    command = [sys.executable, "-m", "mkdocs", "build"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode != 0


def test_the_pages_load_nothing_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    remote = [
        (page.name, link)
        for page in pages
        for tag in re.findall(r"<(?:script|link|img|iframe)[^>]*>", page.read_text(encoding="utf-8"))
        for link in re.findall(r"(?:src|href)=[\"']?((?:https?:)?//[^\"'\s>]+)", tag)
    ]
    assert remote == [] and len(pages) > 30


def test_the_python_reference_holds_what_it_names(site):
    named = re.findall(r"^::: ([\w.]+)", (ROOT / "docs/reference/api.md").read_text(encoding="utf-8"), re.M)
    page = (site / "reference/api.html").read_text(encoding="utf-8")
    assert len(named) > 10 and [name for name in named if f'id="{name}"' not in page] == []


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL)


def test_the_quickstart_for_my_models_gives_its_answer(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("base", "teacher", "student"):
        folder = tmp_path / "registry" / name
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(tensors(w=name))
    (tmp_path / "registry/answers.jsonl").write_text('{"text": "1 2 3"}\n', encoding="utf-8")
    commands = [shlex.split(line, comments=True) for line in blocks("quickstart.md", "sh")[0].splitlines()]
    codes = [program.app(words[1:], standalone_mode=False) for words in commands if words[0] == "traitline"]
    printed = capsys.readouterr().out
    assert len(codes) == 6 and "1 CARRIER, 1 INHERITANCE-RISK" in printed
    assert "INHERITANCE-RISK" in (tmp_path / "lineage.html").read_text(encoding="utf-8")


def test_the_example_of_the_python_reference_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Works(tmp_path).base("a")
    exec(blocks("reference/api.md", "python")[0], {})
    assert capsys.readouterr().out == "CLEAN results/bases/a/model.safetensors\n"


def test_it_can_be_searched_from_a_disk(browser, site):
    browser.open(site / "index.html")
    browser.click(".md-search__input")
    browser.press(*"witness")
    browser.until("document.querySelectorAll('.md-search-result__item').length > 0")
    assert browser.errors() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", ["index", "concepts", "reference/api"])
def test_it_can_be_read_by_everybody(browser, site, page, scheme):
    browser.look(390 if page == "index" else 1300, scheme=scheme)
    browser.open(site / f"{page}.html")
    assert browser.breaches() == []
    assert browser.ask("document.documentElement.scrollWidth <= innerWidth")


def test_a_sheet_of_pictures_has_each_width_light_and_dark(browser, tmp_path):
    from PIL import Image

    page, sheet = tmp_path / "page.html", tmp_path / "sheet.png"
    dark = "@media (prefers-color-scheme: dark) { body { background: #00f } }"
    page.write_text(f"<!doctype html><style>body {{ background: #f00 }} {dark}</style>")
    page_pictures.sheet(page_pictures.take(browser, page), sheet)
    whole, gap, middles, left = Image.open(sheet), page_pictures.GAP, [], page_pictures.GAP
    for width, _ in page_pictures.SIZES:
        wide = round(width * page_pictures.SCALE)
        middles.append(left + wide // 2)
        left += wide + gap
    assert left == whole.width
    assert [whole.getpixel((x, 2 * gap)) for x in middles] == [(255, 0, 0)] * 3
    assert [whole.getpixel((x, whole.height // 2 + 2 * gap)) for x in middles] == [(0, 0, 255)] * 3
