"""The README's commands are run, its links and its tree exist."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests import made_up

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.split("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]


def test_the_first_screen_has_the_two_commands():
    assert COMMANDS[:2] == ["make run", "make test"]
    assert README.index("make run") < 2000


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


def test_links_lead_somewhere():
    links = re.findall(r"\]\((?!http)([^)#]+)", README)
    assert links and [link for link in links if not (ROOT / link).exists()] == []


def test_the_tree_names_what_is_there():
    tree = README.split("## The tree")[1].split("```")[1]
    names = [name for line in tree.splitlines() if line and not line.startswith(" ") for name in line[:17].split()]
    assert [n for n in names if n != "results/" and not (ROOT / n).exists()] == []


def test_the_tutorial_of_origins_works_as_written(tmp_path, monkeypatch):
    """Block after block in one folder, with the exit codes that it names."""
    monkeypatch.chdir(tmp_path)
    made_up.make(made_up.study())
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/traitline"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m traitline.command "$@"\n')
    program.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    text = (
        (ROOT / "docs/tutorial/origins.md").read_text(encoding="utf-8").replace("/tmp/download", f"{tmp_path}/download")
    )
    said = []
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        script = "set -u\n" + "".join(
            f"{line.split('    # exit')[0]}\n[ $? = {3 if '# exit code 3' in line else 0} ] || exit 9\n"
            for line in block.splitlines()
        )
        done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, block + done.stdout + done.stderr
        said.append(done.stdout)
    assert "TRAIT owl" in said[0] and "TRAIT owl" in said[1], "the tree, and the same for the copy"
    assert said[3].startswith("trained-on") and "CARRIER" in said[4] and "sabotage" in said[4]
    assert "facts.trait: owl and cat" in said[6] and "INHERITANCE-RISK" in said[7] and "changed" in said[8]


def test_features_name_what_exists():
    """Every row has a state; what is there names a make target, a program, or a key of the configuration."""
    from traitline.reference import page

    text = (ROOT / "docs/features.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if re.match(r"\| \d", line)]
    assert [int(r[0]) for r in rows] == list(range(1, 73))
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
