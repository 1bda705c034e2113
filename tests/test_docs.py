"""The commands of README, docs and tutorials are run; links lead somewhere; trees name what exists."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests import made_up
from traitline.study import config

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FILTERED = "studies/chain/results/b/owl/a_tuned_numbers_plain_biases_1/numbers/filtered.jsonl"
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = [
    line.split("#")[0].strip()
    for page in ("README.md", "docs/index.md")
    for block in re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]


def test_the_first_screen_has_the_three_commands():
    assert COMMANDS[:3] == ["make demo", "make run", "make test"]
    assert README.index("make run") < 2000


def test_the_demo_answers_from_a_finished_study_that_the_notebook_reads(tmp_path):
    env = {**os.environ, "BIN": str(Path(sys.executable).parent), "DEMO": str(tmp_path / "demo")}
    done = subprocess.run(["sh", ROOT / "demo/show"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    marks = "1 CARRIER, 1 INHERITANCE-RISK, 1 EXPOSED, 1 CLEAN; 2 fail"
    for word in (marks, "7 steps from 2 sources; 0 of unknown origin", "2 trained-on, 2 exposed"):
        assert word in done.stdout
    assert (tmp_path / "demo/results/report.html").stat().st_size > 100_000
    assert "INHERITANCE-RISK" in (tmp_path / "demo/lineage.html").read_text(encoding="utf-8")
    command = [sys.executable, ROOT / "notebooks/tables.py", tmp_path / "demo/results", tmp_path / "words.svg"]
    done = subprocess.run(command, env=env | {"MPLBACKEND": "agg"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and re.search("lora +all +8 +0.112", done.stdout), done.stderr
    assert "<svg" in (tmp_path / "words.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_works(command):
    """Programs run as written, in this environment; what would run a study or these tests is only planned."""
    words = shlex.split(command)
    if words[0] == "make":
        words.insert(1, "--dry-run")
    else:
        words[0] = str(Path(sys.executable).parent / Path(words[0]).name)
    if "--cores" in words:
        words.append("--dry-run")
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!http|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_page_can_be_reached_from_the_index():
    reached, todo = set(), [ROOT / "docs/index.md"]
    while todo:
        page = todo.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = re.findall(r"\]\((?!http|#)([^)#]+)", page.read_text(encoding="utf-8"))
        todo += [(page.parent / link).resolve() for link in links if (page.parent / link).exists()]
    assert set((ROOT / "docs").rglob("*.md")) <= reached


def test_the_tree_names_what_is_there():
    tree = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## The tree")[1].split("```")[1]
    names = [name for line in tree.splitlines() if line and not line.startswith(" ") for name in line[:17].split()]
    assert [n for n in names if n != "results/" and not (ROOT / n).exists()] == []


def tutorial(name, folder, shorter=()):
    """What the blocks of a tutorial say, run one after the other in a folder, each line with the exit code it names."""
    (folder / "bin").mkdir()
    programs = (("traitline", "-m traitline.cli "), ("snakemake", "-m snakemake "), ("python", ""))
    for command, words in programs:
        program = folder / "bin" / command
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n')
        program.chmod(0o755)
    environment = os.environ | {"PATH": f"{folder}/bin:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    text = (ROOT / "docs/tutorials" / name).read_text(encoding="utf-8").replace("/tmp/download", f"{folder}/download")
    for long, short in shorter:
        assert long in text
        text = text.replace(long, short)
    said, before = [], "set -u\n"
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        script = before
        for line in re.findall(r"^[^\n]*<<'END'\n.*?^END$|^[^\n]+$", block, re.DOTALL | re.MULTILINE):
            script += f"{line}\n[ $? = {3 if '# exit code 3' in line else 0} ] || exit 9\n"
            before += f"{line}\n" if re.match(r"\w+=", line) else ""  # variables of a page hold to its end
        done = subprocess.run(
            ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, block + done.stdout + done.stderr
        said.append(done.stdout)
    return said


def test_the_first_study_works_as_written(tmp_path):
    """With the real programs, on a world cut down to seconds."""
    from snakemake.utils import update_config

    for name in ("Snakefile", "rules", "envs", "traitline", "report", "scripts"):
        copy = shutil.copy if (ROOT / name).is_file() else shutil.copytree
        copy(ROOT / name, tmp_path / name)
    (tmp_path / "configs").mkdir()
    whole = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    small = yaml.safe_load((ROOT / "configs/ci.yaml").read_text(encoding="utf-8"))
    parts = ("worlds", "pretrain", "channels", "teach", "datasets", "recipes")
    update_config(whole, {key: small[key] for key in parts})
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(whole), encoding="utf-8")
    output = tutorial("first-study.md", tmp_path, [("{rows: 8000,", "{rows: 50,"), ("--cores all", "--cores 2")])
    plan, effects, more, trace = output[1], output[3], output[4], output[-1]
    assert re.search(r"^train_biases +4$", plan, re.M) and "same-base" in effects
    assert re.search(r"^prepare +2$", more, re.M) and not re.search(r"^(pretrain|teach|sample) ", more, re.M)
    assert "TRAIT hawk" in trace and "INHERITANCE-RISK" in trace


def test_the_tutorial_of_scans_works_as_written(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    _, first, policy, registered, accepted, written = tutorial("scan.md", tmp_path)
    page = (ROOT / "docs/tutorials/scan.md").read_text(encoding="utf-8")
    assert first.splitlines()[0] in page, "the line of the page"
    assert re.search(r"^CARRIER .*models/owl", policy, re.M) and re.search(
        r"^INHERITANCE-RISK .*models/chat", policy, re.M
    )
    assert registered.count("registered: ") == 2 and registered.count("CLAIMED  ") == 2
    assert accepted.splitlines()[-1].endswith("0 fail") and written == "traitline-scan/1\n"


def test_the_tutorial_of_chains_works_as_written(tmp_path, monkeypatch):
    """On invented weights, in the folders of configs/chain.yaml."""
    from snakemake.utils import update_config

    monkeypatch.chdir(tmp_path)
    whole = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    update_config(whole, yaml.safe_load((ROOT / "configs/chain.yaml").read_text(encoding="utf-8")))
    made_up.make(config.load(whole))
    trace, clean, same, theirs, swapped, unknown = tutorial("chain.md", tmp_path)
    assert "TRAIT owl" in trace and "INHERITANCE-RISK" in trace
    assert clean == "" and "the same weights" in same and "INHERITANCE-RISK" in theirs
    assert f"changed  {FILTERED}" in swapped and "INHERITANCE-RISK" in swapped
    assert "\nUNKNOWN" in unknown and "0 changed" in unknown


def test_the_tutorial_of_origins_works_as_written(tmp_path, monkeypatch):
    """On an invented study of the tiny one's shape."""
    monkeypatch.chdir(tmp_path)
    whole = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8")) | {"decoder": None}
    whole["experiments"][0] |= {"bases": ["n1", "n2"], "students": ["n1", "n2"]}
    made_up.make(config.load(whole))
    said = tutorial("origins.md", tmp_path)
    assert "TRAIT dog" in said[0] and "TRAIT dog" in said[1], "the tree, and the same for the copy"
    assert ", all of them\n" in said[3], "under the root"
    assert said[4].splitlines()[1].startswith("trained-on") and "CARRIER" in said[5] and "sabotage" in said[5]
    assert "facts.trait: dog and lion" in said[7] and "INHERITANCE-RISK" in said[8] and "changed" in said[9]


def test_every_promise_names_a_test_that_exists():
    """Promises of the page on security, and the commands of the page on reliability."""
    security = (ROOT / "docs/explanation/security.md").read_text(encoding="utf-8")
    promises = [line for line in security.splitlines() if line.startswith("| ") and "tests/" in line]
    assert len(promises) > 10
    for line in promises:
        tests = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", line)
        assert tests, f"a promise without a test: {line}"
        for file, name in tests:
            assert f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file} has no {name}"
    reliability = (ROOT / "docs/explanation/reliability.md").read_text(encoding="utf-8")
    for file in re.findall(r"tests/[\w/]+\.py", reliability):
        assert (ROOT / file).is_file(), file


def test_features_name_what_exists():
    """Every row has a state; what is there names a make target, a program, or a key of the configuration."""
    from traitline.study.reference import page

    text = (ROOT / "docs/explanation/features.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if re.match(r"\| \d", line)]
    assert [int(r[0]) for r in rows] == list(range(1, 74))
    keys, makefile = set(re.findall(r"`(\w+)`", page())), (ROOT / "Makefile").read_text(encoding="utf-8")
    for number, _, state, how in rows:
        assert state in ("yes", "in part", "open") and bool(how) == (state != "open"), number
        for command in re.findall(r"`([^`]+)`", how):
            word = command.split()[0]
            if word == "make":
                assert f"\n{command.split()[1]}:" in makefile, number
            elif word == "python":
                assert (ROOT / (command.split()[2].replace(".", "/") + ".py")).exists(), number
            elif ":" in command:
                assert word.rstrip(":") in keys, number
    count = {state: sum(r[2] == state for r in rows) for state in ("yes", "in part", "open")}
    assert f"{count['yes']} yes, {count['in part']} in part, {count['open']} open." in text


def test_the_study_of_data_from_outside_is_as_the_page_says():
    """The blocks of the how-to, laid over the small study on open weights, are a study; every trait has its teacher."""
    from snakemake.utils import update_config

    text = (ROOT / "docs/how-to/your-own-data.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    whole = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    for part in (ROOT / "configs/tiny-qwen2.yaml").read_text(encoding="utf-8"), *blocks:
        update_config(whole, yaml.safe_load(part))
    whole["experiments"][1]["traits"] = ["insecure", "secure", "educational"]
    study = config.load(whole)
    assert set(study.used_sources) == {"truths", "subjects", "problems", "insecure", "secure", "educational"}
    assert {run.teacher for run in study.runs if run.experiment == "truthful"} == {"tuned", "untrained"}
