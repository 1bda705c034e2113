"""Others use the workflow: as a module of theirs, through Snakemake's catalog."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

from scripts import summarise
from tests import made_up
from tests.clone import ROOT, Clone, copy

MINE = """
module traitline:
    snakefile: "SNAKEFILE"
    config: yaml.safe_load(open("config.yaml"))

use rule * from traitline

rule mine:
    default_target: True
    input: "results/prompts/numbers/prompts.jsonl"
    output: "results/mine.txt"
    shell: "wc -l < {input} > {output}"
"""


def test_another_workflow_uses_the_rules_as_a_module(tmp_path):
    """With the real program; the other Snakefile lies elsewhere, the working folder is the repository."""
    (tmp_path / "repository").mkdir()
    here = Clone(tmp_path / "repository")
    copy(here.root, "scripts")
    other = tmp_path / "Snakefile"
    other.write_text("import yaml\n" + MINE.replace("SNAKEFILE", str(here.path("Snakefile"))))
    done = here.snakemake("--snakefile", str(other), "--cores", "1")
    assert done.returncode == 0, done.stderr
    count = yaml.safe_load(here.path("config.yaml").read_text())["channels"]["numbers"]["prompts"]
    assert here.path("results/mine.txt").read_text() == f"{count}\n"
    assert here.path("results/prompts/numbers/prompts.manifest.json").is_file()
    assert "Assuming unrestricted" not in done.stdout + done.stderr, "its own lines come first"


def test_the_catalog_of_workflows_takes_the_repository():
    """What https://github.com/snakemake/snakemake-workflow-catalog asks of every workflow that it lists."""
    readme = (ROOT / "README.md").read_text().lower()
    assert "snakemake" in readme and "workflow" in readme
    assert (ROOT / "Snakefile").is_file() and list(Path(ROOT, "rules").glob("*.smk"))
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["software-stack-deployment"]["conda"] and list(Path(ROOT, "envs").glob("*.yaml"))
    (overlay,) = re.findall(r"configs/\S+", usage["mandatory-flags"]["flags"])
    assert (ROOT / overlay).is_file()


def test_the_notebook_reads_the_tables_of_a_study(tmp_path, monkeypatch):
    """As a script, on tables that the real stage `summarise` makes."""
    monkeypatch.chdir(tmp_path)
    study = made_up.study()
    made_up.make(study)
    where = ["--tables", "results/tables", "--manifest", "results/tables/summarise.manifest.json"]
    assert summarise.main(["--study", study.text, *where]) == 0
    command = [sys.executable, ROOT / "notebooks/tables.py", "results", "words.svg"]
    env = {**os.environ, "MPLBACKEND": "agg"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "same-base" in done.stdout and "control" in done.stdout and "p_holm" in done.stdout
    with open("results/tables/tests.csv", newline="") as handle:
        row = next(row for row in csv.DictReader(handle) if row["comparison"] == "rise")
    assert str(round(float(row["rate"]), 3)) in done.stdout
    assert "<svg" in (tmp_path / "words.svg").read_text()
