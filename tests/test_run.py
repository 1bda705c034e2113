"""`traitline run`: what is wrong with a configuration is one line that names its file, before Snakemake starts."""

import re
import subprocess
import sys

import pytest

from traitline.errors import InputError
from traitline.workflow.run import command

OVERLAYS = {
    "broken.yaml": ("sample: {temperature: [\n", r"^broken\.yaml:2: not YAML"),
    "tabs.yaml": ("sample:\n\ttemperature: 1\n", r"^tabs\.yaml:2: not YAML"),
    "twice.yaml": ("study: a\nstudy: b\n", r"^twice\.yaml:2: "),
    "list.yaml": ("- a\n", r"^list\.yaml"),
    "grows.yaml": (
        "a0: &a0 {k: 1, l: 2}\n" + "".join(f"a{i}: &a{i} {{k: *a{i - 1}, l: *a{i - 1}}}\n" for i in range(1, 40)),
        r"^grows\.yaml: not plain data: more than 100,000 values, aliases counted",
    ),
    "itself.yaml": ("worlds: &a {one: *a}\n", r"^itself\.yaml: not plain data: the alias \*a holds itself"),
    "nowhere.yaml": (None, r"^nowhere\.yaml: no such file"),
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a workflow and overlays."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Snakefile").touch()
    (tmp_path / "config.yaml").write_text("study: x\n")
    (tmp_path / "good.yaml").write_text("study: y\n")
    for name, (text, _) in OVERLAYS.items():
        if text is not None:
            (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_wrong_overlay_is_named_with_its_line(here, name):
    with pytest.raises(InputError) as e:
        command(["good.yaml", name])
    assert re.search(OVERLAYS[name][1], str(e.value)) and "\n" not in str(e.value)


def test_a_study_is_run_by_snakemake(here):
    snakemake = [sys.executable, "-m", "snakemake"]
    assert command([]) == [*snakemake, "--cores", "all"]
    assert command(["good.yaml"], cores="2", dry_run=True) == [
        *snakemake, "--cores", "2", "--dry-run", "--configfile", "good.yaml",
    ]  # fmt: skip
    assert command([], profile="slurm") == [*snakemake, "--profile", "slurm"]


def test_the_command_plans_a_real_workflow_and_refuses_a_wrong_one(clone):
    def run(*words):
        done = [sys.executable, "-m", "traitline.cli", "run", *words]
        return subprocess.run(done, cwd=clone.root, capture_output=True, text=True, check=False)

    done = run("-n")
    assert done.returncode == 0 and "Nothing to be done" in done.stdout + done.stderr
    clone.path("over.yaml").write_text("recipes:\n  lora:\n    lr: 3e-3\n")
    done = run("over.yaml", "-n")
    assert "over.yaml:3: recipes.lora.lr: YAML reads 3e-3 as text; write 3.0e-3" in done.stderr and done.returncode
    done = run("nowhere.yaml")
    assert done.returncode == 2 and done.stderr.startswith("traitline: error: nowhere.yaml: no such file")
    with open(clone.path("config.yaml"), "a", encoding="utf-8") as file:
        file.write("x: [\n")
    done = clone.snakemake("-n")
    assert done.returncode and re.search(r"^traitline: error: config\.yaml:\d+: not YAML", done.stderr, re.M)
    assert "WorkflowError" not in done.stderr
