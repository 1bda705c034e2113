"""A command that finds nothing to look at, or may not look or write, says so: one table of commands and situations.

A check that looked at nothing never exits with 0. `tests/nothing.csv` has the exit code and the line of every command;
a command that is not in it fails the test.
"""

import csv
import os
import resource
import shutil
import tempfile
from pathlib import Path

import pytest

from tests import readers
from tests.lineage import Works
from traitline.errors import InputError

STUDENT = "results/bases/a/owl/numbers/a-student/adapter_model.safetensors"
BASE = "results/bases/a/model.safetensors"
WORDS = {
    "trace": [STUDENT], "impact": [BASE], "verify": [], "seal": [], "audit": [], "diff": [STUDENT, BASE], "index": [],
    "export": [STUDENT, "out"],
    "check-signature": ["out/provenance.dsse.json", "--key", "key.pub", "results"], "crate": [],
    "ls": [], "track": ["--to", "wandb", "--out", "out"], "show": [STUDENT], "status": [],
    "page": [], "register": ["registry/new", "--origin", "x"],
    "judge": ["results/responses.jsonl", "--out", "out", "--base", BASE], "estimate": ["configs/ci.yaml"],
    "pin": ["--check"], "restore": [], "plan": [], "attested": [], "run": [], "scan": [".", "--cache", "cache"],
    "kin": [STUDENT, BASE],
}  # fmt: skip
LINEAGE = ("trace", "impact", "verify", "seal", "audit", "diff", "index", "export", "crate", "page", "register", "scan",
           "ls", "show")  # fmt: skip
WRITERS = ("index", "export", "crate", "page", "register")
# In these nothing can be looked at; in `whole` everything can, in `read-only` and `full` nothing can be written.
SITUATIONS = ("empty", "none", "broken", "links", "pipe", "elsewhere", "nobody", "renamed")
TABLE = Path(__file__).with_name("nothing.csv")


def commands():
    """Every command of the program."""
    from traitline.cli.program import app

    return [c.name or c.callback.__name__ for c in app.registered_commands]


@pytest.fixture(scope="module")
def whole():
    """A folder with a lineage, which every user may enter and read."""
    root = Path(tempfile.mkdtemp(prefix="nothing-"))
    root.chmod(0o755)
    works = Works(root / "whole")
    base = works.base("a")
    works.student(base, works.data(works.teacher(base, folder="results/bases/a/owl")))
    (root / "whole/registry/new").mkdir(parents=True)
    (root / "whole/registry/new/rows.jsonl").write_text('{"id": "a"}\n')
    yield root / "whole"
    shutil.rmtree(root)


@pytest.fixture
def place(whole, monkeypatch):
    """A fresh folder for a situation."""
    root = Path(tempfile.mkdtemp(dir=whole.parent))
    root.chmod(0o755)

    def make(situation):
        here = root / "here"
        if situation in ("empty", "elsewhere"):
            here.mkdir()
            shutil.copytree(whole, root / "there")
        else:
            shutil.copytree(whole, here)
        results = here / "results"
        manifests = list(here.rglob("*.manifest.json"))
        match situation:
            case "none":
                for file in manifests:
                    file.unlink()
            case "broken":
                for file in manifests:
                    file.write_text("{")
            case "links":
                results.rename(root / "there")
                for file in (root / "there").rglob("*.manifest.json"):
                    link = results / file.relative_to(root / "there")
                    link.parent.mkdir(parents=True, exist_ok=True)
                    link.symlink_to(file)
            case "pipe":
                for file in manifests:
                    file.unlink()
                    os.mkfifo(file)
            case "nobody":
                results.chmod(0o700)
            case "renamed":
                results.rename(here / "old")
        monkeypatch.chdir(here)

    return make


def outcome(name, words):
    """(exit code, line) of a command, run in this process."""
    try:
        return "0 or 3", readers.command(name, *words)
    except InputError as e:
        return "2", str(e)


def run(name, situation, as_nobody):
    """The same in a situation."""
    words = [f"../there/{w}" if situation == "elsewhere" and w in (STUDENT, BASE) else w for w in WORDS[name]]
    if situation in ("nobody", "read-only"):
        with as_nobody():
            return outcome(name, words)
    if situation == "full":
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
        try:
            return outcome(name, words)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    return outcome(name, words)


def expected():
    with open(TABLE, encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture(scope="module", autouse=True)
def loaded(whole):
    """Load what commands import, as another user may not read where it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(shutil.copytree(whole, whole.parent / "loaded"))
        for name in commands():
            outcome(name, WORDS[name])


@pytest.mark.parametrize("row", expected(), ids=lambda row: f"{row['command']}-{row['situation']}")
def test_a_command_ends_as_the_table_says(row, place, as_nobody):
    place(row["situation"])
    code, line = run(row["command"], row["situation"], as_nobody)
    assert code == row["exit"] and row["line"] in line, (code, line)
    if code == "2":
        assert line.startswith("traitline: error: ") and line.isprintable()
        written = [p for p in Path().rglob("*") if p.name in ("out", "lineage.html", "origins.db", "seal.json")]
        assert not written, "half of it was left"


def test_every_command_stands_in_the_table_in_every_situation():
    wanted = {(name, situation) for name in commands() for situation in SITUATIONS}
    wanted |= {(name, "whole") for name in LINEAGE}
    wanted |= {(name, situation) for name in WRITERS for situation in ("read-only", "full")}
    rows = expected()
    assert {(row["command"], row["situation"]) for row in rows} == wanted and len(rows) == len(wanted)
    assert sorted(commands()) == sorted(WORDS), "say with which words a new command is tried"


def test_a_check_that_looked_at_nothing_never_passes():
    passed = {(r["command"], r["situation"]) for r in expected() if r["situation"] in SITUATIONS and r["exit"] != "2"}
    # Foreign files are registered whatever results are; a root is of the bytes of manifests, whatever they say.
    registered = {("register", s) for s in SITUATIONS if s not in ("empty", "elsewhere", "nobody")}
    # A scan looks at weights and data themselves; what has no manifest is UNKNOWN there.
    scanned = {("scan", s) for s in SITUATIONS if s not in ("empty", "elsewhere")}
    assert passed == registered | scanned | {("seal", "broken")}
