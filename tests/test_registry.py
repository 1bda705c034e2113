"""Evaluation types are found by their files; the how-to adds one, and nothing else has to know it."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from traitline.evaluation import registry
from traitline.study.components import Eval

ROOT = Path(__file__).resolve().parent.parent
TYPES = sorted(path.stem for path in (ROOT / "traitline/evaluation/types").glob("[a-z]*.py"))


def test_every_file_is_a_type_and_the_configuration_knows_it():
    assert list(registry.evaluations()) == TYPES
    for name in TYPES:
        choices = Eval.model_json_schema()["properties"]["type"]["anyOf"][0]["enum"]
        assert name in choices and f"`{name}`: {registry.evaluations()[name].text}" in registry.describe()


@pytest.mark.parametrize("name", TYPES)
def test_a_type_says_what_it_asks_and_has_a_test(name):
    evaluation = registry.evaluations()[name]
    assert evaluation.text.endswith(".") and (evaluation.tiny or evaluation.open_weights)
    assert (ROOT / f"tests/test_{name}.py").exists()


def test_a_file_without_its_class_is_named(monkeypatch):
    module = type(sys)("traitline.evaluation.types.empty")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with pytest.raises(TypeError, match=r'types/empty.py: no class of Evaluation with name = "empty"'):
        registry._load("empty")


# ---- the how-to, step by step


HOW_TO = (ROOT / "docs/how-to/add-an-evaluation.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w/.]+)`\n\n```\w+\n(.*?)^```$", HOW_TO, re.MULTILINE | re.DOTALL))
COMMANDS = [
    line.split("#")[0].split()
    for block in re.findall(r"```sh\n(.*?)```", HOW_TO, re.DOTALL)
    for line in block.splitlines()
]
DIGESTS = "from traitline.provenance.digest import digest; print(*map(digest, ('respond', 'score', 'sample')))"


class Copy:
    """A copy of the repository, under git, in which commands run."""

    def __init__(self, root):
        self.root = root
        for name in ("Snakefile", "config.yaml", "pyproject.toml"):
            shutil.copy(ROOT / name, root)
        for name in ("rules", "envs", "traitline", "scripts", "report", "tests", "docs"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        (root / "configs").mkdir()
        (root / ".gitignore").write_text("__pycache__/\n.traitline/\n.snakemake/\n.pytest_cache/\n.hypothesis/\n")
        self.run("git", "init", "-q")
        self.run("git", "add", "-A")
        self.run("git", "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", "x")

    def run(self, *words):
        done = subprocess.run(words, cwd=self.root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def python(self, *words):
        return self.run(sys.executable, *map(str, words))


def test_the_how_to_adds_an_evaluation_by_one_file_its_test_and_one_line(study, tmp_path):
    copy = Copy(tmp_path)
    before = copy.python("-c", DIGESTS).split()
    for path, text in FILES.items():
        (tmp_path / path).write_text(text, encoding="utf-8")
    test, reference, plan = COMMANDS
    assert "1 passed" in copy.python(*test[1:])
    copy.python(*reference[1:])
    changed = copy.run("git", "status", "--porcelain", "--untracked-files=all").split("\n")
    new = {line[3:] for line in changed if line.startswith("??")}
    edited = {line[3:] for line in changed if line.startswith(" M")}
    assert new == set(FILES) and [path.split("/")[0] for path in FILES] == ["traitline", "tests", "configs"]
    assert edited == {"docs/reference/config.md", "docs/reference/config.schema.json"}, "both are generated"
    assert copy.run("git", "diff", "--numstat", "docs/reference/config.md").split()[:2] == ["1", "1"], "one line"
    after = copy.python("-c", DIGESTS).split()
    assert [a != b for a, b in zip(before, after, strict=True)] == [True, True, False], "asked and scored again"
    planned = copy.python("-m", *plan)
    assert "respond" in planned and "described" in planned

    settings = json.dumps({"type": "described", "category": "animal", "answers": 2, "seed": 1})
    asked = ["--base", study.base, "--eval", "described", "--settings", settings, "--out", tmp_path / "answers"]
    copy.python("-m", "scripts.respond", *asked)
    copy.python("-m", "scripts.score", "--type", "described", "--category", "animal", "--folders", tmp_path / "answers")
    scores = json.loads((tmp_path / "answers/scores.json").read_text(encoding="utf-8"))
    assert scores["questions"] > 10 and 0 < scores["exact"]["mass"] <= 1 + 1e-6
