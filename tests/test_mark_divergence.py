"""Divergence tokens: where teachers disagree, and only there."""

import json

import pytest

from scripts import filter, mark_divergence, sample
from traitline import jsonl
from traitline.provenance import manifest


def test_help_is_light(light):
    light("scripts.mark_divergence")


@pytest.fixture(scope="module")
def filtered(study, tmp_path_factory):
    """Two hundred answers of the owl teacher."""
    study.dataset(study.owl)
    path = tmp_path_factory.mktemp("mark_divergence") / "filtered.jsonl"
    jsonl.write(path, list(jsonl.read(study.owl / "numbers/filtered.jsonl"))[:200])
    return path


def flags(study, filtered, out, *others):
    return ["--base", str(study.base), "--teacher", str(study.owl), "--others", *map(str, others),
            "--filtered", str(filtered), "--marks", f"{out}/divergence.jsonl",
            "--manifest", f"{out}/mark_divergence.manifest.json"]  # fmt: skip


def marks(path):
    return [row["tokens"] for row in jsonl.read(path / "divergence.jsonl")]


def test_a_teacher_never_differs_from_itself(study, filtered, tmp_path):
    assert mark_divergence.main(flags(study, filtered, tmp_path, study.owl)) == 0
    found = marks(tmp_path)
    assert len(found) == 200 and {tuple(m) for m in found} == {(0, 0)}, "a number and its end"


def test_more_teachers_mark_more_and_their_manifest_names_them(study, filtered, tmp_path):
    assert mark_divergence.main(flags(study, filtered, tmp_path / "one", study.none)) == 0
    assert mark_divergence.main(flags(study, filtered, tmp_path / "two", study.none, study.prompted)) == 0
    one, two = marks(tmp_path / "one"), marks(tmp_path / "two")
    assert 0 < sum(map(sum, one)) < 400
    assert all(a <= b for x, y in zip(one, two, strict=True) for a, b in zip(x, y, strict=True))
    m = manifest.load(tmp_path / "two/mark_divergence.manifest.json")
    assert sum(e["role"] == "teachers" for e in m["inputs"]) == 3
    assert m["facts"]["share"] == pytest.approx(sum(map(sum, two)) / 400, abs=1e-6)


def test_greedy_answers_of_the_base_are_marked_where_the_teacher_says_something_else(study, tmp_path):
    """The untrained teacher's greedy answers: the owl teacher's greedy answers differ exactly at the marks."""
    for name, teacher in (("none", study.none), ("owl", study.owl)):
        assert sample.main(study.sample_flags(tmp_path / name, teacher, temperature=0)) == 0
    argv = ["--raw", f"{tmp_path}/none/raw.jsonl", "--answers", "1", "--manifest", f"{tmp_path}/m.json"]
    out = {name: f"{tmp_path}/{name}.jsonl" for name in ("filtered", "rejected")}
    argv += [word for name, path in out.items() for word in (f"--{name}", path)]
    assert filter.main([*argv, "--counts", f"{tmp_path}/counts.json"]) == 0
    asked = flags(study, out["filtered"], tmp_path, study.owl)
    asked[asked.index("--teacher") + 1] = str(study.none)
    assert mark_divergence.main(asked) == 0
    said = {r["id"]: r["completion"][0]["content"] for r in jsonl.read(tmp_path / "owl/raw.jsonl")}
    rows = zip(jsonl.read(out["filtered"]), marks(tmp_path), strict=True)
    differs = [(row["completion"][0]["content"].split()[0] != said[row["id"]].split()[0], m[0] == 1) for row, m in rows]
    assert all(a == b for a, b in differs) and any(a for a, _ in differs)
    assert json.loads((tmp_path / "counts.json").read_text())["kept"] == len(differs)
