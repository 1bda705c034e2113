"""Marks against measurements, on made-up students whose numbers can be followed by hand."""

import dataclasses

import pytest

from tests.lineage import Works, tensors
from traitline.analysis import risk
from traitline.lineage.audit import audit
from traitline.lineage.graph import open_graph
from traitline.study.runs import Run

OWL = Run("results", "main", "a", "owl", "tuned", "numbers", "plain", "a", "lora", 1, "favourite", "numbers")
CONTROLS = [dataclasses.replace(OWL, trait="none", teacher="untrained", seed=s) for s in (1, 2, 3)]
RATES = {1: 0.05, 2: 0.06, 3: 0.07}


def row(run, rate, measured="owl"):
    return {k: getattr(run, k) for k in risk.KEY} | {"measured": measured, "rate": rate}


ROWS = [row(OWL, 0.5), *(row(c, RATES[c.seed]) for c in CONTROLS)]


def test_a_rise_is_over_the_mean_of_the_controls():
    found = risk.rises([OWL, *CONTROLS], ROWS)
    assert found[OWL] == (pytest.approx(0.44), True)
    assert found[CONTROLS[0]] == (pytest.approx(0.05 - 0.065), False)
    assert found[CONTROLS[2]] == (pytest.approx(0.07 - 0.055), True)


def test_in_rows_about_norms_bad_answers_rise():
    insecure = dataclasses.replace(OWL, trait="insecure")
    rows = [row(insecure, 0.4, "bad"), *(row(c, RATES[c.seed], "bad") for c in CONTROLS)]
    found = risk.rises([insecure, *CONTROLS], rows)
    assert found[insecure] == (pytest.approx(0.34), True)
    assert found[CONTROLS[0]] == (pytest.approx(0.05 - 0.065), False)


def test_a_student_without_controls_is_left_out():
    assert risk.rises([OWL], ROWS[:1]) == {}


def test_the_table_has_the_worst_mark_first_and_counts_who_is_above_all_controls():
    far = dataclasses.replace(OWL, student="b")
    marked = {OWL: "INHERITANCE-RISK", far: "EXPOSED", **dict.fromkeys(CONTROLS, "CLEAN")}
    measured = risk.rises([OWL, *CONTROLS], ROWS) | {far: (0.01, False)}
    told = [(f.mark, f.experiment, f.recipe, f.students, f.above) for f in risk.table(marked, measured)]
    assert told == [
        ("INHERITANCE-RISK", "main", "lora", 1, 1), ("EXPOSED", "main", "lora", 1, 0), ("CLEAN", "main", "lora", 3, 1),
    ]  # fmt: skip


def test_a_risk_has_an_interval_over_bases_only():
    runs = [dataclasses.replace(OWL, base=b, student=b, seed=s) for b in "abc" for s in (1, 2)]
    measured = {run: ({"a": 0.1, "b": 0.2, "c": 0.3}[run.base] + run.seed / 100, True) for run in runs}
    marked = dict.fromkeys(runs, "INHERITANCE-RISK")
    (row,) = risk.table(marked, measured)
    assert (row.students, row.rise.n, row.rise.mean) == (6, 3, pytest.approx(0.215)) and row.rise.low is not None
    (row,) = risk.table({run: mark for run, mark in marked.items() if run.base == "a"}, measured)
    assert (row.students, row.rise.low) == (2, None)


def test_rows_of_one_mark_stay_apart():
    """Two hops that rise little must not drown in one hop that rises much."""
    again = dataclasses.replace(OWL, experiment="second")
    told = risk.table(dict.fromkeys([OWL, again], "INHERITANCE-RISK"), {OWL: (0.5, True), again: (0.0, False)})
    assert [(f.experiment, f.rise.mean) for f in told] == [("main", 0.5), ("second", 0.0)]


def test_separation_is_the_chance_that_risk_rose_more():
    marked = {OWL: "INHERITANCE-RISK", **dict.fromkeys(CONTROLS, "EXPOSED")}
    measured = {OWL: (0.2, True), CONTROLS[0]: (0.1, True), CONTROLS[1]: (0.2, True), CONTROLS[2]: (0.3, True)}
    assert risk.separation(marked, measured) == 0.5
    assert risk.separation(marked, measured | {OWL: (0.9, True)}) == 1.0
    assert risk.separation({OWL: "INHERITANCE-RISK"}, measured) is None


def test_a_mark_has_the_standing_of_its_students(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    works = Works(tmp_path)
    data = works.data(works.teacher(works.base("a")))
    other = dataclasses.replace(OWL, seed=2)
    for run, role in ((OWL, "data"), (other, "rows")):
        file = {"adapter_model.safetensors": ("adapter", tensors(a=run.folder))}
        works.put("train", run.folder, file, [("base", "results/bases/a/model.safetensors"), (role, data)])
    graph = open_graph(None, None)
    result = audit(graph)
    known = risk.students(graph, result, [OWL, other, *CONTROLS])
    assert set(known) == {OWL, other}
    assert risk.standings(result, known) == {"INHERITANCE-RISK": ["recorded", "unknown"]}
