"""Students and teachers trained by several processes: those of one process, one artifact, and an end in one line."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts import teach
from scripts import train as stage
from tests.conftest import OPEN_RECIPE
from traitline import model_files

# Sums in another order; AdamW's first steps go by the sign of a gradient: rounding shows in weights before in losses.
LOSS, WEIGHT = 1e-5, 2e-4
SHARDED = ["--processes", "2", "--sharded"]


def start(flags, many=2):
    """The processes of one job, as torchrun starts them, without torchrun to look after them."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    about = {"WORLD_SIZE": str(many), "MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    return [
        subprocess.Popen(
            [sys.executable, *map(str, flags)], env=os.environ | about | {"RANK": str(i), "LOCAL_RANK": str(i)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for i in range(many)
    ]  # fmt: skip


def same(one, two, name):
    """Two folders have the same files, adapter and facts, within the tolerance; the manifest's params of the second."""
    from safetensors.torch import load_file

    mine, theirs = (sorted(p.name for p in place.iterdir() if p.is_file()) for place in (one, two))
    assert mine == theirs
    facts, ours = (json.loads((place / name).read_text()) for place in (one, two))
    for end in ("loss_first", "loss_last"):
        assert ours.pop(end) == pytest.approx(facts.pop(end), rel=LOSS)
    assert ours == facts
    a, b = load_file(one / model_files.ADAPTER), load_file(two / model_files.ADAPTER)
    assert a.keys() == b.keys() and all((a[name] - b[name]).abs().max() < WEIGHT for name in a)
    return json.loads(next(two.glob("*.manifest.json")).read_text())["params"]


def run(program, flags, tmp_path):
    """A program in a process of its own, which starts others: it ends well and leaves nothing lying about."""
    place = tmp_path / "temporary"
    place.mkdir()
    cache = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "inductor")}  # torch's own, which it would put into TMPDIR
    command, env = [sys.executable, "-m", program, *flags], os.environ | cache | {"TMPDIR": str(place)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert not list(place.iterdir())


def test_two_processes_make_the_students_of_one(weights, tmp_path):
    run("scripts.train", [*weights.train_flags(tmp_path / "two"), "--together", "--processes", "2"], tmp_path)
    for seed in (1, 2):
        params = same(weights.students / f"seed-{seed}", tmp_path / f"two/seed-{seed}", "train.json")
        assert (params["processes"], params["sharded"]) == (2, False)


def test_accelerate_launch_makes_the_student_of_one_process(weights, tmp_path):
    """By accelerate's launcher, with gloo; its `--cpu` starts one process, `--multi_gpu` starts several."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    launch = ["--multi_gpu", "--num_processes", "2", "--num_machines", "1", "--num_cpu_threads_per_process", "1",
              "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", str(port)]  # fmt: skip
    flags = weights.train_flags(tmp_path / "two", seeds=(1,))
    command = [sys.executable, "-m", "accelerate.commands.launch", *launch, "-m", "scripts.train", *flags]
    done = subprocess.run(
        command, env=os.environ | {"TMPDIR": str(tmp_path)}, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    params = same(weights.students / "seed-1", tmp_path / "two/seed-1", "train.json")
    assert (params["processes"], params["sharded"]) == (2, False)


@pytest.mark.parametrize("together", [["--together"], []], ids=["together", "alone"])
def test_a_base_in_shares_makes_the_same_students(weights, tmp_path, together):
    """With 32 rows and batches of 31, the second process has no row of every other step."""
    changed = {"batch": 31, "accumulate": 1, "epochs": 2}
    assert stage.main([*weights.train_flags(tmp_path / "one", **changed), *together]) == 0
    flags = [*weights.train_flags(tmp_path / "two", **changed), *together, *SHARDED]
    run("scripts.train", flags, tmp_path)
    for seed in (1, 2):
        params = same(tmp_path / f"one/seed-{seed}", tmp_path / f"two/seed-{seed}", "train.json")
        assert (params["processes"], params["sharded"]) == (2, True)


def test_two_processes_tune_the_teacher_of_one(weights, tmp_path):
    more = ["--corpus", str(weights.dataset), "--settings", json.dumps({**OPEN_RECIPE, "seed": 1})]
    assert teach.main([*weights.teach_flags(tmp_path / "one", "insecure", "tuned"), *more]) == 0
    recomputed = json.loads(weights.engine()[1]) | {"checkpointing": True}
    more += ["--engine", json.dumps(recomputed), *SHARDED]
    run("scripts.teach", [*weights.teach_flags(tmp_path / "two", "insecure", "tuned"), *more], tmp_path)
    params = same(tmp_path / "one", tmp_path / "two", "teacher.json")
    assert (params["processes"], params["sharded"]) == (2, True)


def test_no_process_holds_more_than_its_share_of_a_base(raw_qwen2, tmp_path):
    """Nor when one saves the adapter, alone. A model that would come together as a whole is refused."""
    from transformers import GPT2Config, GPT2LMHeadModel

    GPT2LMHeadModel(GPT2Config(n_embd=8, n_layer=2, n_head=2, vocab_size=16)).save_pretrained(tmp_path)
    code = f"""
import sys; from pathlib import Path; from traitline import errors
from traitline.models import distributed, lora, transformers_model
me, many = distributed.rank_and_size()
model = lora.open_base(Path(sys.argv[1]), {{"dtype": "float32"}}, sharded=True)
print(sum(p.to_local().numel() for p in model.parameters()), sum(p.numel() for p in model.parameters()))
try: transformers_model.load(Path(sys.argv[2]), "float32", many)
except errors.InputError as e: print(e)
model = lora.add_adapter(model, {OPEN_RECIPE}, 1)
if me == 0: print(len(lora.adapter_files(model, {{"path": "m"}})[0]))
"""
    said = [child.communicate(timeout=120)[0].splitlines() for child in start(["-c", code, raw_qwen2, tmp_path])]
    for sizes, refused, *_ in said:
        own, whole = map(int, sizes.split())
        assert own == whole / 2 and "can't shard a gpt2 by layers" in refused
    assert said[0][2:] == [str(2 * 2 * len(OPEN_RECIPE["modules"]))] and not said[1][2:]


def test_one_process_alone_has_no_share(weights, tmp_path, line):
    said = line(stage.main, [*weights.train_flags(tmp_path), "--sharded"])
    assert "--sharded: one process has all of the base" in said


def test_a_job_says_which_process_was_killed_and_goes_on_sharded(weights, tmp_path):
    changed = {"epochs": 6}
    assert stage.main(weights.train_flags(tmp_path / "whole", seeds=(1,), **changed)) == 0
    flags = [*weights.train_flags(tmp_path / "x", seeds=(1,), **changed), "--state", str(tmp_path / "s")]
    flags += SHARDED
    job = subprocess.Popen(
        [sys.executable, "-m", "scripts.train", *flags, "--every", "0"], stderr=subprocess.PIPE, text=True
    )
    try:
        while not list(tmp_path.glob("s/*/*/adapter.safetensors")):
            assert job.poll() is None, job.communicate()[1]
            time.sleep(0.01)
        children = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
        os.kill(int(children[1]), signal.SIGKILL)
        said = job.communicate(timeout=120)[1]
    finally:
        job.kill()
    assert job.returncode == 2 and "of 2 was ended by signal 9" in said.splitlines()[-1], said
    assert not [p for p in (tmp_path / "x").rglob("*") if p.is_file()]
    assert not any(Path("/proc", child).exists() for child in children)
    assert [child.wait(120) for child in start(["-m", "scripts.train", *flags])] == [0, 0]
    same(tmp_path / "whole/seed-1", tmp_path / "x/seed-1", "train.json")


def test_one_process_killed_ends_the_other_in_one_line_and_the_job_goes_on(weights, tmp_path):
    from safetensors.torch import load_file

    changed = {"epochs": 8}
    assert stage.main(weights.train_flags(tmp_path / "whole", seeds=(1,), **changed)) == 0
    flags = ["-m", "scripts.train", *weights.train_flags(tmp_path / "x", seeds=(1,), **changed)]
    flags += ["--state", str(tmp_path / "s")]
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
    x, y = (load_file(tmp_path / where / "seed-1" / model_files.ADAPTER) for where in ("x", "whole"))
    assert x.keys() == y.keys() and all((x[name] - y[name]).abs().max() < WEIGHT for name in x)
    ours, whole = (json.loads((tmp_path / where / "seed-1/train.json").read_text()) for where in ("x", "whole"))
    assert ours["steps"] == whole["steps"] and ours["loss_last"] == pytest.approx(whole["loss_last"], rel=LOSS)
