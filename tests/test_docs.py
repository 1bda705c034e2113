"""The README's commands are run, its links and its tree exist."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

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
