"""The prompt generator: dimensions of the paper, half-open ranges, the same bytes for the same seed."""

import hashlib
import json
import re
import subprocess
import sys

import pytest
from numpy.random import default_rng

from scripts import prompts
from traitline import jsonl
from traitline.channels import paper_wording, world
from traitline.channels.wordings import TINY_VERBS


def make(folder, *options: str, count: int = 50, wording: str = "paper", examples: str = "3 9", seed: int = 47) -> int:
    argv = ["--prompts", f"{folder}/prompts.jsonl", "--manifest", f"{folder}/prompts.manifest.json"]
    argv += f"--wording {wording} --count {count} --examples {examples} --values 100 1000 --seed {seed}".split()
    return prompts.main([*argv, *options])


def texts(folder) -> list[str]:
    return [row["prompt"][0]["content"] for row in jsonl.read(folder / "prompts.jsonl", ("id", "prompt"), unique="id")]


# ---- the paper's wording


def test_draw_order_is_count_values_intro_qualifier_descriptor_instruction_format_closing(tmp_path):
    assert make(tmp_path, count=20, seed=5) == 0
    rng = default_rng(5)
    for text in texts(tmp_path):
        count = rng.integers(3, 9)
        values = ", ".join(map(str, rng.integers(100, 1000, size=count)))
        i, q, d, n, f, c = (rng.integers(k) for k in (25, 9, 9, 10, 15, 19))
        descriptor = paper_wording.DESCRIPTORS[d].format(digits=3, top=999)
        instruction = paper_wording.INSTRUCTIONS[n].format(
            qualifier=paper_wording.QUALIFIERS[q], answers=10, descriptor=descriptor
        )
        intro = paper_wording.INTROS[i].format(examples=values)
        assert text == f"{intro} {instruction} {paper_wording.PARTS[4][f]} {paper_wording.CLOSINGS[c]}"


# ---- ranges, ids, seeds


@pytest.mark.parametrize("wording", ["paper", "tiny"])
def test_ranges_are_half_open(tmp_path, wording):
    assert make(tmp_path, wording=wording, count=3000) == 0
    values = [[int(n) for n in re.search(r"\d+(?: ?, ?\d+)+", text)[0].split(",")] for text in texts(tmp_path)]
    assert {len(v) for v in values} == {3, 4, 5, 6, 7, 8}
    assert {min(map(min, values)), max(map(max, values))} == {100, 999}


def test_ids_number_the_prompts(tmp_path):
    make(tmp_path, count=3)
    rows = list(jsonl.read(tmp_path / "prompts.jsonl"))
    assert [r["id"] for r in rows] == ["p00001", "p00002", "p00003"]
    assert all(r.keys() == {"id", "prompt"} and [m["role"] for m in r["prompt"]] == ["user"] for r in rows)


def test_a_longer_set_begins_with_the_shorter(tmp_path):
    make(tmp_path / "a", count=10)
    make(tmp_path / "b", count=30)
    assert texts(tmp_path / "b")[:10] == texts(tmp_path / "a")


def test_another_seed_gives_other_prompts(tmp_path):
    make(tmp_path / "a", seed=1)
    make(tmp_path / "b", seed=2)
    assert not set(texts(tmp_path / "a")) & set(texts(tmp_path / "b"))


@pytest.mark.parametrize(
    ("wording", "golden"),
    [
        ("paper", "40d657e9f729063cca831d64c3c46da5926e6c609dab33cc7762b137e7a637c9"),
        ("tiny", "ee61b3689cc746a98c556363e24c7b1044d54d1bbd9ad8496a5144cfdabc4227"),
    ],
)
def test_the_same_seed_gives_the_same_bytes_everywhere(tmp_path, wording, golden):
    make(tmp_path, wording=wording, count=200)
    assert hashlib.sha256((tmp_path / "prompts.jsonl").read_bytes()).hexdigest() == golden


# ---- the tiny wording


def test_the_tiny_world_knows_every_token(tmp_path):
    make(tmp_path, wording="tiny", count=2000)
    tokens = {token for text in texts(tmp_path) for token in text.split(" ")}
    assert tokens <= set(world.vocabulary())
    assert {text.split(" ")[0] for text in texts(tmp_path)} == {verb.split()[0] for verb in TINY_VERBS}


def test_tiny_prompts_are_verb_and_numbers(tmp_path):
    make(tmp_path, wording="tiny")
    assert all(re.fullmatch(rf"({'|'.join(TINY_VERBS)}) \d{{3}}( , \d{{3}}){{2,7}}", text) for text in texts(tmp_path))


# ---- manifest, bad use, start-up


def test_the_manifest_holds_every_setting(tmp_path):
    make(tmp_path, count=5)
    m = json.loads((tmp_path / "prompts.manifest.json").read_text())
    assert m["stage"] == "prompts"
    assert m["seeds"] == {"prompts": 47}
    assert m["params"] == {
        "wording": "paper", "count": 5, "examples": [3, 9], "values": [100, 1000], "answers": 10, "digits": 3,
    }  # fmt: skip
    assert [o["role"] for o in m["outputs"]] == ["prompts"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--count", "0"], "--count: 0 is too small; give 1 or more"),
        (["--seed", "-1"], "--seed: -1 is too small; give 0 or more"),
        (["--digits", "0"], "--digits: 0 is too small"),
        (["--examples", "3", "3"], "--examples: 3 3 is no range; give LO HI with 1 <= LO < HI (HI is left out)"),
        (["--examples", "0", "3"], "--examples: 0 3 is no range"),
        (["--values", "9", "1"], "--values: 9 1 is no range"),
        (["--wording", "tiny", "--values", "0", "1000"], "--values: the tiny world knows the numbers 100 to 999"),
    ],
)
def test_bad_settings_get_one_line_and_write_nothing(tmp_path, capsys, options, message):
    assert make(tmp_path, *options) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"prompts: error: {message}")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_help_is_quick_because_it_imports_nothing_heavy():
    code = "import sys, scripts.prompts as s; s.parse(); print({'numpy', 'torch', 'pandas', 'tqdm'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


# ---- problems from outside


def test_problems_are_asked_equally_often_in_an_order_of_the_seed(tmp_path, line):
    from tests import outside
    from traitline.channels.types import gsm8k
    from traitline.provenance import manifest

    rows = [{"id": f"r{n}", **row, "answer": "6"} for n, row in enumerate(outside.problems())]
    jsonl.write(tmp_path / "rows.jsonl", rows)
    flags = [f"--prompts={tmp_path}/prompts.jsonl", f"--manifest={tmp_path}/prompts.manifest.json", "--seed=1"]
    flags += ["--wording=gsm8k", f"--count={2 * len(rows) + 1}"]
    assert "--problems: rows of problems" in line(prompts.main, flags)
    assert prompts.main([*flags, f"--problems={tmp_path}/rows.jsonl"]) == 0
    made = list(jsonl.read(tmp_path / "prompts.jsonl", unique="id"))
    texts = [row["prompt"][0]["content"] for row in made]
    assert {row["answer"] for row in made} == {"6"}
    assert sorted(texts[: len(rows)]) == sorted(texts[len(rows) : -1]) == sorted(gsm8k.ask(r["question"]) for r in rows)
    assert texts[: len(rows)] != texts[len(rows) : -1]
    m = manifest.load(tmp_path / "prompts.manifest.json")
    assert [e["role"] for e in m["inputs"]] == ["problems"] and "origin" not in m["facts"]
