"""Layout of `results/`: what a label may not be called, and which folders a study fills."""

from pathlib import Path

import pytest
import yaml

from traitline.analysis.tables import COLUMNS
from traitline.study import artifacts
from traitline.study.config import load
from traitline.study.execution import STAGES
from traitline.study.expand import artifact_folders
from traitline.workflow import snakemake_plan

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def study():
    return load(yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8")))


def test_every_stage_has_folders_and_files():
    assert set(artifacts.FOLDERS) == set(artifacts.FILES) == set(STAGES)
    assert set(artifacts.OPTIONAL) <= set(STAGES)


@pytest.mark.parametrize(
    ("table", "label"),
    [
        ("bases", "tables"),
        ("bases", "baseline"),
        ("bases", "sources"),
        ("bases", "report.html"),
        ("bases", "preregistered.jsonl"),
        ("bases", "dataset.jsonl"),
        ("channels", "teacher.json"),
        ("channels", "adapter_model.safetensors"),
        ("datasets", "shards"),
        ("datasets", "judged.json"),
        ("datasets", "mark_divergence.manifest.json"),
        ("recipes", "influence.json"),
        ("evals", "train.manifest.json"),
        ("evals", "context.jsonl"),
    ],
)
def test_a_label_is_not_the_name_of_what_a_stage_puts_beside_it(table, label):
    assert label in artifacts.TAKEN[table]


@pytest.mark.parametrize(("table", "label"), [("bases", "a"), ("bases", "shards"), ("channels", "tables")])
def test_names_of_other_folders_are_free(table, label):
    assert label not in artifacts.TAKEN[table]


def test_every_job_of_the_study_writes_where_the_layout_says(study, monkeypatch):
    monkeypatch.chdir(ROOT)
    places = set(artifact_folders(study))
    for job in snakemake_plan.read().jobs:
        for path in job.manifests:
            folder, _, name = path.rpartition("/")
            stage = name.removesuffix(".manifest.json")
            assert (stage, folder) in places, path
        names = {path.rpartition("/")[2] for path in job.outputs} - {artifacts.manifest(stage)}
        tables = {f"{table}.csv" for table in COLUMNS} if stage == "summarise" else set()
        assert names <= {*artifacts.FILES[stage], *artifacts.OPTIONAL.get(stage, ()), *tables}, job.name
