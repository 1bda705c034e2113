"""The page of students: what the report links to, in a browser, with ten thousand students and hostile answers."""

import re
from pathlib import Path

import pytest

from tests import made_up
from tests.made_up_report import build
from traitline.analysis import students_page

ROOT = Path(__file__).resolve().parent.parent
COUNT = "document.querySelector('#count').textContent"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Folder of the pages of a made-up study whose models answer with markup."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder := tmp_path_factory.mktemp("study"))
        build(made_up.study(), nasty=True)
    return folder / "results"


def test_what_models_say_stays_text(browser, pages):
    browser.open(pages / "students.html")
    assert "<script>alert(1)</script><img src=x" in browser.ask("document.querySelector('#one').textContent")
    assert browser.ask("document.querySelectorAll('img').length") == 0 and browser.errors() == []
    text = (pages / "students.html").read_text(encoding="utf-8")
    assert text.count("</script>") == 2 and "default-src 'none'" in text
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#|report\.html)""", text.split('<script id="data"')[0])


def test_a_number_of_the_report_leads_to_its_runs(browser, pages):
    report = (pages / "report.html").read_text(encoding="utf-8")
    links = re.findall(r'href="(students\.html#[^"]+)"', report)
    assert len(links) > 20
    for link in (next(k for k in links if f"arm={arm}" in k) for arm in ("same-base", "control", "other-base")):
        browser.call("POST", "/url", {"url": "about:blank"})
        browser.call("POST", "/url", {"url": pages.as_uri() + "/" + link.replace("&amp;", "&")})
        shown, everything = map(int, re.findall(r"\d+", browser.ask(COUNT)))
        assert 3 <= shown < everything, link
        rows = browser.ask("[...document.querySelectorAll('#list tbody tr')].map(r => r.textContent)")
        command = browser.ask("document.querySelector('#cell:not([hidden])')?.textContent") or ""
        assert ("--row experiment=main,channel=numbers" in command) == ("arm=control" not in link)
        assert all(re.search("arm=([a-z-]+)", link)[1] in row for row in rows)
    assert browser.errors() == []


def test_students_are_filtered_by_arm_trait_and_seed(browser, pages):
    browser.open(pages / "students.html")
    browser.ask("[...inputs].forEach(i => { if (i.dataset.key === 'seed') i.value = '2'; })")
    browser.ask("inputs[0].dispatchEvent(new Event('input'))")
    seeds = browser.ask("[...document.querySelectorAll('#list tbody tr')].map(r => r.children[5].textContent)")
    assert set(seeds) == {"2"} and browser.ask("location.hash") == "#seed=2"
    browser.click("#every")
    assert browser.ask(COUNT).split()[0] == browser.ask(COUNT).split()[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", ["report", "students"])
def test_both_pages_can_be_read_by_everybody(browser, pages, page, scheme):
    for width in (390, 1300):
        browser.look(width, scheme=scheme)
        browser.open(pages / f"{page}.html")
        assert browser.breaches() == []
        assert browser.ask("document.documentElement.scrollWidth") <= width


def test_ten_thousand_students_open_within_a_second(browser, tmp_path):
    """Only the rows in sight are in the page, wherever one scrolls."""
    texts = ["main", "same-base", "owl", "a", "a", "lora", "numbers", "what is your favourite animal ?", "cat"]
    texts += [str(i) for i in range(10_000)]
    row = {"rate": 0.2, "others": {}, "folder": "results/x", "said": [[7, [8, 2] * 10]]}
    rows = [{"of": [0, 1, 2, 3, 4, 5, 6, 9 + i], **row} for i in range(10_000)]
    content = {"keys": students_page.KEYS, "texts": texts, "rows": rows, "questions": 1, "tables": "x"}
    style = (ROOT / "report/report.css").read_text(encoding="utf-8")
    file = tmp_path / "students.html"
    file.write_text(students_page.render(ROOT / "report", style, content, "many"), encoding="utf-8")
    times = []
    for _ in range(4):  # the best of some: other programs run on this machine
        browser.open(file)
        times.append(browser.ask("performance.getEntriesByName('drawn')[0].startTime"))
    assert min(times) < 1000
    browser.ask("list.scrollTop = 34 * 5000")
    browser.until("document.querySelector('#list tbody tr').textContent.includes('499')")
    assert browser.ask("document.querySelectorAll('#list tbody tr').length") < 80
    assert browser.ask(COUNT) == "10,000 of 10,000 runs"
