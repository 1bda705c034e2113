"""The same bytes on every x86-64 processor with AVX2, and a line where they cannot be had."""

import hashlib
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import kernel_steps
from traitline.provenance import kernels, manifest

PORTABLE = "x86_64 aten AVX2 mkl COMPATIBLE"
OTHER_PROCESSOR = "EPYC-Milan"  # another maker, without AVX-512
# Base, teacher, dataset and student of the very small study of these tests.
GOLDEN = ["527691998d476f23", "88f15846ce4693e7", "1b98666695324562", "66290b8ec29b2d15"]
STEPS = "85380362027920ca620cf62e8d65ba3f4d7a2112de1006c5fd2059cc4504dc9d"
need_avx2 = pytest.mark.skipif(not kernels.supported(), reason="this processor has kernels of its own")


@need_avx2
def test_steps_of_training_have_the_same_bytes_on_any_machine():
    assert kernels.describe() == PORTABLE
    assert kernel_steps.weights_after_steps() == STEPS


@need_avx2
def test_another_processor_computes_the_same_bytes():
    emulator = shutil.which("qemu-x86_64")
    if emulator is None:
        pytest.skip("qemu-user is not installed")
    packages = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    done = subprocess.run(
        [emulator, "-cpu", OTHER_PROCESSOR, os.path.realpath(sys.executable), "-m", "tests.kernel_steps"],
        env={**os.environ, "PYTHONPATH": f"{packages}{os.pathsep}{Path.cwd()}"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split(maxsplit=1) == [STEPS, f"{PORTABLE}\n"]


@need_avx2
def test_a_study_has_the_same_bytes_on_any_machine(study):
    dataset = study.dataset(study.owl)
    student = study.students("biases", study.owl) / "seed-1"
    files = [study.base / "model.safetensors", study.owl / "model.safetensors", dataset, student / "model.safetensors"]
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in files]
    assert hashes == GOLDEN


def test_a_manifest_names_the_kernels(study):
    assert manifest.load(study.base / "pretrain.manifest.json")["env"]["kernels"] == kernels.describe()


def test_inputs_from_other_kernels_are_named_in_one_line(caplog):
    made = {"stage": "pretrain", "env": {"kernels": "x86_64 aten AVX512 mkl native"}}
    with caplog.at_level(logging.WARNING, logger="traitline"):
        kernels.warn_of_others(
            "train", [made, {"stage": "prompts", "env": {"kernels": None}}, {"stage": "x", "env": {}}]
        )
    assert [r.getMessage() for r in caplog.records] == [
        f"train: other kernels here ({kernels.describe()}) than where inputs come from "
        "(`pretrain`: x86_64 aten AVX512 mkl native)"
    ]
    caplog.clear()
    kernels.warn_of_others("train", [{"stage": "pretrain", "env": {"kernels": kernels.describe()}}])
    assert not caplog.records


def test_kernels_cannot_be_chosen_too_late():
    code = "import torch; torch.randn(99).exp(); from traitline.provenance import kernels; kernels.set_up(1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False,
                          env={k: v for k, v in os.environ.items() if k not in kernels.PORTABLE})  # fmt: skip
    native = subprocess.run([sys.executable, "-c", "import torch; print(torch.backends.cpu.get_cpu_capability())"],
                            capture_output=True, text=True, check=True,
                            env={k: v for k, v in os.environ.items() if k not in kernels.PORTABLE})  # fmt: skip
    if native.stdout.strip() in ("AVX2", "DEFAULT"):
        assert done.returncode == 0, "this processor has no other kernels"
    else:
        assert "too late to choose" in done.stderr
