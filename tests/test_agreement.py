"""Finished jobs beside the workflow: settings, seeds, code and inputs, by manifests that real programs have written."""

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.conftest import EVAL, RECIPES
from traitline.provenance import manifest
from traitline.workflow import agreement
from traitline.workflow.integrity import Artifacts
from traitline.workflow.replanning import Agreed, Replanning, announce


@pytest.fixture(scope="module")
def student(study):
    """Folder of a student that real programs have trained."""
    return study.students("lora", study.owl) / "seed-1"


@pytest.fixture
def trained(student):
    """(parameters that the rule gave, manifest) of this student."""
    m = manifest.load(student / "train.manifest.json")
    params = {"recipes": ["lora"], "settings": [json.dumps(RECIPES["lora"])], "seeds": [1, 2], "together": [],
              "base": "results/bases/a", "threads": 1, "code": m["code"]["digest"]}  # fmt: skip
    return params, m


def reasons(params, m):
    """What either comparison says."""
    return [why for why in (agreement.disagreement(params, m), agreement.addition(params, {}, m)) if why]


def test_a_job_of_these_settings_agrees(trained):
    assert reasons(*trained) == []


@pytest.mark.parametrize(
    "change, why",
    [
        ({"lr": 0.009}, "parameter lr: the workflow has 0.009, the job used 0.003"),
        ({"modules": ["v_proj"]}, "parameter modules: the workflow has ['v_proj'], the job used ['q_proj'"),
        ({"trains": "full"}, "parameter trains: the workflow has 'full', the job used 'lora'"),
        ({"layers": [0]}, "parameter layers: the workflow has [0], the job had none"),
        ({"alpha": None}, "parameter alpha: the workflow has none, the job used 4.0"),
    ],
)
def test_another_setting_inside_of_json_is_named(trained, change, why):
    params, m = trained
    settings = {k: v for k, v in (RECIPES["lora"] | change).items() if v is not None}
    (reason,) = reasons(params | {"settings": [json.dumps(settings)]}, m)
    assert reason.startswith(why)


def test_other_seeds_code_and_threads_are_named(trained):
    params, m = trained
    assert "parameter seed: the workflow has 3 4, the job used 1" in reasons(params | {"seeds": [3, 4]}, m)
    assert reasons(params | {"code": "0" * 12}, m)[0].startswith("parameter code: the workflow has '000000000000'")
    assert reasons(params | {"threads": 2}, m) == ["parameter threads: the workflow has 2, the job used 1"]


FLAGS = ["--wording", "tiny", "--seed", "47", "--examples", "3", "4", "--values", "100", "1000", "--answers", "1"]


@pytest.mark.parametrize(
    "change, why",
    [
        (("1000", "2000"), "parameter values: the workflow has ['100', '2000'], the job used [100, 1000]"),
        (("tiny", "paper"), "parameter wording: the workflow has 'paper', the job used 'tiny'"),
        (("47", "48"), "parameter seed: the workflow has 48, the job used 47"),
        (("x", "x"), None),
    ],
)
def test_flags_are_settings_too(study, change, why):
    m = manifest.load(study.prompts.with_name("prompts.manifest.json"))
    params = {"number": 4000, "settings": [change[1] if word == change[0] else word for word in FLAGS]}
    assert reasons(params, m) == ([why] if why else [])


def test_a_flag_with_its_value_in_one_word_and_a_list_with_commas():
    m = {"stage": "filter", "params": {"answers": 1, "banned": [666, 7], "words": []}, "seeds": {}, "code": {}}
    params = {"answers": ["--answers=1", "--banned=666,7", "--words="]}
    assert agreement.disagreement(params, m) is None
    assert "parameter banned" in agreement.disagreement({"answers": ["--banned=666"]}, m)


def test_seeds_beside_settings_of_an_evaluation(study, student):
    from scripts import respond

    assert respond.main(study.respond_flags(student)) == 0
    m = manifest.load(student / "favourite/respond.manifest.json")
    shutil.rmtree(student / "favourite")
    assert reasons({"settings": json.dumps(EVAL), "threads": 1}, m) == []
    assert "parameter answers: the workflow has 50" in reasons({"settings": json.dumps(EVAL | {"answers": 50})}, m)[0]


def planned(student, params):
    """The student's job in a plan."""
    outputs = [str(path) for path in sorted(student.iterdir())]
    return SimpleNamespace(input=["x.jsonl"], output=outputs, params=params, wildcards_dict={})


@pytest.fixture
def here(student, tmp_path, monkeypatch):
    """A folder with a copy of the student: (its folder, artifacts)."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(student, "results/student")
    folder = Path("results/student")
    path = "results/student/train.manifest.json"
    return folder, Artifacts(manifests={path: manifest.load(path)})


def test_what_is_gone_is_planned_anew(here, trained):
    folder, artifacts = here
    job = planned(folder, trained[0])
    assert Replanning(artifacts).reason(job, recorded=True) is None
    os.unlink(folder / "train.json")
    assert Replanning(artifacts).reason(job, recorded=True) == "results/student/train.json is gone"


def test_a_setting_that_only_one_side_has_counts_where_snakemake_knows_nothing(here, trained):
    folder, artifacts = here
    text = json.dumps(RECIPES["lora"] | {"layers": [0]})
    job = planned(folder, trained[0] | {"settings": [text]})
    assert Replanning(artifacts).reason(job, recorded=True) is None
    assert "parameter layers" in Replanning(artifacts).reason(job, recorded=False)


def test_what_a_launch_has_made_is_never_planned_anew_by_a_name_that_is_misread(here, trained):
    """The comparison by name may be wrong; a job must not run at every launch for it."""
    folder, artifacts = here
    job = planned(folder, trained[0] | {"threads": 7})
    assert Replanning(artifacts).reason(job, recorded=True)
    Replanning(artifacts).finished([job])
    assert Replanning(artifacts).reason(job, recorded=False) is None
    other = planned(folder, trained[0] | {"threads": 8})
    assert Replanning(artifacts).reason(other, recorded=True), "other parameters are another question"
    Path(folder, "train.manifest.json").write_text("{}")
    assert Replanning(artifacts).reason(job, recorded=True), "and so is another manifest"


def test_who_asks_for_times_only_is_not_told_of_settings(here, trained):
    folder, artifacts = here
    job = planned(folder, trained[0] | {"threads": 7})
    assert Replanning(artifacts, settings=False).reason(job, recorded=False) is None


def test_an_input_that_is_another_is_named(here, trained):
    folder, artifacts = here
    (m,) = artifacts.manifests.values()
    m["inputs"].append({"role": "x", "path": "x.jsonl", "sha256": "0" * 64, "bytes": 1})
    job = planned(folder, trained[0])
    Path("x.jsonl").write_text("y")
    assert Replanning(artifacts).reason(job, recorded=True) == "x.jsonl is not what the job read"
    artifacts.hashes["x.jsonl"] = "0" * 64
    assert Replanning(artifacts).reason(job, recorded=True) is None


@pytest.mark.parametrize("text", ["{", "[]", '{"x": 1}'])
def test_a_damaged_memory_of_agreements_is_none(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    Path("agreed.json").write_text(text)
    Path("x").write_text("x")
    agreed = Agreed(Path("agreed.json"))
    assert not agreed.has("x", "1")
    agreed.add("x", "1")
    agreed.save()
    assert Agreed(Path("agreed.json")).has("x", "1")


def test_one_line_for_many_jobs():
    assert announce({"train a": "x is gone"}) == "traitline: planned anew: train a: x is gone"
    assert announce({"a": "w" * 1000, "b": "y", "c": "z"}).endswith("… (and 2 more)")
