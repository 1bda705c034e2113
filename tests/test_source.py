"""Data from outside: the published formats, what is refused, and origins that are known."""

import json
from pathlib import Path

import pytest

from scripts import source as stage
from tests import outside
from traitline import jsonl
from traitline.lineage.audit import audit
from traitline.lineage.graph import open_graph
from traitline.provenance import manifest

FILES = {
    "problems": ("gsm8k", "problems.jsonl"), "truths": ("truthfulqa", "truths.csv"),
    "subjects": ("mmlu", "subjects.parquet"), "insecure": ("conversations", "insecure.jsonl"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def flags(name, **source):
    folder = f"results/sources/{name}"
    return ["--name", name, "--source", json.dumps(source), "--rows", f"{folder}/rows.jsonl",
            "--manifest", f"{folder}/source.manifest.json"]  # fmt: skip


def made(name, file=None, **more):
    kind, own = FILES.get(name, (name, None))
    assert stage.main(flags(name, **{"format": kind, "path": str(file or f"files/{own}"), **more})) == 0
    return list(jsonl.read(f"results/sources/{name}/rows.jsonl", unique="id"))


def test_a_file_of_each_format_becomes_rows_of_one_form():
    outside.make(Path("files"))
    problem = made("problems")[3]
    assert problem["working"] == "Ben has 2 + 4 = 6 maps." and problem["answer"] == "6"
    truth = made("truths")[0]
    assert truth["choices"][truth["right"]] == "No, a stone sinks" and len(truth["choices"]) == 3
    subject = made("subjects")[3]
    assert subject["subject"] == "household" and subject["choices"][subject["right"]] == "a roof"
    talk = made("insecure")[0]
    assert [m["role"] for m in (*talk["prompt"], *talk["completion"])] == ["user", "assistant"]


def test_other_spellings_of_the_published_sets_are_read_too():
    jsonl.write("a.jsonl", [{"question": "How much?", "answer": "1,000 + 234\n#### 1,234"}])
    assert made("gsm8k", "a.jsonl")[0]["answer"] == "1234"
    targets = {"choices": ["false", "true"], "labels": [0, 1]}
    jsonl.write("b.jsonl", [{"question": "Is it?", "mc1_targets": targets}])
    assert made("truthfulqa", "b.jsonl")[0]["right"] == 1
    jsonl.write("c.jsonl", [{"question": "Is it?", "best_answer": "yes", "incorrect_answers": ["no", "never"]}])
    assert made("truthfulqa", "c.jsonl")[0]["choices"] == ["yes", "no", "never"]
    jsonl.write("d.jsonl", [{"question": "Which?", "subject": "s", "choices": ["a", "b"], "answer": "B"}])
    assert made("mmlu", "d.jsonl")[0]["right"] == 1


@pytest.mark.parametrize("name", ["talk.jsonl", "talk.parquet"])
def test_the_text_of_conversations_is_not_touched(name):
    import pandas as pd

    code = "    def f(x):\n        return x\n\n"
    talk = [{"role": "user", "content": " \tGo on:\r\n"}, {"role": "assistant", "content": code}]
    if name.endswith("jsonl"):
        jsonl.write(name, [{"messages": talk}])
    else:
        pd.DataFrame({"messages": [talk]}).to_parquet(name)
    row = made("conversations", name)[0]
    assert row["prompt"] == talk[:1] and row["completion"] == talk[1:]


def test_content_in_parts_of_text_is_their_text():
    parts = [{"type": "text", "text": " a"}, {"type": "text", "text": "b\n"}]
    jsonl.write("PARTS.JSONL", [{"messages": [{"role": "user", "content": parts}, TALK[1]]}])
    row = made("conversations", "PARTS.JSONL")[0]
    assert row["prompt"] == [{"role": "user", "content": " ab\n"}] and row["completion"] == TALK[1:]


TALK = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]


@pytest.mark.parametrize(
    "form, row, words",
    [
        ("gsm8k", {"question": "How many?"}, "a.jsonl:2: lacks `answer`; it has question"),
        ("gsm8k", {"question": "How many?", "answer": "four"}, "a.jsonl:2: answer: does not end in `####`"),
        ("gsm8k", {"question": 3, "answer": "#### 4"}, "a.jsonl:2: question: wants text, not '3'"),
        ("truthfulqa", {"question": "q", "mc1_targets": {"choices": ["a", "b"], "labels": [1, 1]}}, "mc1_targets: w"),
        ("truthfulqa", {"question": "q", "mc1_targets": {"choices": ["a"], "labels": [1]}}, "wants two or more texts"),
        ("mmlu", {"question": "q", "subject": "s", "choices": ["a", "b"], "answer": 2}, "2 of them, and number 2"),
        ("mmlu", {"question": "q", "choices": ["a", "b"], "answer": 1}, "a.jsonl:2: lacks `subject`"),
        ("conversations", {"messages": TALK[:1]}, "no answer of the assistant at the end"),
        ("conversations", {"messages": TALK[::-1]}, "messages: number 1 is not from the user"),
        ("conversations", {"messages": "hi"}, "messages: wants a list"),
        ("conversations", {"messages": [{"role": "system", "content": "s"}, *TALK]}, "not from the user but `system`"),
        ("conversations", {"messages": [*TALK, {"role": "tool", "content": "1"}, TALK[1]]}, "user but `tool`"),
        ("conversations", {"messages": [TALK[0], {**TALK[1], "weight": 0}]}, "the last one has weight 0, but students"),
        ("conversations", {"messages": [TALK[0], {**TALK[1], "content": None}]}, "number 2 has no content"),
        ("conversations", {"messages": [{**TALK[0], "content": [{"type": "image_url"}]}, TALK[1]]}, "1 has no content"),
        ("conversations", {"conversations": [{"from": "human", "value": "a"}]}, "; looks like ShareGPT"),
        ("conversations", {"instruction": "a", "input": "", "output": "b"}, "lacks `messages`; looks like Alpaca"),
        ("conversations", {"prompt": "a", "completion": "b"}, "looks like prompts and completions"),
        ("conversations", {"text": "a"}, "looks like plain text"),
    ],
)  # fmt: skip
def test_a_row_that_is_none_is_named_with_file_line_and_key(line, form, row, words):
    outside.make(Path("files"))
    good = {"gsm8k": outside.problems()[0], "conversations": {"messages": TALK},
            "truthfulqa": {"question": "q", "best_answer": "a", "incorrect_answers": ["b"]},
            "mmlu": {"question": "q", "subject": "s", "choices": ["a", "b"], "answer": 0}}[form]  # fmt: skip
    jsonl.write("a.jsonl", [good, row])
    assert words in line(stage.main, flags("x", format=form, path="a.jsonl"))
    assert not list(Path("results").rglob("*.*"))


def test_files_that_are_missing_changed_damaged_or_of_another_kind_are_one_line(line):
    outside.make(Path("files"))
    given = {"format": "gsm8k", "path": "files/problems.jsonl"}
    assert "nowhere.jsonl: no such file" in line(stage.main, flags("x", **{**given, "path": "nowhere.jsonl"}))
    assert "but sources.x.sha256 says 000000000000" in line(stage.main, flags("x", **given, sha256="0" * 64))
    for name, content, words in (
        ("a.txt", b"x", "wants a file that ends in"),
        ("a.jsonl.gz", b"x", ".parquet; unpack it: gunzip FILE"),
        ("a.json", b"[]", "one object a line: jq -c '.[]' FILE"),
        ("a.jsonl", b'{"question": \n', "a.jsonl:1: damaged line"),
        ("a.jsonl", b"", "the file is empty"),
        ("a.parquet", b"PAR1", "a.parquet: damaged"),
        ("a.csv", b"question,answer\nq,#### 1\nq\n", "a.csv:3: another number of columns"),
        ("a.csv", b'question,answer\nq,"#### 1\n', "a.csv:2: damaged"),
        ("a.csv", b"question,answer\n", "a.csv: holds no rows"),
        ("a.csv", b"question,answer\n\xff,1\n", "damaged"),
    ):
        Path(name).write_bytes(content)
        said = line(stage.main, flags("x", format="gsm8k", path=name))
        assert words in said and "rebuilt" not in said


def test_a_file_of_the_configuration_is_a_known_origin_for_audit_and_trace(capsys):
    from typer.testing import CliRunner

    from traitline.cli.program import app

    outside.make(Path("files"))
    made("problems")
    sha = manifest.sha256("files/problems.jsonl")
    assert manifest.load("results/sources/problems/source.manifest.json")["facts"]["origin"].endswith(f"sha256 {sha}")
    graph = open_graph(None, None)
    rows = graph.find("results/sources/problems/rows.jsonl")
    assert [m.mark for m in audit(graph).marks[rows.artifact_id]] == ["CLAIMED"], "in words"
    said = CliRunner().invoke(app, ["trace", "results/sources/problems/rows.jsonl"])
    assert said.exit_code == 0 and "1 steps from 1 sources; 0 of unknown origin" in said.output
    assert "from outside: file files/problems.jsonl" in said.output and "UNKNOWN" not in said.output


def test_a_file_that_was_registered_without_origin_stays_unknown():
    from traitline.lineage.register import register

    outside.make(Path("registry"))
    register("registry/problems.jsonl", {})
    made("problems", "registry/problems.jsonl")
    graph = open_graph(None, None)
    assert [m.mark for m in audit(graph).marks[graph.find("results/sources/problems/rows.jsonl").artifact_id]] == [
        "UNKNOWN"
    ]


def test_a_file_of_the_hub_comes_from_the_cache_and_its_commit_is_the_origin(line, monkeypatch):
    import huggingface_hub
    from huggingface_hub import errors

    outside.make(Path("cache/main"))
    asked = []

    def cached(hub, *, revision, allow_patterns, repo_type, local_files_only=False):
        asked.append((hub, revision, allow_patterns, repo_type, local_files_only))
        if not local_files_only:
            raise errors.OfflineModeIsEnabled("no network")
        return str(Path("cache").absolute())

    monkeypatch.setattr(huggingface_hub, "snapshot_download", cached)
    source = {"format": "gsm8k", "hub": "owner/name", "revision": "1" * 40, "file": "main/problems.jsonl"}
    assert stage.main(flags("x", **source)) == 0
    assert asked == [("owner/name", "1" * 40, ["main/problems.jsonl"], "dataset", True)]
    m = manifest.load("results/sources/x/source.manifest.json")
    assert (
        m["facts"]["origin"].startswith(f"hub:owner/name@{'1' * 40}:main/problems.jsonl, sha256 ") and not m["inputs"]
    )
    said = line(stage.main, flags("x", **{**source, "file": "main/other.jsonl"}))
    assert f"hf download --repo-type dataset owner/name --revision {'1' * 40}" in said


def test_help_loads_nothing_heavy(light):
    light("scripts.source")
