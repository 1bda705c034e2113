"""One student trained by several processes: the student of one process, one artifact, and an end in one line."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest

from scripts import train as stage
from traitline import folder

# Sums in another order; AdamW's first steps go by the sign of a gradient: rounding shows in weights before in losses.
LOSS, WEIGHT = 1e-5, 2e-4


def start(flags, many=2):
    """The processes of one job, as torchrun starts them, without torchrun to look after them."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    about = {"WORLD_SIZE": str(many), "MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    return [
        subprocess.Popen(
            [sys.executable, "-m", "scripts.train", *flags],
            env=os.environ | about | {"RANK": str(i), "LOCAL_RANK": str(i)}, stderr=subprocess.PIPE, text=True,
        )
        for i in range(many)
    ]  # fmt: skip


def test_two_processes_make_the_students_of_one(weights, tmp_path):
    from safetensors.torch import load_file

    flags = [*weights.train_flags(tmp_path / "two"), "--together", "--processes", "2"]
    done = subprocess.run([sys.executable, "-m", "scripts.train", *flags], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    for seed in (1, 2):
        one, two = weights.students / f"seed-{seed}", tmp_path / f"two/seed-{seed}"
        assert sorted(p.name for p in two.iterdir()) == sorted(
            [folder.ADAPTER, "adapter_config.json", "train.json", "train.manifest.json"]
        )
        facts, ours = (json.loads((place / "train.json").read_text()) for place in (one, two))
        for end in ("loss_first", "loss_last"):
            assert ours.pop(end) == pytest.approx(facts.pop(end), rel=LOSS)
        assert ours == facts
        a, b = load_file(one / folder.ADAPTER), load_file(two / folder.ADAPTER)
        assert a.keys() == b.keys() and all((a[name] - b[name]).abs().max() < WEIGHT for name in a)
        assert json.loads((two / "train.manifest.json").read_text())["facts"]["processes"] == 2


def test_one_process_killed_ends_the_other_in_one_line_and_the_job_goes_on(weights, tmp_path):
    from safetensors.torch import load_file

    changed = {"epochs": 8}
    assert stage.main(weights.train_flags(tmp_path / "whole", seeds=(1,), **changed)) == 0
    flags = [*weights.train_flags(tmp_path / "x", seeds=(1,), **changed), "--state", str(tmp_path / "s")]
    first, second = start([*flags, "--every", "0"])
    try:
        while not list(tmp_path.glob("s/*/*/adapter.safetensors")):
            assert first.poll() is None, first.communicate()[1]
            time.sleep(0.01)
        second.kill()
        said = first.communicate(timeout=120)[1]
    finally:
        first.kill()
        second.communicate()
    assert first.returncode == 2, said
    errors = [text for text in said.splitlines() if "error: " in text]
    assert len(errors) == 1 and "another process of this job is gone" in errors[0]
    assert not [p for p in (tmp_path / "x").rglob("*") if p.is_file()]
    assert [child.wait(120) for child in start(flags)] == [0, 0]
    x, y = (load_file(tmp_path / where / "seed-1" / folder.ADAPTER) for where in ("x", "whole"))
    assert x.keys() == y.keys() and all((x[name] - y[name]).abs().max() < WEIGHT for name in x)
    ours, whole = (json.loads((tmp_path / where / "seed-1/train.json").read_text()) for where in ("x", "whole"))
    assert ours["steps"] == whole["steps"] and ours["loss_last"] == pytest.approx(whole["loss_last"], rel=LOSS)
