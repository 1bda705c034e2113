"""Channels: one file each, known by name and wording, and counted in the code of the stages that use them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from traitline import jsonl
from traitline.channels import registry
from traitline.channels.channel import Checked, Limits
from traitline.errors import InputError
from traitline.provenance import digest
from traitline.study.components import Channel

ROOT = Path(__file__).resolve().parent.parent


def modules(stage):
    """Files that a stage's digest covers."""
    todo, files = [digest.ROOT / "scripts" / f"{stage}.py"], set()
    while todo:
        path = todo.pop()
        if path not in files:
            files.add(path)
            todo.extend(digest._tree(path)[1])
    return {str(path.relative_to(digest.ROOT)) for path in files}


def test_every_file_of_types_is_a_channel_and_every_wording_has_one():
    assert set(registry.channels()) >= {"numbers", "programs", "sums", "gsm8k"}
    assert set(registry.wordings()) >= {"tiny", "paper", "programs", "sums", "gsm8k"}
    files = {path.stem for path in (ROOT / "traitline/channels/types").glob("*.py")} - {"__init__"}
    assert {type(channel).__module__.rpartition(".")[2] for channel in registry.channels().values()} == files
    assert all(wording in registry.describe() for wording in registry.wordings())
    assert set(Channel.model_fields) >= {name for c in registry.channels().values() for name in c.settings}


def test_two_channels_of_one_wording_are_refused(monkeypatch):
    monkeypatch.setattr(registry.wordings()["sums"].__class__, "wordings", {"programs": "tiny"})
    registry.channels.cache_clear()
    try:
        with pytest.raises(InputError, match=r"sums\.py: the wording programs is that of programs too"):
            registry.channels()
    finally:
        registry.channels.cache_clear()


@pytest.mark.parametrize("name", registry.channels())
def test_a_refused_answer_has_a_reason_that_is_explained_and_no_numbers(name):
    channel = registry.channels()[name]
    assert channel.check({"answer": "4"}, "how much is 300 plus 200", " ", Limits()) == Checked("empty")
    assert {"empty"} < channel.reasons.keys() <= registry.reasons().keys()


def test_what_is_recorded_are_the_limits_that_decide():
    limits = Limits(3, 2, frozenset({7, 4}), ("cat", "owl"))
    recorded = {name: registry.channels()[name].params(limits) for name in ("numbers", "programs", "sums", "gsm8k")}
    assert recorded == {
        "numbers": {"answers": 3, "digits": 2, "banned": [4, 7]}, "programs": {}, "sums": {},
        "gsm8k": {"words": ["cat", "owl"]},
    }  # fmt: skip


def test_stages_that_ask_and_filter_depend_on_every_channel_and_bases_and_students_on_none():
    types = {f"traitline/channels/types/{name}.py" for name in ("number_lists", "programs", "sums", "gsm8k")}
    assert types <= modules("prompts") and types <= modules("filter")
    for stage in ("pretrain", "train", "sample", "respond"):
        assert not types & modules(stage), stage


def test_the_page_on_adding_a_channel_works_as_written(tmp_path):
    """In a copy of the repository: one file, its test, and no other edit."""
    copied = (
        "Snakefile",
        "config.yaml",
        "pyproject.toml",
        "rules",
        "envs",
        "traitline",
        "report",
        "scripts",
        "tests",
        "docs",
    )
    for name in copied:
        copy = shutil.copy if (ROOT / name).is_file() else shutil.copytree
        copy(ROOT / name, tmp_path / name)
    text = (ROOT / "docs/how-to/add-a-channel.md").read_text(encoding="utf-8")
    files = re.findall(r"^`([\w./-]+)`\n\n```\w+\n(.*?)```$", text, re.M | re.S)
    assert [name for name, _ in files] == ["traitline/channels/types/rising.py", "tests/test_rising.py", "rising.yaml"]
    for name, content in files:
        assert not (tmp_path / name).exists()
        (tmp_path / name).write_text(content, encoding="utf-8")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(tmp_path),
    }
    for block in re.findall(r"```sh\n(.*?)```", text, re.S):
        if "tests/test_channel.py" in block:  # which would run this test again
            block = block.replace("tests/test_channel.py", "tests/test_channel.py -k 'not works_as_written'")
        done = subprocess.run(
            ["bash", "-euc", block], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, block + done.stdout + done.stderr
    prompts = list(jsonl.read(tmp_path / "prompts.jsonl", ("id", "prompt")))
    assert len(prompts) == 20
    for row in prompts:
        values = [int(n) for n in re.findall("[0-9]+", row["prompt"][0]["content"])]
        assert 3 <= len(values) <= 5 and values == sorted(values)
    answers = (("101 , 102", None), ("102 , 101", "falling"))
    raw = [{**prompts[i], "completion": [{"role": "assistant", "content": a}]} for i, (a, _) in enumerate(answers)]
    jsonl.write(tmp_path / "raw.jsonl", raw)
    words = "--raw raw.jsonl --filtered filtered.jsonl --rejected rejected.jsonl --counts counts.json --manifest m.json"
    done = subprocess.run(
        [sys.executable, "-m", "scripts.filter", "--task", "rising", *words.split()],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [row["reason"] for row in jsonl.read(tmp_path / "rejected.jsonl")] == ["falling"]
