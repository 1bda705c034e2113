"""The lineage page, in a browser: folded, opened, searched, used by keyboard alone, and with hostile names in it."""

import collections
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.lineage import Works
from traitline.lineage import audit, page, page_data
from traitline.lineage.graph import open_graph

EVIL = "</script><script>document.title='broken'</script><img src=x onerror=document.title='broken'>"


def study(works, bases, traits, seeds):
    """Teachers of all traits on all bases; a student for each seed on every base."""
    places = [works.base(f"b{i}") for i in range(bases)]
    for base in places:
        for t in range(traits):
            numbers = works.data(works.teacher(base, f"trait{t}", f"results/{Path(base).parent.name}/trait{t}"))
            for student in places:
                for seed in range(seeds):
                    works.student(student, numbers, name=f"seed-{seed}")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A page of 50 jobs, one of them with a hostile name."""
    return written(tmp_path_factory.mktemp("small"), 2, 3, 2, nasty=True)


def written(root, bases, traits, seeds, *, nasty=False):
    works = Works(root)
    study(works, bases, traits, seeds)
    if nasty:
        works.write(
            "filter",
            "results/evil",
            [],
            [{"role": EVIL, "path": f"results/{EVIL}.jsonl", "sha256": "e" * 64, "bytes": 1}],
            {"origin": EVIL},
        )
    import os

    before = os.getcwd()
    os.chdir(root)
    try:
        page.write(open_graph(None, None), "lineage.html", EVIL if nasty else "many")
    finally:
        os.chdir(before)
    return root / "lineage.html"


def boxes(browser, selector=".node"):
    return browser.ask(f"document.querySelectorAll('{selector}').length")


def focused(browser):
    return browser.ask("document.activeElement.getAttribute('aria-label') || document.activeElement.id")


def test_the_page_is_one_file_that_asks_for_nothing(small):
    text = small.read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#)""", text.split('<script id="data"')[0])
    assert "default-src 'none'" in text and "unsafe-eval" not in text and "script-src 'sha256-" in text
    assert text.count("</script>") == 2 and EVIL not in text
    assert json.loads(text.split('type="application/json">')[1].split("</script>")[0])["jobs"]


def test_siblings_are_folded_by_stage_mark_and_origin(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study(Works(tmp_path), 2, 3, 2)
    found = page_data.data(open_graph(None, None))
    groups = {
        (g["stage"], g["mark"]): sum(j["group"] == i for j in found["jobs"]) for i, g in enumerate(found["groups"])
    }
    assert len(found["jobs"]) == 44 and groups == {
        ("pretrain", "CLEAN"): 2, ("teach", "CARRIER"): 6, ("sample", "EXPOSED"): 6, ("filter", "EXPOSED"): 6,
        ("train", "INHERITANCE-RISK"): 12, ("train", "EXPOSED"): 12,
    }  # fmt: skip
    columns = {(g["stage"], g["mark"]): g["column"] for g in found["groups"]}
    assert columns["pretrain", "CLEAN"] == 0 and columns["train", "EXPOSED"] == 4


def test_circles_do_not_hang_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    works = Works(tmp_path)
    one, two = ({"role": "raw", "path": p, "sha256": p * 64, "bytes": 1} for p in "12")
    works.write("filter", "results/x", [one], [two])
    works.write("filter", "results/y", [two], [one])
    assert len(page_data.data(open_graph(None, None))["jobs"]) == 2


def test_hostile_names_stay_text(browser, small):
    browser.open(small)
    assert "broken" not in browser.ask("document.title").replace(EVIL, "") and boxes(browser, "img") == 0
    browser.click("#search")
    browser.press(*"onerror", "Enter")
    assert EVIL[:20] in browser.ask("document.querySelector('#panel').textContent")
    assert boxes(browser, "img") == 0 and browser.ask("document.title").startswith("Origins · </script>")
    assert browser.errors() == []


def test_a_click_opens_a_group_and_shows_a_manifest(browser, small):
    browser.open(small)
    folded = boxes(browser)
    browser.click(".node.INHERITANCE-RISK")
    assert boxes(browser) == folded + 11
    browser.click(".node.INHERITANCE-RISK")
    panel = browser.ask("document.querySelector('#panel').textContent")
    assert "INHERITANCE-RISK, trait0" in panel and "code" in panel and "seeds" in panel and "sha256" not in panel
    assert 3 <= boxes(browser, ".node.lit") < boxes(browser), "only its own origins are lit"
    browser.click("#fold")
    assert boxes(browser) == folded and browser.ask("document.querySelector('#panel').hidden")


def test_everything_can_be_done_by_keyboard(browser, small):
    browser.open(small)
    browser.press("/")
    assert focused(browser) == "Search jobs"
    browser.press(*"trait1 exposed train", "Down")
    assert browser.ask("document.activeElement.closest('#hits') !== null")
    browser.press("Enter")
    assert focused(browser).startswith("train: results/") and "EXPOSED" in focused(browser)
    assert not browser.ask("document.querySelector('#panel').hidden")
    browser.press("Left" if browser.ask("direction") == "LR" else "Up")
    assert focused(browser).startswith("6 filter jobs"), "against the arrows lies what it was made from"
    browser.press("Enter")
    assert focused(browser).startswith("filter: results/")
    browser.press("Escape", "Escape")
    assert focused(browser).startswith("6 filter jobs") and browser.ask("document.querySelector('#panel').hidden")
    before = browser.ask("document.querySelector('#world').getAttribute('transform')")
    browser.press("+")
    assert browser.ask("document.querySelector('#world').getAttribute('transform')") != before
    assert browser.errors() == []


def test_five_thousand_jobs_can_be_drawn_folded_and_open(browser, tmp_path):
    file = written(tmp_path, 4, 10, 30)  # 4 bases, 40 teachers, their data, 4,800 students
    browser.open(file)
    assert browser.ask("jobs.length") == 4924 and boxes(browser) < 10
    browser.ask("groups.forEach((_, g) => open.add(g))")
    assert browser.ask("(draw(), fit(), true)") and boxes(browser) == 4924
    assert boxes(browser, "#edges path") > 4800 * 2 - 100
    browser.ask("goTo(jobs.length - 1)")
    assert boxes(browser, ".node.lit") >= 5 and browser.errors() == []


def test_the_table_counts_as_the_audit_does(browser, small, monkeypatch):
    monkeypatch.chdir(small.parent)
    graph = open_graph(None, None)
    counted = collections.Counter(row["mark"] for row in audit.rows(graph, audit.audit(graph)))
    browser.open(small)
    chips = browser.ask("[...document.querySelectorAll('.legend [data-mark]')].map(c => c.textContent.trim())")
    assert {c.split()[0]: int(c.split()[1]) for c in chips} == counted and counted["INHERITANCE-RISK"] == 12
    rows = browser.ask("[...document.querySelectorAll('#models tbody tr')].map(r => r.textContent)")
    assert rows[0].startswith("CARRIERrecorded") and "It was given the trait trait0." in rows[0]
    risk = next(r for r in rows if "INHERITANCE-RISK" in r)
    assert "2 models" in risk and "descend from results/b0/trait0, which carries trait0; both start" in risk
    models = [re.search(r"(\d+) models", r) for r in rows]
    assert sum(int(m[1]) if m else 1 for m in models) == sum(counted.values()), "every model stands in one row"


def test_the_legend_filters_table_and_graph(browser, small):
    browser.open(small)
    every = boxes(browser)
    browser.click("[data-mark='CLEAN']")
    assert browser.ask("[...new Set([...document.querySelectorAll('#models .word')].map(w => w.textContent))]") == [
        "CLEAN"
    ]
    assert 1 <= boxes(browser) < every and boxes(browser, ".node:not(.CLEAN)") == 0
    browser.click("#every")
    assert boxes(browser) == every and boxes(browser, "#models .EXPOSED") > 0 and browser.errors() == []


def test_an_address_leads_to_a_job(browser, small):
    browser.open(small)
    browser.click("#models .INHERITANCE-RISK summary")
    browser.until("document.querySelector('#models .INHERITANCE-RISK li a')")  # the list is written when it opens
    browser.click("#models .INHERITANCE-RISK li a")
    browser.until("!document.querySelector('#panel').hidden")
    there, panel = browser.ask("location.hash"), browser.ask("document.querySelector('#panel').textContent")
    assert re.fullmatch("#[0-9a-f]{16}", there) and "The way back to it" in panel
    browser.call("POST", "/url", {"url": "about:blank"})
    browser.call("POST", "/url", {"url": small.as_uri() + there})
    assert browser.ask("document.querySelector('#panel').textContent") == panel
    assert focused(browser).startswith("train: results/") and boxes(browser, ".node.chosen") == 1
    browser.call("POST", "/url", {"url": "about:blank"})
    browser.call("POST", "/url", {"url": small.as_uri() + "#0000"})
    assert "names a job that is not in it" in browser.ask("document.querySelector('#note').textContent")
    assert browser.errors() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 768, 1300])
def test_it_can_be_read_by_everybody(browser, small, width, scheme):
    browser.look(width, scheme=scheme)
    try:
        browser.open(small)
        assert browser.breaches() == []
        assert browser.ask("document.documentElement.scrollWidth") <= width
        sizes = browser.ask("[...document.querySelectorAll('.words text')].map(t => t.getBoundingClientRect().height)")
        assert min(s for s in sizes if s) >= 9, "words in boxes are too small"
        browser.ask("goTo(jobs.findIndex(j => j.mark === 'INHERITANCE-RISK'))")
        browser.ask("document.querySelector('#meanings').open = true")
        assert browser.breaches() == []
    finally:
        browser.devtools("Emulation.clearDeviceMetricsOverride")
        browser.devtools("Emulation.setEmulatedMedia", features=[])


def test_twenty_thousand_jobs_are_drawn_in_three_seconds(browser, tmp_path):
    """A chain of trainings, each on the model before it: as many groups as jobs, of which the part at risk is drawn."""
    words = {"texts": ["wrote model", "x/model.safetensors"], "groups": [], "jobs": [], "models": []}
    for i in range(20_000):
        mark = "INHERITANCE-RISK" if i > 15_000 else "CLEAN"
        words["texts"].append(f"{i:064x}")
        job = {"stage": "train", "label": f"x/{i}/model.safetensors", "sha": f"{i:064x}"[-16:], "mark": mark}
        job |= {"trait": "owl", "parents": [i - 1] * (i > 0), "group": i}
        words["jobs"].append(job | {"details": {"said": {}, "files": [[0, 1, i + 2, 9]], "more": 0}})
        words["groups"].append({"stage": "train", "mark": mark, "column": i})
        model = {"job": i, "path": f"x/{i}/model.safetensors", "mark": mark, "traits": ["owl"], "standing": "recorded"}
        words["models"].append(model | {"reason": "", "witness": max(0, i - 3), "self": False})
    file = tmp_path / "chain.html"
    file.write_text(page.fill(words, "chain"), encoding="utf-8")
    times = []
    for _ in range(3):  # the best of some: other programs run on this machine
        browser.open(file)
        times.append(browser.ask("performance.getEntriesByName('drawn')[0].startTime"))
    assert min(times) < 3000
    assert 50 < boxes(browser) <= 200 and "200 of 20,000 groups" in browser.ask("note.textContent")
    browser.ask("goTo(7)")
    assert boxes(browser, ".node.chosen") == 1 and boxes(browser) <= 200 and browser.errors() == []


def test_an_installed_program_has_all_that_it_needs(tmp_path):
    """The wheel, which `pip install .` installs, in a place of its own: every command answers, a page is made."""
    root = Path(__file__).resolve().parent.parent
    source, site, here = tmp_path / "source", tmp_path / "site", tmp_path / "here"
    shutil.copytree(root / "traitline", source / "traitline", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, source)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        tmp_path,
    ]
    subprocess.run([*pip, source], check=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    Works(here).base("a")
    code = (
        "import sys, traitline; from traitline.cli.program import app, main\n"
        f"assert traitline.__file__.startswith({str(site)!r})\n"
        "for c in app.registered_commands:\n"
        "    name = c.name or c.callback.__name__\n"
        "    try: app([name, '--help'])\n"
        "    except SystemExit as e: assert e.code == 0, name\n"
        "sys.argv = ['traitline', 'page', 'x.html']; main()\n"
    )
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(
        command, cwd=here, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "results/bases/a/model.safetensors" in (here / "x.html").read_text(encoding="utf-8")
    files = [{p.relative_to(top) for p in (top / "traitline").rglob("*.*") if p.is_file()} for top in (source, site)]
    assert files[0] == {p for p in files[1] if p.suffix != ".pyc"}, "nothing of the library stays behind"
