"""Copies of the repository with stub programs, in which whole studies run in seconds."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import yaml

from traitline.study.execution import STAGES
from traitline.workflow.warm_start import COLD

ROOT = Path(__file__).resolve().parent.parent


class Clone:
    """A copy of the repository with stub programs and a small study: two bases, trait owl, two recipes, two seeds.

    Its jobs start cold, because stubs never use the torch that a warm start would import first.
    """

    def __init__(self, root, cold=True):
        self.root = root
        self.environment = {COLD: "1"} if cold else {}

    def path(self, name):
        return self.root / name

    def edit(self, change):
        """Change the configuration."""
        file = self.path("config.yaml")
        study = yaml.safe_load(file.read_text(encoding="utf-8"))
        change(study)
        file.write_text(yaml.safe_dump(study), encoding="utf-8")

    def snakemake(self, *args):
        return subprocess.run(
            [sys.executable, "-m", "snakemake", *args],
            cwd=self.root, env={**os.environ, **self.environment}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def plan(self, *args):
        """Jobs that a dry run counts, by rule."""
        done = self.snakemake("-n", *args)
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        if "Nothing to be done" in output:
            return Counter()
        table = re.search(r"^job +count\n[- ]+\n(.*?)^total", output, re.M | re.S)
        return Counter({rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", table[1], re.M)})

    def run(self, *args):
        done = self.snakemake("--cores", "2", *args)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr


def small(study):
    """The tiny study cut down."""
    study["experiments"] = [study["experiments"][0] | {
        "bases": ["a"], "students": ["a", "b"], "traits": ["owl"], "recipes": ["lora", "biases"], "seeds": [1, 2],
        "dataset": "plain", "others": None,
    }]  # fmt: skip
    study["execution"]["stack"] = 2
    study["decoder"] = None


def tiny(study):
    """The tiny study cut down until its real programs take seconds; its figures mean nothing."""
    small(study)
    study["experiments"][0] |= {"students": ["a"], "recipes": ["lora"]}
    study["decoder"] = {"rows": [20], "draws": 2, "splits": 20}
    study["worlds"]["one"] |= {"rows": 3000, "numbers": 0.5}
    study["pretrain"] |= {"width": 24, "heads": 2, "mlp": 48, "std": 0.1, "batch": 40, "lr": 1.2e-2}
    study["channels"]["numbers"]["prompts"] = 200
    study["teach"]["max_steps"] = 10
    study["datasets"]["plain"]["rows"] = 20
    study["recipes"]["lora"] |= {"epochs": 1, "batch": 32}


def copy(root, *folders):
    """Copy what defines the workflow, and these folders."""
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(ROOT / name, root)
    for name in ("rules", "envs", "traitline", "report", *folders):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))


def make(root):
    """A clone whose study has run."""
    copy(root)
    (root / "scripts").mkdir()
    (root / "scripts/__init__.py").touch()
    for stage in STAGES:
        shutil.copy(ROOT / "tests/stub.py", root / "scripts" / f"{stage}.py")
    clone = Clone(root)
    clone.edit(small)
    output = clone.run()
    assert "report: results/report.html" in output
    return clone
