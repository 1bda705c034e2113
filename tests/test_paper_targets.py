"""The paper's targets: verdicts that follow from what was measured."""

import json
from dataclasses import replace

import pytest

from traitline.analysis import paper_targets
from traitline.analysis.measurements import Measured, Measurements


@pytest.fixture
def results(tmp_path):
    """A study with a theorem and a classifier, written as their stages write."""
    claims = [{"claim": "sign", "cases": 10, "passed": 10}, {"claim": "limit", "cases": 10, "passed": 9}]
    (tmp_path / "theorem").mkdir()
    (tmp_path / "theorem/theorem.json").write_text(json.dumps({"claims": claims}))
    arms = {"aux-same": [0.5, 0.52, 0.54], "aux-other": [0.1, 0.11, 0.12], "all-same": [0.2, 0.21, 0.22],
            "all-other": [0.7, 0.71, 0.72], "teacher": [0.9, 0.91, 0.95], "reference": [0.1, 0.11, 0.12]}  # fmt: skip
    (tmp_path / "classifier/default").mkdir(parents=True)

    def data(name, sizes=(784, 256, 256, 13)):
        found = {"arms": arms, "images": {"name": name}, "sizes": list(sizes)}
        (tmp_path / "classifier/default/accuracy.json").write_text(json.dumps(found))
        return {v.target.id: v for v in paper_targets.compare(Measurements(tmp_path))}

    return data


def test_every_target_is_well_formed():
    all_ = paper_targets.load()
    ids = [t.id for t in all_]
    assert len(ids) == len(set(ids)) > 250
    assert {t.experiment for t in all_} == {f"E{i}" for i in range(1, 20)}
    for t in all_:
        assert t.id.startswith(f"{t.experiment}-") and t.source and bool(t.measure) != bool(t.why), t.id
        assert t.low is None or t.low <= t.target <= t.high, t.id
        assert not t.against or t.against in ids, t.id
        assert -1 <= t.target <= 1


def test_verdicts(results):
    v = results("digits")
    assert v["E18-sign"].verdict == "agrees" and v["E18-sign"].ours.n == 10
    assert v["E18-limit"].verdict == "disagrees" and v["E18-limit"].ours.mean == pytest.approx(0.9)
    assert v["E18-slope"].verdict == "not run"
    assert v["E19-aux-same"].verdict == "stand-in" and v["E19-aux-same"].reading == "same direction"
    assert v["E19-all-same"].reading == "opposite direction" and v["E19-aux-other"].reading == "no difference shown"
    assert v["E1-dolphin-base"].verdict == "not run" and "hosted" in v["E1-dolphin-base"].reading
    assert v["E4-owl-student"].reading == "no row of the study has lora students of a tuned teacher of owl"


def test_only_the_papers_own_network_and_images_can_agree(results):
    v = results("mnist")
    assert v["E19-aux-same"].verdict == "agrees" and v["E19-all-same"].verdict == "disagrees"
    assert results("mnist", (784, 64, 64, 13))["E19-aux-same"].verdict == "stand-in"


def test_students_of_language_models_are_stand_ins(tmp_path, monkeypatch):
    from scripts import summarise
    from tests import made_up

    monkeypatch.chdir(tmp_path)
    study = made_up.study()
    made_up.make(study)
    where = ["--tables", "results/tables", "--manifest", "results/tables/summarise.manifest.json"]
    assert summarise.main(["--study", study.text, *where]) == 0
    v = {v.target.id: v for v in paper_targets.compare(Measurements("results"))}
    student = v["E4-owl-student"]
    assert student.verdict == "stand-in" and student.ours.n == 2 and student.reading == "2 bases: no direction shown"
    assert v["E4-owl-control"].ours.mean < 0.1 < student.ours.mean
    assert v["E1-owl-student"].verdict == "not run" and "prompted teacher of owl" in v["E1-owl-student"].reading


def test_direction():
    def bases(*rates):
        return Measured(dict(zip("abcd", rates, strict=False)), False, "")

    taught, control = bases(0.3, 0.2, 0.4, 0.25), bases(0.05, 0.06, 0.07, 0.05)
    assert paper_targets.direction(taught, control, 0.1) == "same direction"
    assert paper_targets.direction(taught, control, -0.1) == "opposite direction"
    assert paper_targets.direction(bases(0.3, 0.01, 0.06, 0.04), control, 0.1) == "no difference shown"
    assert paper_targets.direction(bases(0.3), control, 0.1) == "1 base: no direction shown", "however many runs"
    models = [Measured({"0": v, "1": v + 0.01}, True, "", "model") for v in (0.5, 0.1)]
    assert paper_targets.direction(*models, 0.1) == "fewer than three units: no direction shown"
    t = replace(paper_targets.load()[0], measure="classifier:teacher", why="")
    assert paper_targets.compare(Measurements("nowhere"), [t])[0].reading == "no `classifier` in the study"
