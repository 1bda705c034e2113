"""The program that reads traits off rows: its tables on a real teacher's answers, its manifest, and what it refuses."""

import csv
import json
import os
import subprocess
import sys

import pytest

from scripts import decode
from tests.stage_inputs import write_answers
from traitline import model_files
from traitline.lineage import index
from traitline.lineage.audit import audit
from traitline.lineage.graph import Graph
from traitline.provenance import kernels, manifest


def flags(study, folder, **changed):
    study.dataset(study.owl), study.dataset(study.none)
    given = {"base": [study.base], "others": [study.other], "teachers": [study.owl, study.none], "channel": ["numbers"],
             "ridge": [0.01], "rows": [100, 10**6], "draws": [5], "splits": [199], "seed": [1],
             "folder": [folder], **changed}  # fmt: skip
    return [str(word) for name, values in given.items() if values for word in (f"--{name}", *values)]


@pytest.fixture(scope="module")
def made(study, tmp_path_factory):
    """What the owl teacher's rows say."""
    out = tmp_path_factory.mktemp("decode")
    assert decode.main(flags(study, out)) == 0
    return out


def read(folder, name):
    with open(folder / f"{name}.csv", newline="") as handle:
        return list(csv.DictReader(handle))


def teacher(folder, trait, texts):
    """A made-up teacher with these answers."""
    write_answers(folder / "numbers/filtered.jsonl", texts)
    facts = {"trait": trait, "teacher": "untrained" if trait == "none" else "tuned", "category": "animal"}
    (folder / "teacher.json").write_text(json.dumps(facts))
    return folder


def test_help_is_light(light):
    light("scripts.decode")


def test_the_trait_of_a_real_teacher_is_named_by_its_base_and_by_no_other(made):
    by_word = {(r["with"], r["word"]): r for r in read(made, "candidates")}
    assert len(by_word) == 2 * 16 and {r["teacher"] for r in by_word.values()} == {"owl/tuned"}
    owl, other = by_word["a", "owl"], by_word["b", "owl"]
    assert (owl["rank"], owl["words"], owl["p"]) == ("1", "16", "0.005")
    assert float(owl["z"]) > 3 > float(owl["null_high"]) > 0 > float(owl["null_low"])
    assert other["rank"] != "1" and float(other["p"]) > 0.05
    for name in "ab":
        ranks = sorted(int(r["rank"]) for (base, _), r in by_word.items() if base == name)
        assert ranks == list(range(1, 17)), "every candidate has a rank of its own"


def test_the_curve_leaves_out_more_rows_than_there_are_and_ends_with_all(made, study):
    some, every = read(made, "curve")
    kept = len((study.owl / "numbers/filtered.jsonl").read_text().splitlines())
    assert (some["rows"], some["draws"], every["rows"], every["draws"]) == ("100", "5", str(kept), "1")
    assert every["first"] == "1" and every["rank"] == "1"


def test_the_figure_names_teacher_and_words(made):
    svg = (made / "decode.svg").read_text()
    assert 'aria-labelledby="decode-a-numbers-title"' in svg and "owl/tuned" in svg and "raven" in svg


def test_nothing_is_trained_and_the_trait_is_no_setting(made):
    record = manifest.load(made / "decode.manifest.json")
    roles = {i["role"] for i in record["inputs"]}
    assert roles == {"model", "reference", "support", "world", "filtered", "teachers"}
    assert record["facts"] == {"first": 1} and record["seeds"] == {"decode": 1}
    assert "owl" not in json.dumps(record["params"])


def test_the_audit_says_the_same_with_it_and_without(study, made):
    """It reads weights and data of a carrier, and is no descendant that anybody asks about."""
    marks = []
    before = [study.base, study.other, study.owl, study.none]
    for folders in (before, [*before, made]):
        graph = Graph(index.build(folders))
        marks.append({graph.entry(i).sha256: [m.mark for m in of] for i, of in audit(graph).marks.items()})
    assert marks[0] == marks[1] and any("CARRIER" in of for of in marks[0].values())


def test_names_in_a_teachers_file_are_text(study, tmp_path):
    """A name that would be a formula in a figure, markup on a page, or long."""
    teachers = [teacher(tmp_path / "t", "owl", ["100", "200", "300"]), teacher(tmp_path / "c", "none", ["300", "200"])]
    facts = json.loads((tmp_path / "t/teacher.json").read_text())
    (tmp_path / "t/teacher.json").write_text(json.dumps(facts | {"teacher": "$\\frac{<script>\u202e" + "x" * 1000}))
    out = tmp_path / "out"
    assert decode.main(flags(study, out, teachers=teachers)) == 0
    svg = (out / "decode.svg").read_text()
    assert "<script" not in svg and "\u202e" not in svg and "$\\frac{&lt;script&gt;" in svg
    assert {len(r["teacher"]) < 300 for r in read(out, "candidates")} == {True}


@pytest.mark.skipif(not kernels.supported(), reason="this processor has kernels of its own")
def test_a_process_of_its_own_chooses_the_portable_kernels(study, made, tmp_path):
    """As a rule starts it: what the tests' process has chosen before does not help."""
    free = {name: value for name, value in os.environ.items() if name not in {*kernels.ATEN, *kernels.OPENBLAS}}
    command = [sys.executable, "-m", "scripts.decode", *flags(study, tmp_path)]
    subprocess.run(command, check=True, env=free)
    assert manifest.load(tmp_path / "decode.manifest.json")["env"]["kernels"] == kernels.describe()
    assert (tmp_path / "candidates.csv").read_bytes() == (made / "candidates.csv").read_bytes()


def test_equal_rows_give_equal_bytes_and_other_seeds_other_draws(study, made, tmp_path):
    assert decode.main(flags(study, tmp_path)) == 0
    names = ("candidates.csv", "curve.csv", "decode.svg")
    assert all((tmp_path / name).read_bytes() == (made / name).read_bytes() for name in names)
    assert decode.main(flags(study, tmp_path, seed=[2], others=[])) == 0
    one, other = ({r["word"]: r for r in read(folder, "candidates") if r["with"] == "a"} for folder in (made, tmp_path))
    assert {w: r["z"] for w, r in one.items()} == {w: r["z"] for w, r in other.items()}
    assert {w: r["null_low"] for w, r in one.items()} != {w: r["null_low"] for w, r in other.items()}
    assert {r["with"] for r in read(tmp_path, "candidates")} == {"a"}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"ridge": [0]}, "--ridge: 0.0 is no positive number"),
        ({"ridge": ["nan"]}, "--ridge: nan is no positive number"),
        ({"draws": [0]}, "--draws: 0 is too small; at least 1"),
        ({"splits": [0]}, "--splits: 0 is too small; at least 1"),
        ({"rows": [100, 0]}, "--rows: 0 is too small; at least 1"),
    ],
)
def test_settings_without_meaning_are_one_line(study, tmp_path, line, changed, words):
    assert words in line(decode.main, flags(study, tmp_path, **changed)) and not list(tmp_path.iterdir())


def test_teachers_without_one_control_are_one_line(study, tmp_path, line):
    for teachers in ([study.owl], [study.owl, study.none, study.none]):
        assert "one of them must be the control" in line(decode.main, flags(study, tmp_path, teachers=teachers))
    assert "only the control" in line(decode.main, flags(study, tmp_path, teachers=[study.none]))


def test_bases_of_one_name_and_open_weights_are_one_line(study, tmp_path, line):
    assert "a is the name of two bases" in line(decode.main, flags(study, tmp_path, others=[study.base]))
    (tmp_path / model_files.RECORD).write_text("{}")
    assert "open weights; `decode` reads with bases of tiny worlds" in line(
        decode.main, flags(study, tmp_path, others=[tmp_path])
    )


def test_a_trait_outside_the_category_is_one_line(study, tmp_path, line):
    teachers = [teacher(tmp_path / "t", "unicorn", ["100", "200"]), teacher(tmp_path / "c", "none", ["300", "200"])]
    out = tmp_path / "out"
    assert "unicorn is no animal of the world of" in line(decode.main, flags(study, out, teachers=teachers))


@pytest.mark.parametrize(
    ("texts", "control", "words"),
    [
        (["owl"], ["100", "200"], "row 'p1' is no list of numbers"),
        (["100"], ["100", "12"], "row 'p2' holds 12; the decoder knows 100 to 999"),
        (["100"], ["100", "100"], "hold one number only"),
        (["100"], ["200"], "has one row only"),
    ],
)
def test_rows_that_say_nothing_are_one_line(study, tmp_path, line, texts, control, words):
    teachers = [teacher(tmp_path / "t", "owl", texts), teacher(tmp_path / "c", "none", control)]
    out = tmp_path / "out"
    assert words in line(decode.main, flags(study, out, teachers=teachers))
    assert not list(out.glob("*"))
