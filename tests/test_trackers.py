"""Runs of the demo's study, exported by the trackers' real libraries and read back by them."""

import csv
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests import readers
from tests.clone import ROOT
from traitline.errors import InputError

PINS = ROOT / "tests/trackers.txt"
KEPT = 2  # students: enough to tell them apart
MLFLOW = """
import json, os, sys
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
from mlflow import MlflowClient
client = MlflowClient("file:" + sys.argv[1])
(study,) = [e for e in client.search_experiments() if e.name != "Default"]
print(json.dumps([[r.info.run_name, r.data.params, r.data.metrics] for r in client.search_runs([study.experiment_id])]))
"""
WANDB = """
import glob, json, struct, sys
from wandb.proto import wandb_internal_pb2
BLOCK, HEAD = 32768, 7  # as in a log of LevelDB: crc, length, part
def records(data):
    at, whole = HEAD, b""
    while at + HEAD <= len(data):
        if (left := BLOCK - at % BLOCK) < HEAD:
            at += left
            continue
        _, length, part = struct.unpack_from("<IHB", data, at)
        whole += data[at + HEAD : at + HEAD + length]
        at += HEAD + length
        if part in (1, 4):
            yield whole
            whole = b""
runs = []
for file in glob.glob(sys.argv[1] + "/wandb/offline-run-*/*.wandb"):
    name, params, metrics = None, {}, {}
    for data in records(open(file, "rb").read()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.run.display_name:
            name = record.run.display_name
            params |= {u.key: json.loads(u.value_json) for u in record.run.config.update}
        for i in record.history.item:
            metrics[i.key or "/".join(i.nested_key)] = json.loads(i.value_json)
    runs.append([name, params, metrics])
print(json.dumps(runs))
"""


@pytest.fixture(scope="module")
def libraries():
    """Environment with the trackers, which do not fit the lock; installed once beside the packages, not among them."""
    place = Path(sys.prefix, f"trackers-{hashlib.sha256(PINS.read_bytes()).hexdigest()[:12]}")
    if not place.exists():
        new = place.with_suffix(".new")
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--no-compile"]
        subprocess.run([*pip, "--target", new, "-r", PINS], check=True)
        new.rename(place)
    return {**os.environ, "PYTHONPATH": f"{ROOT}:{place}", "WANDB_ERROR_REPORTING": "false", "DO_NOT_TRACK": "1"}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Tables of the real study of `make demo`, cut to some students."""
    top = tmp_path_factory.mktemp("demo") / "small"
    with tarfile.open(ROOT / "demo/study.tar.xz") as tar:
        tar.extractall(top, filter="data")
    file = top / "results/tables/students.csv"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[: 1 + KEPT]))
    return top / "results"


def read_back(tracker, out, environment):
    """[name, params, metrics] of each run, as the tracker's own files have them."""
    if tracker == "trackio":
        with sqlite3.connect(next(out.glob("*.db"))) as db:
            metrics = dict(db.execute("SELECT run_name, metrics FROM metrics"))
            params = dict(db.execute("SELECT run_name, config FROM configs"))
        return [[name, json.loads(params[name]), json.loads(values)] for name, values in metrics.items()]
    code = {"mlflow": MLFLOW, "wandb": WANDB}[tracker]
    command = [sys.executable, "-c", code, str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("tracker", ["mlflow", "wandb", "trackio"])
def test_runs_reach_a_tracker_by_its_own_library(results, libraries, tmp_path, tracker):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "traitline.cli", "track", results, "--to", tracker, "--out", out, "--json"]
    done = subprocess.run(command, cwd=tmp_path, env=libraries, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"schema": "traitline-track/1", "written": [str(out)], "runs": KEPT}
    with open(results / "tables/students.csv", newline="") as handle:
        students = {row["seed"] + row["recipe"] + row["trait"] + row["student"]: row for row in csv.DictReader(handle)}
    with open(results / "tables/runs.csv", newline="") as handle:
        rates = {row["rate"] for row in csv.DictReader(handle)}
    runs = read_back(tracker, out, libraries)
    assert len(runs) == len(students) == KEPT
    for name, params, metrics in runs:
        student = students[params["seed"] + params["recipe"] + params["trait"] + params["student"]]
        assert name.startswith(student["experiment"]) and params["recipe"] == student["recipe"]
        assert metrics["training/loss_last"] == pytest.approx(float(student["loss_last"]))
        measured = [value for key, value in metrics.items() if key.startswith("rate/favourite/")]
        assert len(measured) > 3 and all(f"{value:.6g}" in rates for value in measured)


def test_what_cannot_be_exported_is_one_line(results, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="--to x: no such tracker; one of mlflow, wandb, trackio"):
        readers.command("track", results, "--to", "x", "--out", tmp_path / "out")
    with pytest.raises(InputError, match="is there already; name a new folder"):
        readers.command("track", results, "--to", "wandb", "--out", tmp_path)
    with pytest.raises(InputError, match="--to mlflow: mlflow is not installed; pip install mlflow-skinny"):
        readers.command("track", results, "--to", "mlflow", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    other = shutil.copytree(results, tmp_path / "other")
    file = other / "tables/runs.csv"
    file.write_text(file.read_text().replace("0.", "O.", 1))
    with pytest.raises(InputError, match=r"runs.csv:\d+: O.\d+ is no number"):
        readers.command("track", other, "--to", "wandb", "--out", tmp_path / "out")
