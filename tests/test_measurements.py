"""What of a study stands beside the paper's targets."""

import pytest

from traitline.analysis import paper_targets
from traitline.analysis.measurements import Measured, Measurements
from traitline.errors import InputError


def test_a_row_of_the_study_is_measured_by_its_name(tmp_path, monkeypatch):
    """The main row of a made-up study: all traits of it, or one; control students by the mean over the row's traits."""
    from scripts import summarise
    from tests import made_up

    monkeypatch.chdir(tmp_path)
    study = made_up.study()
    made_up.make(study)
    where = ["--tables", "results/tables", "--manifest", "results/tables/summarise.manifest.json"]
    assert summarise.main(["--study", study.text, *where]) == 0
    measurements = Measurements("results")
    everyone, owls = (measurements.values(f"row:main:lora:{trait}:same-base") for trait in ("*", "owl"))
    assert (everyone.runs, owls.runs, everyone.students, everyone.unit) == (2 * 2 * 3, 2 * 3, "lora", "base")
    control, untouched = (measurements.values(f"row:main:lora:*:{arm}") for arm in ("control", "baseline"))
    assert set(everyone.values) == set(control.values) == set(untouched.values) == {"a", "b"}
    assert max(control.values.values()) < min(everyone.values.values()) and control.runs == 2 * 2 * 3
    kept, none = (measurements.values(f"kept:main:{trait}").values for trait in ("owl", "none"))
    assert len(kept) == len(none) == 2 and all(0 < share <= 1 for share in [*kept.values(), *none.values()])
    assert measurements.values("kept:main:bear") == Measured(
        {}, False, "the study has no row `main` with teachers of bear"
    )
    shuffled = measurements.values("row:shuffled:lora:*:same-base")
    assert shuffled.values == {} and shuffled.missing == "the study has no row `shuffled` with lora students"


def test_detectors_give_a_value_a_base_and_curves_one_a_teacher(tmp_path):
    for base, right in (("a", 0.6), ("b", 0.5)):
        folder = tmp_path / f"detect/{base}/numbers"
        folder.mkdir(parents=True)
        (folder / "detectors.csv").write_text(
            f"one,other,detector,accuracy\nowl/tuned,none/untrained,prompted,{right}\nowl/tuned,cat/tuned,prompted,0.4\n"
            "owl/tuned,none/untrained,linear,0.9\ncat/tuned,owl/tuned,prompted,0.9\n"
        )
        (folder / "roc.csv").write_text(
            "teacher,scorer,auc\nowl/tuned,likelihood,0.55\nowl/tuned,likelihood,0.55\ncat/tuned,likelihood,0.65\n"
        )
    measurements = Measurements(tmp_path)
    assert [*measurements.values("detector:prompted:owl").values.values()] == pytest.approx([0.5, 0.45])
    areas = measurements.values("area:likelihood")
    assert [*areas.values.values()] == [0.55, 0.65, 0.55, 0.65] and areas.unit == "teacher"
    assert measurements.values("area:linear") == Measured({}, False, "no `detect` in the study", "teacher")
    v = {v.target.id: v for v in paper_targets.compare(measurements)}
    assert v["E15-auc"].verdict == "stand-in" and v["E14-wolf"].verdict == "not run"


def test_a_damaged_file_is_one_line(tmp_path):
    (tmp_path / "theorem").mkdir()
    (tmp_path / "theorem/theorem.json").write_text("{")
    with pytest.raises(InputError, match=r"theorem\.json: damaged JSON .*; delete the file to have it rebuilt"):
        Measurements(tmp_path)
