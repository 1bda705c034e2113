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

PORTABLE = "x86_64 aten AVX2 openblas Haswell mkl COMPATIBLE"
OTHER_PROCESSOR = "EPYC-Milan"  # another maker, without AVX-512
# Base, teacher, dataset and student of the very small study of these tests.
GOLDEN = ["bf79a3f7ebf08fc9", "086771396371545a", "84cf4cb2168769ed", "aefbeb125cc76a5d"]
STEPS = "75491dd36e3c9bee9ec88bcb3ca2bfa4fa2a400a093fc510017ecb4ccf03dd99"
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


@pytest.mark.parametrize(
    "path", [p for p in sorted(Path("scripts").glob("*.py")) if "stage.threads(" in p.read_text()], ids=lambda p: p.stem
)
def test_stages_that_compute_choose_their_kernels(path):
    assert "kernels.set_up(args.threads" in path.read_text(), "else its last bits are those of the processor"


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


CHOICES = {*kernels.ATEN, *kernels.OPENBLAS}


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process whose kernels are not chosen yet."""
    free = {name: value for name, value in os.environ.items() if name not in CHOICES}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=free)


def test_kernels_cannot_be_chosen_too_late():
    late = python("import torch; torch.randn(99).exp(); from traitline.provenance import kernels; kernels.set_up(1)")
    native = python(
        "import torch; from traitline.provenance import kernels\n"
        "print(torch.backends.cpu.get_cpu_capability(), kernels.openblas_core())"
    )
    if native.stdout.split() in (["AVX2", "Haswell"], ["DEFAULT", "Haswell"]):
        assert late.returncode == 0, "this processor has no other kernels"
    else:
        assert "too late to choose" in late.stderr


@need_avx2
def test_openblas_cannot_be_chosen_too_late():
    late = python("import os; os.environ['OPENBLAS_CORETYPE'] = 'Sandybridge'\nimport numpy\n"
                  "from traitline.provenance import kernels; kernels.set_up(1)")  # fmt: skip
    assert "numpy was imported before" in late.stderr and "(it has Sandybridge)" in late.stderr


@need_avx2
def test_a_program_chooses_openblas_before_numpy_is_there():
    done = python("import argparse\nfrom traitline.provenance import kernels, stage\n"
                  "def work(args):\n import numpy; print(kernels.openblas_core())\n"
                  "stage.run(argparse.ArgumentParser(), work, [])")  # fmt: skip
    assert done.stdout == "Haswell\n", done.stderr
