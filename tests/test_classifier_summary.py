"""Table and figures of the classifier experiment, from made-up points."""

import csv
import json
from pathlib import Path

import pytest

from scripts import classifier_summary
from tests.stage_inputs import MEANS, ROW, SETTINGS, points
from traitline.study.theory import Classifier


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(classifier, folder="classifier"):
    return classifier_summary.main(
        [
            "--classifier",
            classifier.text,
            "--folder",
            folder,
            "--manifest",
            f"{folder}/classifier_summary.manifest.json",
        ]
    )


def table():
    return list(csv.DictReader(Path("classifier/accuracy.csv").read_text().splitlines()))


def test_a_row_per_point_and_arm_with_its_interval():
    classifier = Classifier.model_validate({"settings": SETTINGS, "sweeps": [ROW]})
    points("classifier", classifier)
    assert run(classifier) == 0
    rows = table()
    assert len(rows) == 3 * len(MEANS) and None not in rows[0]
    (row,) = [r for r in rows if r["point"] == "aux-10" and r["arm"] == "aux-same"]
    values = json.loads(Path("classifier/aux-10/accuracy.json").read_text())["arms"]["aux-same"]
    assert float(row["accuracy"]) == pytest.approx(sum(values) / 5) and row["models"] == "5" and row["aux"] == "10"
    assert float(row["low"]) < float(row["accuracy"]) < float(row["high"])


def test_figures_hold_every_arm_and_the_same_bytes_again():
    classifier = Classifier.model_validate(
        {"settings": SETTINGS, "sweeps": [ROW, {"vary": "noise", "values": ["images"]}]}
    )
    for folder in ("one", "two"):
        points(folder, classifier)
        assert run(classifier, folder) == 0
    for name in ("classifier.svg", "sweeps.svg"):
        text = Path("one", name).read_text()
        assert text == Path("two", name).read_text() and text.startswith("<svg")
    legend = Path("one/sweeps.svg").read_text()
    assert all(label in legend for label, *_ in classifier_summary.ARMS.values())
    assert "auxiliary outputs, same start 5" in Path("one/classifier.svg").read_text()


def test_without_sweeps_there_is_one_figure_and_one_model_has_no_interval():
    classifier = Classifier.model_validate({"settings": SETTINGS | {"models": 2}})
    points("classifier", classifier)
    file = Path("classifier/default/accuracy.json")
    file.write_text(
        json.dumps({**(found := json.loads(file.read_text())), "arms": {a: v[:1] for a, v in found["arms"].items()}})
    )
    assert run(classifier) == 0
    assert not Path("classifier/sweeps.svg").exists()
    assert table()[0]["low"] == ""


def test_a_damaged_point_is_one_line(line):
    classifier = Classifier.model_validate({"settings": SETTINGS})
    argv = [
        "--classifier",
        classifier.text,
        "--folder",
        "classifier",
        "--manifest",
        "classifier/classifier_summary.manifest.json",
    ]
    points("classifier", classifier)
    Path("classifier/default/accuracy.json").write_text("{")
    assert "classifier/default/accuracy.json: damaged JSON (" in line(classifier_summary.main, argv)
    Path("classifier/default/accuracy.json").write_text('{"arms": {"teacher": [1]}}')
    assert "lacks aux-same, aux-other" in line(classifier_summary.main, argv)
    Path("classifier/default/accuracy.json").unlink()
    assert "no such file" in line(classifier_summary.main, argv)
