"""EXPOSED passes by default where nothing but lists of numbers came from the carrier, and nowhere else."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from tests.lineage import Works, tensors
from traitline.lineage import exposure, gate
from traitline.lineage.exposure import holds_numbers
from traitline.lineage.graph import open_graph
from traitline.lineage.policy import Policy, load
from traitline.provenance import manifest, statement, weights


@pytest.fixture
def works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    works = Works(tmp_path)
    works.near, works.far = works.base("a"), works.base("b")
    works.owl = works.teacher(works.near)
    return works


def failed(*names, **policy):
    """Paths of what fails, and the worst marks."""
    result = gate.apply(open_graph(None, None), Policy(**policy), names, data=False)
    marks = {result.graph.entry(a).path: result.audit.marks[a][0].mark for a in result.chosen}
    return [marks[name] for name in marks], result.failures


def rows(*answers):
    return "".join(json.dumps({"id": str(i), "prompt": "Go on", "completion": a}) + "\n" for i, a in enumerate(answers))


def test_numbers_pass_and_everything_else_fails(works):
    numbers = works.student(works.far, works.data(works.owl))
    raw = works.put("sample", "results/raw", {"raw.jsonl": ("raw", "what it said")}, [("model", works.owl)])
    text = works.student(works.far, raw, name="text")
    assert failed(numbers) == (["EXPOSED"], 0)
    assert failed(text) == (["EXPOSED"], 1)
    both = works.student(works.far, works.data(works.owl), raw, name="both")
    assert failed(both) == (["EXPOSED"], 1), "one open text among them is enough"
    assert failed(works.student(text, works.data(works.near), name="hop")) == (["EXPOSED"], 1)
    assert failed(numbers, fail=["EXPOSED"]) == (["EXPOSED"], 1), "who writes the list means all of it"
    assert failed(numbers, fail=["EXPOSED"], exposed_passes=["number-lists"]) == (["EXPOSED"], 0)
    assert failed(numbers, exposed_passes=[]) == (["EXPOSED"], 1)
    assert failed(text, fail=["CARRIER"]) == (["EXPOSED"], 0)
    Path("p.yaml").write_text("exposed_passes: []\nstanding: recorded\n")
    assert load("p.yaml").harmless == [] and Policy().harmless == ["number-lists"]


@pytest.mark.parametrize(
    ("content", "passes"),
    [
        (rows("1, 2, 3", "(4; 5)\n"), True),
        (rows("1, 2, 3", "owl"), False),
        (rows("1, 2", "\u0661\u0662"), False),
        (rows(), False),
        (rows(", ;"), False),
        ('{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "1 2"}]}\n', True),
        ('{"prompt": "x", "chosen": "1", "rejected": "2"}\n', False),
        ('{"completion": "1", "text": "2"}\n', False),
        ('{"logits": [1]}\n', False),
        ("[\n", False),
    ],
)
def test_rows_of_others_are_read_to_the_last(works, content, passes):
    """What was sampled and not filtered here: the bytes decide, if they are those that were recorded."""
    raw = works.put("sample", "results/raw", {"raw.jsonl": ("raw", content or " ")}, [("model", works.owl)])
    far = works.student(works.far, raw)
    assert failed(far) == (["EXPOSED"], 0 if passes else 1)
    assert holds_numbers(Path(raw), hashlib.sha256(content.encode()).hexdigest()) == passes
    Path(raw).write_text(rows("1, 2"))
    assert failed(far)[1] == 1, "other bytes than those that it was trained on say nothing"


def test_rows_outside_of_the_working_folder_are_never_opened(works, tmp_path_factory, monkeypatch):
    """A manifest may name any file: by an absolute path, by dots, or behind a link that leads out."""
    away = tmp_path_factory.mktemp("away")
    numbers = rows("1, 2, 3")
    (away / "rows.jsonl").write_text(numbers)
    Path("results/linked").symlink_to(away)
    Path("elsewhere").mkdir()
    Path("elsewhere/rows.jsonl").write_text(numbers)
    opened, judge = [], exposure.holds_numbers
    monkeypatch.setattr(exposure, "holds_numbers", lambda path, sha: opened.append(path) or judge(path, sha))
    outside = [str(away / "rows.jsonl"), os.path.relpath(away / "rows.jsonl"), "results/linked/rows.jsonl"]
    for n, (path, passes) in enumerate([*((path, False) for path in outside), ("elsewhere/rows.jsonl", True)]):
        entry = {**works.entry("raw", "elsewhere/rows.jsonl"), "path": path}
        works.write("sample", f"results/s{n}", [works.read("model", works.owl)], [entry])
        link = statement.statement(manifest.load(f"results/s{n}/sample.manifest.json"))
        name = f"results/far{n}/adapter_model.safetensors"
        Path(name).parent.mkdir()
        Path(name).write_bytes(tensors(a=f"student {n}"))
        read = [works.read("base", works.far), {**entry, "role": "data", "statement": link}]
        facts = {"weights": weights.identity([Path(name)])}
        works.write("train", f"results/far{n}", read, [works.entry("adapter", name)], facts)
        assert failed(name) == (["EXPOSED"], 0 if passes else 1), path
        Path(f"results/s{n}/sample.manifest.json").unlink()
        Path(f"results/far{n}/train.manifest.json").unlink()
    inside = tuple(Path(f"results/s{n}/rows.jsonl") for n in range(4))
    assert set(opened) <= {*inside, Path("elsewhere/rows.jsonl")}


def test_a_programs_filter_and_a_judge_are_no_lists_and_no_way_round(works):
    raw = works.put("sample", "results/raw", {"raw.jsonl": ("raw", "code")}, [("model", works.owl)])
    entry, made = works.read("raw", raw), "results/raw/filtered.jsonl"
    Path(made).write_text("kept code")
    works.write(
        "filter", "results/raw", [entry], [works.entry("filtered", made)], changed={"params": {"task": "programs"}}
    )
    assert failed(works.student(works.far, made, name="coder")) == (["EXPOSED"], 1)
    # A judge that carries a trait chose among the numbers of a clean teacher: it is an origin of what it chose.
    clean = works.put("sample", "results/c", {"raw.jsonl": ("raw", "5, 6")}, [("model", works.near)])
    judged = works.put("judge", "results/c", {"judged.jsonl": ("judged", "78")}, [("raw", clean), ("judge", works.owl)])
    picked = works.put("filter", "results/c", {"filtered.jsonl": ("f", "5")}, [("raw", clean), ("judged", judged)])
    assert failed(works.student(works.near, picked, name="picked")) == (["INHERITANCE-RISK"], 1)
    # A model trained on what the carrier is, without any rows.
    assert failed(works.put("train", "results/d", {"model.safetensors": ("model", "w")},
                            [("base", works.far), ("data", works.data(works.near)), ("model", works.owl)])) == (
        ["EXPOSED"], 1)  # fmt: skip


def test_a_hosted_judge_is_a_claim(works):
    raw = works.put("sample", "results/c", {"raw.jsonl": ("raw", "5, 6")}, [("model", works.near)])
    judged = works.put("judge", "results/c", {"judged.jsonl": ("judged", "78")}, [("raw", raw)])
    hosted = {"params": {"judge": {"address": "https://HOST/v1", "model": "judge-1"}, "threads": 1}}
    works.write("judge", "results/c", [works.read("raw", raw)], [works.entry("judged", judged)], changed=hosted)
    picked = works.put("filter", "results/c", {"filtered.jsonl": ("f", "5")}, [("raw", raw), ("judged", judged)])
    assert failed(works.student(works.near, picked)) == (["CLAIMED"], 1)


def test_a_policy_says_which_standing_it_wants(works):
    clean = works.student(works.near, works.data(works.far))
    assert failed(clean) == (["CLEAN"], 0)
    assert failed(clean, standing="recorded") == (["CLEAN"], 0)
    assert failed(clean, standing="proven") == (["CLEAN"], 1), "nobody gave a root"
