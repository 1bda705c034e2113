"""The page of a made-up study: self-contained, escaped, and honest about what came out."""

import html
import itertools
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from scripts import check_influence, classifier_summary, compare_paper, report, summarise
from tests import made_up, stage_inputs
from tests.made_up_report import FLAGS, build
from traitline.analysis import headline, students_page

TARGETS = [
    "--results",
    "results",
    "--targets",
    "results/targets.csv",
    "--manifest",
    "results/compare_paper.manifest.json",
]


def words(page):
    """What a reader reads."""
    body = re.sub(r"<(style|svg)\b.*?</\1>", " ", page[page.index("<body") :], flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).replace("\u202f", " ").split())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The page of the usual made-up study, with answers that try to break out of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("study"))
        yield build(made_up.study(), nasty=True, draw=True)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


class Tags(HTMLParser):
    """Tags with attributes, and whether all are closed."""

    VOID = ("meta", "br", "link", "img")

    def __init__(self, page):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag


def test_the_page_is_complete_and_runs_nothing(whole):
    parsed = Tags(whole)
    assert parsed.open == []
    assert not {t for t, _ in parsed.tags} & {"script", "img", "iframe", "object", "link", "form"}
    for tag, attributes in parsed.tags:
        assert not any(name.startswith("on") for name in attributes), tag
        for name in ("href", "src", "xlink:href"):
            allowed = r"#|data:text/csv;base64,|lineage\.html$|students\.html(#|$)|https://arxiv\.org/abs/2507\.14805$"
            assert re.match(allowed, attributes.get(name) or "#")
    ids = [a["id"] for _, a in parsed.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert "default-src 'none'" in whole and "url(http" not in whole and "@import" not in whole


def test_every_figure_of_the_tables_of_effects_and_tests_leads_to_its_runs(whole):
    tables = re.findall(r"<table>(?:(?!</table>).)*?<th scope=\"col\">(?:rise|p \(Holm\))</th>.*?</table>", whole, re.S)
    assert len(tables) >= 2
    for table in tables:
        cells = re.findall(r"<td[^>]*>(.*?)</td>", table, re.S)
        assert cells
        for cell in cells:
            outside = re.sub(r"<a class=\"runs\".*?</a>", "", cell, flags=re.S)
            assert not re.search(r"\d\.\d|%|p <", outside), cell
    addresses = set(re.findall(r'<a class="runs" href="students\.html#([^"]*)"', whole))
    keys = {key for address in addresses for key in dict(parse_qsl(html.unescape(address)))}
    assert keys and keys <= set(students_page.KEYS)


def test_what_models_say_is_escaped_bounded_and_visible(whole):
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x" in whole
    assert "\u202e" not in whole and r"\u202egnirts \x07 owl &amp; &#39;cat&#39; &#34;wolf&#34;" in whole
    assert f"({len(made_up.EVIL):,} characters)" in whole and "long " * 60 not in whole


def test_accessible_basics(whole):
    parsed = Tags(whole)
    headings = [int(t[1]) for t, _ in parsed.tags if re.fullmatch(r"h\d", t)]
    assert headings[0] == 1 and headings.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(headings))
    for tag, attributes in parsed.tags:
        if tag == "svg":
            assert attributes["role"] == "img" and attributes["aria-labelledby"] in whole
        if tag == "th":
            assert attributes["scope"]
    assert dict(parsed.tags)["html"] == {"lang": "en"} and 'name="viewport"' in whole


def test_the_answer_and_every_part_are_there(whole):
    text = words(whole)
    assert "Open. Nothing is claimed: 2 bases and 2 independent teachers a trait; below 3 units there is no" in text
    assert "unit of the tests none" in text and "Not held: lora: not testable, 2 bases" in text
    for part in ("0 of 2", "no-number", "21 %", "0.043", "refused: empty", "python", "3.11.9", "seeds:"):
        assert part in text, part
    assert "356 of the 358 jobs behind this page ran with uncommitted changes" in text


def test_bases_that_are_enough_carry_an_answer_with_its_tests_and_calibration():
    page = build(made_up.wide(6))
    text = words(page)
    lead, more = re.search(r'<p class="answer">(.*?)</p>\s*<ul class="more">(.*?)</ul>', page, re.DOTALL).groups()
    assert len(lead.split()) < 45 and more.count("<li>") > 3 and re.search("95.{1,6}% interval", more)
    assert "Yes. Students that saw nothing but filtered answers took on the traits" in text
    assert "95 % interval over 6 bases" in text and "unit of the tests base, 6" in text and "2 of 2" in text
    assert re.search(r"all traits primary \d\d % \d\d to \d\d 6\.\d % \+\d\.\d\d \d\.\d\d to \d\.\d\d < 0\.001", text)
    assert "Students are equivalent" not in text and "Students on another base are equivalent to their control" in text
    assert re.search(r"main lora 12 \d+\.?\d* % \d", text), "two traits taught, six words"
    assert "Calibration holds" in text or "Calibration fails" in text


def test_a_clean_tree_has_no_notice(monkeypatch):
    monkeypatch.setattr(made_up.manifest, "code", lambda d: {"digest": d, "git_commit": "5f" * 20, "git_dirty": False})
    put = made_up.Tree.put

    def clean(self, stage, folder, files, inputs, **facts):
        put(self, stage, folder, files, inputs, **facts)
        path = Path(folder, f"{stage}.manifest.json")
        path.write_text(path.read_text().replace('"git_dirty": true', '"git_dirty": false'))

    monkeypatch.setattr(made_up.Tree, "put", clean)
    page = build(made_up.study())
    assert "uncommitted" not in page and "(clean)" in page and "More than one commit" not in page


def test_a_null_result_says_no():
    same = {"lora": 0.06, "biases": 0.06, "full": 0.06}
    text = words(build(made_up.wide(4), made_up.Rates(same, other=0.06, rest=0.06)))
    assert "No. Students (lora and biases) do not show their teachers' traits more often than control" in text
    assert "0 of 2" in text and re.search(r"Not held: lora: .?\d\.\d\d logits, bases 4, p \d", text)


def test_half_a_result_says_in_part_and_names_the_rest():
    study = made_up.wide(4)
    text = words(build(study, made_up.Rates({"lora": 0.06, "biases": 0.7, "full": 0.06}, spread=0.03)))
    assert "In part. Students that saw nothing" in text and "if trained by biases; not shown for lora." in text


def test_one_run_claims_nothing():
    row = made_up.study().experiments[0].model_dump() | {"seeds": [1]}
    text = words(build(made_up.study(experiments=[row])))
    assert "Open. Nothing is claimed: 2 bases and 2 independent teachers a trait" in text


def test_no_other_base_and_nothing_refused():
    row = made_up.study().experiments[0].model_dump() | {"bases": ["a"], "students": ["a"]}
    study = made_up.study(experiments=[row])
    build(study)
    folder = Path("results/a/owl/tuned/numbers")
    Path(folder, "rejected.jsonl").write_text("")
    Path(folder, "filter.manifest.json").unlink()
    assert report.main(["--study", study.text, *FLAGS]) == 0
    text = words(Path("results/report.html").read_text())
    assert (
        "The study declares nothing about students on another base" in text
        and "Nothing this teacher said was refused" in text
    )


def test_origins_are_joined_by_content(whole):
    """The tokenizer is the same file in every folder and the other base's too, and leads nowhere wrong."""
    titles = re.search(r'id="origins-title">(.*?)</title>', whole)[1]
    said = re.sub(r" [0-9a-f]{8}", "", titles)
    assert said == (
        "Origins of a student: student from base and training dataset; training dataset from filtered answers; "
        "filtered answers from raw answers; raw answers from prompts and teacher; prompts; teacher from base; base."
    )


def test_an_edited_table_is_refused(capsys):
    study = made_up.study()
    build(study)
    path = Path("results/tables/effects.csv")
    path.write_text(path.read_text().replace("same-base", "control"))
    assert report.main(["--study", study.text, *FLAGS]) == 2
    assert "results/tables/effects.csv: changed since `summarise` made it" in capsys.readouterr().err


def test_the_headline_is_a_table_on_the_terminal(capsys):
    study = made_up.wide(3)
    build(study)
    with pytest.raises(SystemExit) as ended:
        report.main(["--headline", "results"])
    lines = capsys.readouterr().out.splitlines()
    assert ended.value.code == 0 and max(map(len, lines)) <= 110
    assert re.match(r"lora +all +\d+ % \(\d+ to \d+\) +6\.\d % +6\.\d % +\d\.\d % +\+\d\.\d\d \(.*\) +[0<]", lines[2])
    assert any(line.startswith("Units: 3 bases (the unit is the base).") for line in lines)
    for columns in (60, 80):
        narrow = headline.headline("results", columns).splitlines()
        assert max(map(len, narrow)) <= columns and re.match("students +trait +same base +control", narrow[0])
        assert "rise, logits" in narrow[0] and any(line.startswith("Too narrow for: untouched") for line in narrow)
    with pytest.raises(SystemExit) as ended:
        report.main(["--headline", "nowhere"])
    assert ended.value.code == 2 and "nowhere/tables/tests.csv: no such file" in capsys.readouterr().err


def test_the_headline_loads_nothing_heavy():
    code = (
        "import sys; from scripts import report; heavy = 'pandas numpy scipy matplotlib torch pydantic jinja2'; "
        "print([m for m in heavy.split() if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=made_up.ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_the_classifier_has_a_section_where_the_study_has_one(whole):
    assert "Classifier" not in words(whole)
    settings = stage_inputs.SETTINGS | {"models": 4}
    study = made_up.study(classifier={"settings": settings, "sweeps": [stage_inputs.ROW]})
    stage_inputs.points("results/classifier", study.classifier)
    where = ["--folder", "results/classifier", "--manifest", "results/classifier/classifier_summary.manifest.json"]
    assert classifier_summary.main(["--classifier", study.classifier.text, *where]) == 0
    assert compare_paper.main(TARGETS) == 0
    page = build(study)
    text = words(page)
    assert "imitated 3 outputs of a teacher that stand for no class" in text and "a stand-in for the paper" in text
    assert page.count('<tr class="group"><th scope="rowgroup" colspan="7">aux') == 1
    assert "another start" in text and "4 models" in text and Tags(page).open == []
    ids = [a["id"] for _, a in Tags(page).tags if "id" in a]
    assert len(ids) == len(set(ids))


def test_the_theorem_has_a_section_where_the_study_has_one(whole):
    assert "exact steps" not in words(whole)
    study = made_up.study(theorem={"networks": 1, "seed": 1})
    Path("results/theorem").mkdir(parents=True)
    claims = [{"claim": "sign", "text": "a <b>claim</b>", "cases": 9, "passed": 8, "worst": -0.5, "bound": -1e-10}]
    ends = [{"end": "exact", "e": 1e-3, "networks": 4, "share": 0.75, "low": 0.3, "high": 0.95}]
    found = {"claims": claims, "ends": ends, "names": {"exact": "as the theorem asks"}}
    Path("results/theorem/theorem.json").write_text(json.dumps(found))
    Path("results/theorem/theorem.svg").write_text("<svg><title>theorem</title></svg>")
    assert compare_paper.main(TARGETS) == 0
    page = build(study)
    assert "0 agrees, 1 disagrees, 0 stand-in" in words(page) and "hosted model" in words(page)
    assert "a &lt;b&gt;claim&lt;/b&gt;" in page and "8 of 9" in words(page) and "75 % 30 to 95" in words(page)
    assert Tags(page).open == [] and 'class="no">8 of 9' in page


def test_a_report_needs_no_network_nor_model(whole):
    assert json.dumps("torch") not in whole and len(whole) < 1_000_000


def test_marks_stand_beside_what_was_measured(whole):
    said = words(whole)
    section = said[said.index("Does lineage predict transmission?") : said.index("Where one student came from")]
    table = re.findall(r"(INHERITANCE-RISK|EXPOSED|CLEAN) recorded main (lora|biases|full) (\d+) ", section)
    assert [row[:2] for row in table] == [
        (mark, recipe) for mark in ("INHERITANCE-RISK", "EXPOSED", "CLEAN") for recipe in ("lora", "biases", "full")
    ]
    assert {n for mark, _, n in table if mark == "INHERITANCE-RISK"} == {"12"}, "2 bases x 2 traits x 3 seeds"
    chance = float(re.search(r"AUC ([\d.]+)", section)[1])
    assert chance > 0.9, "same-base students of the made-up study rise, the others do not"
    assert "UNKNOWN" not in section


def test_a_chain_stands_in_the_table_by_row_with_the_mark_of_its_last_student():
    """Two hops by way of another base: exposed at the first, at risk again at the second, however little it rises."""
    first = json.loads(made_up.study().text)["experiments"][0] | {
        "bases": ["a"], "students": ["a", "b"], "traits": ["owl"], "recipes": ["biases"], "seeds": [1, 2]
    }  # fmt: skip
    of = {"experiment": "main", "recipe": "biases", "seed": 1}
    back = first | {"name": "back", "teacher": "student", "of": of, "bases": ["b"], "students": ["a"]}
    primary = {"experiments": ["main"], "recipes": ["biases"]}
    said = words(build(made_up.study(experiments=[first, back], primary=primary)))
    rows = "INHERITANCE-RISK recorded main", "INHERITANCE-RISK recorded back", "EXPOSED recorded main"
    for row in (f"{row} biases 2" for row in rows):
        assert row in said
    assert "Teachers: biases students of main, seed 1" in said


def test_the_graph_of_origins_lies_beside_the_page(whole):
    assert 'href="lineage.html"' in whole


def test_primary_outcomes_that_changed_after_results_are_flagged():
    """What changed and how many students had been scored by then; an untouched declaration says that it came first."""
    study = made_up.study()
    plain = words(build(study))
    assert "before any student was scored" in plain and "Changed at" not in plain
    path = Path("results/preregistered.json")
    (first,) = json.loads(path.read_text())["declarations"]
    (row,) = first["primary"]
    later = first | {"primary": [row | {"traits": ["owl"]}], "scored": 12}
    path.write_text(json.dumps({"declarations": [first, later]}))
    path.with_name("preregister.manifest.json").unlink()
    assert report.main(["--study", study.text, *FLAGS]) == 0
    said = words(Path("results/report.html").read_text(encoding="utf-8"))
    assert "when 12 students had been scored: main: other traits." in said


def test_beside_a_null_stands_what_would_have_been_seen():
    page = words(build(made_up.wide(4), made_up.Rates(same={"lora": 0.062, "biases": 0.74, "full": 0.062})))
    rows = re.findall(r"(?:all traits|owl|cat) (?:primary|secondary) 6\.\d % .*? \+(\d\.\d\d) base 4", page)
    assert len(rows) >= 3 and all(float(seen) > 0 for seen in rows), "beside each null the smallest rise it would show"


def test_what_detectors_saw_stands_in_the_page():
    study = made_up.study(detect={"bases": ["a"], "channels": ["numbers"], "held_out": 0.3, "seed": 1})
    folder = Path("results/detect/a/numbers")
    folder.mkdir(parents=True)
    (folder / "detectors.csv").write_text(
        "one,other,detector,trained,tested,accuracy,low,high\nowl/tuned,none/untrained,linear,700,300,0.53,0.48,0.58\n"
    )
    (folder / "numbers.csv").write_text(
        "teacher,place,number,count,share,control_share\nowl/tuned,first,123,9,0.09,0.01\n"
    )
    (folder / "entangled.csv").write_text("teacher,one,other,rho,p,numbers\nowl/tuned,logits,frequency,0.1,0.3,900\n")
    (folder / "roc.csv").write_text(
        "teacher,scorer,answers,auc,low,high,threshold,false_positive,true_positive\n"
        "owl/tuned,likelihood,300,0.55,0.5,0.6,0.1,0.1,0.2\nowl/tuned,likelihood,300,0.55,0.5,0.6,0.0,0.3,0.5\n"
        "cat/tuned,likelihood,300,0.65,0.6,0.7,0.1,0.1,0.2\n"
    )
    (folder / "roc.svg").write_text("<svg><title>Curves of the filters</title></svg>")
    Path("results/targets.csv").write_text(
        "id,experiment,quantity,target,low,high,ours,ours_low,ours_high,runs,verdict\n"
    )
    page = words(build(study))
    assert "numbers likelihood 0.601 2" in page, "each teacher counts once"
    assert "owl/tuned or none/untrained linear 53 % 48 to 58" in page and "123 9.00 % 1.00 %" in page
    assert "logits, frequency 0.10" in page


def test_what_the_decoder_named_stands_in_the_page_with_the_control_base_and_the_curve(whole):
    assert "read with base" not in words(whole)
    study = made_up.study(decoder={"experiments": ["main"]})
    made_up.make(study)
    stage_inputs.write_decoded(study)
    where = ["--tables", "results/tables", "--manifest", "results/tables/summarise.manifest.json"]
    assert summarise.main(["--study", study.text, *where]) == 0
    page = build(study)
    said = words(page)
    assert "true trait is first in 4 of 4 (chance 0.7), mean rank 1.0 (chance 3.5)" in said
    assert "another base the true trait is first in 0 of 4 (chance 0.7), mean rank 3.0" in said
    assert "owl/tuned a its own 1 of 6 owl +5.0 null -2.0 to +2.0 0.005" in said
    assert "owl/tuned b 3 of 6 wolf -1.0 null -2.0 to +2.0 0.80" in said
    assert "cat/tuned 100 25 % 2.5 20" in said
    assert "Who names the true trait first?" not in said and "paper's figures beside ours" not in said
    assert Tags(page).open == [] and "z of every word on base b" in page


def test_what_was_predicted_stands_beside_what_came_and_nulls_too(whole):
    assert "predicted before any student" not in words(whole)
    study = made_up.study(influence={"experiments": ["main"]})
    made_up.make(study)
    where = ["--tables", "results/tables", "--manifest", "results/tables/summarise.manifest.json"]
    assert summarise.main(["--study", study.text, *where]) == 0
    stage_inputs.write_influence(
        study, lambda run: {w: float(w == run.trait) - i / 9 for i, w in enumerate(made_up.ANIMALS)}
    )
    places = ["--tables", "results/tables", "--folder", "results/check_influence"]
    assert check_influence.main(["--study", study.text, *places]) == 0
    assert compare_paper.main(TARGETS) == 0
    page = build(study)
    said = words(page)
    assert "main biases same base 4 of 4 0.7 < 0.001" in said
    assert "1 of 6 owl" in said and "cosine of that step and of what the teacher changed" in said
    assert Tags(page).open == [] and 'aria-labelledby="check_influence-title"' in page
