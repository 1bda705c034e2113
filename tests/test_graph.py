"""Artifacts are joined by what is in them: renamed, copied, re-sharded, forged, doubled, in circles."""

import shutil
from pathlib import Path

import pytest

from tests.lineage import Works, tensors
from traitline.errors import InputError
from traitline.lineage.graph import open_graph


@pytest.fixture
def works(tmp_path, monkeypatch):
    """A base, its owl teacher, filtered numbers, a student."""
    monkeypatch.chdir(tmp_path)
    works = Works(tmp_path)
    works.a = works.base("a")
    works.owl = works.teacher(works.a)
    works.numbers = works.data(works.owl)
    works.student_a = works.student(works.a, works.numbers)
    return works


def ancestors(what):
    graph = open_graph(None, None)
    return {graph.entry(artifact_id).path for artifact_id in graph.back(graph.find(what).artifact_id)}


def test_a_student_comes_from_base_teacher_and_data(works):
    folder = Path(works.owl).parent
    want = {works.a, works.owl, works.numbers, f"{folder}/numbers/raw.jsonl"}
    assert ancestors(works.student_a) == want


def test_names_are_nothing(works):
    shutil.copy(works.student_a, "copy.bin")
    sha = works.entry("x", works.student_a)["sha256"]
    expected = ancestors(works.student_a)
    assert ancestors("copy.bin") == ancestors(sha[:8]) == ancestors(str(Path(works.student_a).parent)) == expected
    Path(works.student_a).unlink()
    assert ancestors(works.student_a) == expected, "a recorded path is a name too"


def test_a_file_swapped_between_two_steps_has_no_maker(works):
    Path(works.numbers).write_text("other numbers")
    other = works.student(works.a, works.numbers, name="second")
    graph = open_graph(None, None)
    (data,) = [e for e in graph.inputs(graph.makers(graph.find(other).artifact_id)[0].id) if e.role == "data"]
    assert data.path == works.numbers and graph.makers(data.artifact_id) == []


def test_re_sharded_weights_are_the_same_artifact(works):
    whole = works.put(
        "merge", "results/m", {"model.safetensors": ("model", tensors(a="one", b="two"))}, [("base", works.a)]
    )
    shards = {"model-00001-of-00002.safetensors": ("model", tensors(b="two")),
              "model-00002-of-00002.safetensors": ("model", tensors(a="one"))}  # fmt: skip
    works.put("register", "registry/r", shards, origin="somewhere")
    graph = open_graph(None, None)
    artifact_id = {graph.find(what).artifact_id for what in (whole, "registry/r", *(f"registry/r/{s}" for s in shards))}
    assert len(artifact_id) == 1 and {j.stage for j in graph.makers(artifact_id.pop())} == {"merge", "register"}
    assert works.a in ancestors("registry/r")


def test_weights_saved_anew_by_nobody_in_particular_are_found(works):
    Path("elsewhere").mkdir()
    source = works.put(
        "merge", "results/m", {"model.safetensors": ("model", tensors(a="one", b="two"))}, [("base", works.a)]
    )
    Path("elsewhere/model.safetensors").write_bytes(tensors(b="two", a="one"))
    graph = open_graph(None, None)
    assert graph.find("elsewhere").artifact_id == graph.find(source).artifact_id


def test_two_jobs_that_made_the_same_bytes_are_both_origins(works):
    b = works.base("b")
    works.put("filter", "results/z", {"same.jsonl": ("filtered", Path(works.numbers).read_bytes())}, [("raw", b)])
    assert b in ancestors(works.student_a)


def test_empty_files_join_nothing(works):
    works.put("filter", "results/y", {"x.jsonl": ("rejected", "")}, [("raw", works.numbers)])
    works.put("train", "results/z", {"model.safetensors": ("model", tensors(w="z"))}, [("data", "results/y/x.jsonl")])
    assert ancestors("results/z") == set()


def test_circles_end(works):
    one, two = ({"role": "raw", "path": p, "sha256": c * 64, "bytes": 1} for p, c in (("one", "1"), ("two", "2")))
    works.write("filter", "results/x", [one], [two])
    works.write("filter", "results/y", [two], [one])
    assert ancestors("1" * 64) == {"two"}


@pytest.mark.parametrize(
    "what, says",
    [
        ("nothing/there", "neither a file nor a hash or path"),
        ("ffff", "neither a file nor a hash or path"),
        ("results", "holds no weights itself; name a folder or file that does, such as results/"),
        ("stranger.txt", "no manifest knows these bytes"),
        ("' OR 1=1 --", "neither a file"),
    ],
)
def test_what_is_not_found_is_said_in_a_line(works, what, says):
    Path("stranger.txt").write_text("x")
    with pytest.raises(InputError, match=says) as e:
        open_graph(None, None).find(what)
    assert "\n" not in str(e.value)


def test_an_ambiguous_prefix_names_what_it_could_be(works):
    for i, sha in enumerate(("abcd" + "0" * 60, "abcd" + "1" * 60)):
        works.write("filter", f"results/{i}", [], [{"role": "raw", "path": f"x{i}", "sha256": sha, "bytes": 1}])
    with pytest.raises(InputError, match=r"abcd: more than one artifact.*abcd00000000 \(x0\), abcd11111111 \(x1\)"):
        open_graph(None, None).find("abcd")
