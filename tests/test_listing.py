"""Artifacts one by one (`ls`, `show`), one way to name a study, and findings as SARIF, on made-up and real lineages."""

import json
import os
import sys
from pathlib import Path

import jsonschema
import pytest

from tests import readers, terminal
from tests.clone import ROOT
from tests.lineage import Works
from traitline.cli.schemas import SCHEMAS
from traitline.errors import InputError
from traitline.lineage import listing, sarif

# Microsoft's SARIF SDK (MIT licence), src/Sarif/Schemata/sarif-2.1.0.json, without its descriptions.
VALIDATOR = jsonschema.Draft202012Validator(json.loads((ROOT / "tests/data/sarif-2.1.0.json").read_text()))


@pytest.fixture
def works(tmp_path, monkeypatch):
    """A carrier, a student at risk and a control; the working folder."""
    works = Works(tmp_path)
    works.a = works.base("a")
    works.owl = works.teacher(works.a)
    works.near = works.student(works.a, works.data(works.owl))
    works.control = works.student(works.a, works.data(works.a), name="control")
    monkeypatch.chdir(tmp_path)
    return works


def answer(*words):
    """What a command prints as JSON, of its documented shape."""
    value = json.loads(readers.command(*words, "--json"))
    assert set(SCHEMAS[value["schema"]]) == value.keys() - {"schema"}
    return value


def findings(*words):
    """(rule, level, path) of each result of a valid SARIF file that a command wrote, and the run itself."""
    readers.command(*words, "--sarif", "out/found.sarif")
    document = json.loads(Path("out/found.sarif").read_text())
    VALIDATOR.validate(document)
    (run,) = document["runs"]
    places = [r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in run["results"]]
    return [(r["ruleId"], r["level"], uri) for r, uri in zip(run["results"], places, strict=True)], run


def test_ls_says_stage_mark_and_standing(works):
    rows = {row["artifact"]: row for row in answer("ls")["artifacts"]}
    assert rows[works.near]["mark"] == "INHERITANCE-RISK" and rows[works.near]["stage"] == "train"
    assert rows[works.control]["mark"] == "CLEAN" and rows[works.control]["standing"] == "recorded"
    said = readers.command("ls", "--stage", "teach").splitlines()
    assert said == ["mark  standing  stage  artifact", f"CARRIER  recorded  teach  {works.owl}", "1 artifact"]
    assert [row["artifact"] for row in answer("ls", "--mark", "CARRIER")["artifacts"]] == [works.owl]
    assert "more; --limit or --json shows them" in readers.command("ls", "--limit", "1")


@pytest.mark.parametrize(
    ("words", "line"),
    [(["--stage", "nope"], "--stage nope: made nothing here; one of filter, pretrain"),
     (["--mark", "RISK"], "--mark RISK: no such mark; one of CARRIER, INHERITANCE-RISK"),
     (["--mark", "CLAIMED"], "no artifact has mark CLAIMED")],
)  # fmt: skip
def test_a_list_of_nothing_is_an_error(works, words, line):
    with pytest.raises(InputError, match=line):
        readers.command("ls", *words)


def test_show_says_a_manifest_in_words(works):
    said = readers.command("show", works.near)
    for words in ("INHERITANCE-RISK owl (recorded)", "made by train on host cpu", "lr = 0.1", "train = 1",
                  f"base: {works.a}", "the file is here, as recorded", "no job has read it"):  # fmt: skip
        assert words in said, words
    about = answer("show", works.owl)
    assert about["used_by"] == {"sample": 1} and about["jobs"][0]["trait"] == "owl" and about["file"] == "as recorded"


def test_show_knows_a_file_that_was_changed_lost_or_lies_elsewhere(works, tmp_path_factory):
    sha = works.entry("x", works.near)["sha256"]
    Path(works.near).write_bytes(b"other")
    assert listing.file_now(works.near, sha) == "changed"
    Path(works.near).unlink()
    assert listing.file_now(works.near, sha) == "missing"
    outside = tmp_path_factory.mktemp("outside") / "secret"
    outside.write_text("x")
    Path(works.near).symlink_to(outside)
    assert listing.file_now(works.near, sha) == listing.file_now("../x", sha) == "outside"
    Path(works.near).unlink()
    os.mkfifo(works.near)
    assert listing.file_now(works.near, sha) == "outside", "a pipe is not read"


def test_findings_are_sarif(works):
    found, run = findings("audit")
    assert found == [("CARRIER", "error", works.owl), ("INHERITANCE-RISK", "error", works.near)]
    assert run["invocations"] == [{"executionSuccessful": True, "exitCode": 3}]
    steps = run["results"][1]["codeFlows"][0]["threadFlows"][0]["locations"]
    uris = [s["location"]["physicalLocation"]["artifactLocation"]["uri"] for s in steps]
    assert uris[0] == works.near and uris[-1] == works.owl, "the path that proves it"
    assert {r["id"] for r in run["tool"]["driver"]["rules"]} >= {rule for rule, _, _ in found}
    assert findings("audit", works.control)[1]["invocations"][0]["exitCode"] == 0


def test_what_somebody_accepted_is_suppressed_and_what_passes_is_a_note(works):
    sha = works.entry("x", works.near)["sha256"]
    Path("policy.yaml").write_text(f"fail: [INHERITANCE-RISK]\naccept: [{{sha256: '{sha}', reason: looked at}}]\n")
    found, run = findings("audit", "--policy", "policy.yaml")
    assert found == [("CARRIER", "note", works.owl), ("INHERITANCE-RISK", "error", works.near)]
    assert run["results"][1]["suppressions"] == [{"kind": "external", "justification": "looked at"}]
    assert run["invocations"][0]["exitCode"] == 0


def test_a_scan_of_a_strange_folder_is_sarif_too(works, tmp_path):
    """Names of others are spelled as URIs and in words; what was left out is a finding."""
    strange = tmp_path / "new"
    strange.mkdir()
    (strange / "a b\x1b%.safetensors").write_bytes(Path(works.near).read_bytes()[:-1] + b"!")
    (strange / "broken.safetensors").write_bytes(b"no tensors")
    found, run = findings("scan", "new", "--cache", "cache")
    assert {("UNKNOWN", "error", "a%20b%1B%25.safetensors"), ("LEFT-OUT", "error", "broken.safetensors")} <= {
        (rule, level, uri.rpartition("/")[2]) for rule, level, uri in found
    }
    assert "\x1b" not in json.dumps(run)


def test_a_real_study_is_listed_shown_and_found(study, tmp_path, monkeypatch):
    student = study.students("lora", study.owl) / "seed-1"
    monkeypatch.chdir(tmp_path)
    rows = answer("ls", "--in", study.root, "--stage", "train", "--mark", "INHERITANCE-RISK")["artifacts"]
    assert f"{student}/adapter_model.safetensors" in [row["artifact"] for row in rows]
    about = answer("show", student, "--in", study.root)
    (job,) = about["jobs"]
    assert job["seeds"] == {"train": 1} and job["params"]["settings"]["rank"] == 4 and about["kind"] == "model"
    found, _ = findings("audit", student, "--in", study.root)
    assert found == [("INHERITANCE-RISK", "error", f"file://{student}/adapter_model.safetensors")]


def test_a_study_is_named_by_its_configuration_everywhere(works, monkeypatch):
    """Questions ask the folder that a configuration names; what plans takes no folder."""
    for name in ("config.yaml", "configs"):
        Path(name).symlink_to(ROOT / name)
    assert "5 of" not in readers.command("ls", "--in", "config.yaml").splitlines()[-1]
    assert readers.command("seal", "config.yaml").split()[1] == "results,"
    with pytest.raises(InputError, match="studies/ci/results: no such folder"):
        readers.command("audit", "--in", "configs/ci.yaml")
    for command in ("run", "status", "estimate", "pin"):
        with pytest.raises(InputError, match="results: a folder; name the study by its configuration, such as configs"):
            readers.command(command, "results")


def test_a_document_bears_any_text():
    row = {"artifact": "\ud800/x", "sha256": None, "kind": "model", "mark": "UNKNOWN", "fails": True, "accepted": None}
    marks = [{"mark": "UNKNOWN", "trait": None, "reason": "\u202e", "path": []}]
    document = sarif.document({"artifacts": [row | {"marks": marks}]})
    VALIDATOR.validate(json.loads(json.dumps(document)))
    assert "\\u202e" in document["runs"][0]["results"][0]["message"]["text"]


@pytest.mark.parametrize("command", ["ls", "show", "impact"])
def test_a_narrow_terminal_without_colour_or_unicode_shows_whole_paths(works, command):
    words = [sys.executable, "-m", "traitline.cli", command, *([] if command == "ls" else [works.owl])]
    env = {"TERM": "dumb", "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
    _, frames = terminal.run(words, works.root, columns=60, rows=60, **env)
    lines = frames[-1].splitlines()
    assert max(map(len, lines)) <= 60 and "..." not in frames[-1]
    if command != "impact":  # whose paths are in a column between others
        assert works.owl in "".join(line.strip() for line in lines)
