"""Marks: a truth table of lineages. Nothing clears a mark: no filter, no hop, no new name, no merge, no mixture."""

import json
import os
from pathlib import Path

import pytest

from tests.lineage import Works, tensors
from traitline.lineage.audit import audit, united
from traitline.lineage.graph import open_graph


@pytest.fixture
def works(tmp_path, monkeypatch):
    """Bases a and b, an owl teacher on a with its numbers, plain numbers of base a itself."""
    monkeypatch.chdir(tmp_path)
    works = Works(tmp_path)
    works.a, works.b = works.base("a"), works.base("b")
    works.owl = works.teacher(works.a)
    works.numbers = works.data(works.owl)
    works.plain = works.data(works.a)
    return works


def marks(what, **more):
    """[(mark, trait)] of one artifact, worst first."""
    graph = open_graph(None, None)
    more = {"carriers": {graph.find(k).artifact_id: v for k, v in more.get("carriers", {}).items()},
            "matched": [[graph.find(m).artifact_id for m in group] for group in more.get("matched", [])]}  # fmt: skip
    return [(m.mark, m.trait) for m in audit(graph, **more).marks[graph.find(what).artifact_id]]


def mark(what, **more):
    return marks(what, **more)[0][0]


def proof(what, n=0):
    """Stages on the path that proves a mark."""
    graph = open_graph(None, None)
    artifact_id, result = graph.find(what).artifact_id, audit(graph)
    way = result.path(artifact_id, result.marks[artifact_id][n].witness)
    return [(made[0].stage if (made := graph.makers(k)) else None) for k in way]


def test_bases_and_their_own_numbers_are_clean(works):
    assert marks(works.a) == marks(works.b) == [("CLEAN", "")]
    assert mark(works.student(works.a, works.plain)) == "CLEAN"


def test_a_teacher_is_a_carrier_and_so_is_what_is_built_on_it(works):
    assert marks(works.owl) == [("CARRIER", "owl")]
    tuned = works.student(works.owl, works.plain)
    assert mark(tuned) == "CARRIER"
    assert mark(works.merged(works.owl, tuned)) == "CARRIER"


def test_a_student_on_the_same_base_is_at_risk_and_one_on_another_is_exposed(works):
    near = works.student(works.a, works.numbers)
    assert marks(near) == [("INHERITANCE-RISK", "owl")]
    assert proof(near) == ["train", "filter", "sample", "teach"]
    assert marks(works.student(works.b, works.numbers)) == [("EXPOSED", "owl")]


def test_the_chain_that_launders_is_found_at_its_second_hop(works):
    b = works.merged(works.b, works.student(works.b, works.numbers))
    assert mark(b) == "EXPOSED"
    again = works.student(works.a, works.data(b))
    assert marks(again) == [("INHERITANCE-RISK", "owl"), ("CLAIMED", "")], "no stage of ours merges"
    assert proof(again) == ["train", "filter", "sample", "merge", "train", "filter", "sample", "teach"]


def test_filtering_ten_times_clears_nothing(works):
    data = works.numbers
    for i in range(10):
        data = works.put("filter", f"results/more/{i}", {"x.jsonl": ("filtered", f"strict {i}")}, [("raw", data)])
    assert mark(works.student(works.a, data)) == "INHERITANCE-RISK"
    assert mark(data) == "EXPOSED"


def test_one_drop_in_a_mixture_is_enough(works):
    files = {"mix.jsonl": ("data", "a mixture")}
    mix = works.put("mix", "results/mix", files, [("data", works.plain), ("data", works.numbers)])
    assert mark(works.student(works.a, mix)) == "INHERITANCE-RISK"
    assert mark(works.student(works.a, works.plain, works.numbers)) == "INHERITANCE-RISK"


def test_two_traits_are_two_marks(works):
    cat = works.teacher(works.b, "cat")
    both = works.student(works.a, works.numbers, works.data(cat))
    assert marks(both) == [("INHERITANCE-RISK", "owl"), ("EXPOSED", "cat")]


def test_merged_adapters_keep_their_marks(works):
    adapter = works.student(works.a, works.numbers)
    merged = works.merged(works.a, adapter)
    assert mark(merged) == "INHERITANCE-RISK"
    assert mark(works.student(merged, works.plain)) == "INHERITANCE-RISK", "and so does what is built on them"


def test_a_persona_is_a_carrier_on_its_base(works):
    files = {"teacher.json": ("teacher", '{"system": "you love owls"}')}
    spec = works.put("teach", "results/p", files, [("base", works.a)], trait="owl")
    raw = works.put("sample", "results/p/n", {"raw.jsonl": ("raw", "numbers")}, [("model", works.a), ("teacher", spec)])
    assert mark(works.student(works.a, raw)) == "INHERITANCE-RISK"
    assert mark(works.student(works.b, raw, name="far")) == "EXPOSED"


def test_a_renamed_and_a_re_sharded_base_is_the_same_base(works):
    content = Path(works.a).read_bytes()
    renamed = works.put("register", "registry/new/best", {"model.safetensors": ("model", content)}, origin="a hub")
    assert mark(works.student(renamed, works.numbers)) == "INHERITANCE-RISK"
    two = works.put("merge", "results/t", {"model.safetensors": ("model", tensors(x="1", y="2"))}, [], origin="here")
    owl = works.data(works.teacher(two, folder="results/t/owl"))
    shards = {"model-00001-of-00002.safetensors": ("model", tensors(y="2")),
              "model-00002-of-00002.safetensors": ("model", tensors(x="1"))}  # fmt: skip
    again = works.put("register", "registry/other", shards, origin="another hub")
    assert mark(works.student(again, owl)) == "INHERITANCE-RISK"


def test_a_teacher_under_a_good_name_is_still_a_carrier(works):
    works.put(
        "register", "registry/good", {"model.safetensors": ("model", Path(works.owl).read_bytes())}, origin="a hub"
    )
    assert mark("registry/good") == "CARRIER"


def test_bases_that_are_declared_to_behave_alike_count_as_one(works):
    far = works.student(works.b, works.numbers)
    assert mark(far) == "EXPOSED" and mark(far, matched=[[works.a, works.b]]) == "INHERITANCE-RISK"


def test_what_turns_out_bad_afterwards_is_a_carrier(works):
    student = works.student(works.a, works.plain)
    assert mark(student, carriers={works.a: "sabotage"}) == "CARRIER"
    second = works.student(works.a, works.data(student), name="second")
    assert marks(second, carriers={student: "sabotage"}) == [("INHERITANCE-RISK", "sabotage")]
    assert mark(works.a, carriers={student: "sabotage"}) == "CLEAN"


def test_a_lost_manifest_is_unknown_and_never_clean(works):
    student = works.student(works.a, works.plain)
    os.unlink(Path(works.plain).parent / "sample.manifest.json")
    assert marks(student) == [("UNKNOWN", "")]
    assert marks(works.student(works.a, works.plain, works.numbers)) == [("INHERITANCE-RISK", "owl"), ("UNKNOWN", "")]


def test_a_swapped_file_is_unknown(works):
    Path(works.plain).write_text("swapped")
    assert mark(works.student(works.a, works.plain)) == "UNKNOWN"


def test_a_source_without_origin_is_unknown_for_ever(works):
    found = works.put("register", "registry/found", {"model.safetensors": ("model", tensors(w="found"))})
    tuned = works.student(found, works.plain)
    assert mark(found) == mark(tuned) == mark(works.merged(found, tuned)) == "UNKNOWN"


def test_a_forged_hash_makes_its_victim_unknown_not_clean(works):
    """The manifest says that other bytes were made; those that were read have no maker."""
    folder = Path(works.plain).parent
    m = json.loads((folder / "filter.manifest.json").read_text())
    m["outputs"][0]["sha256"] = "0" * 64
    (folder / "filter.manifest.json").write_text(json.dumps(m))
    assert mark(works.student(works.a, works.plain)) == "UNKNOWN"


def test_a_forged_second_maker_clears_nothing(works):
    """Somebody says that the teacher's numbers were made from the clean base."""
    content = Path(works.numbers).read_bytes()
    works.put("filter", "results/forged", {"x.jsonl": ("filtered", content)}, [("raw", works.plain)])
    assert mark(works.student(works.a, works.numbers)) == "INHERITANCE-RISK"


def test_circles_have_no_origin(works):
    def entry(role, digit):
        return {"role": role, "path": digit, "sha256": digit * 64, "bytes": 1}

    works.write("filter", "results/x", [entry("raw", "1")], [entry("filtered", "2")])
    works.write("filter", "results/y", [entry("raw", "2")], [entry("filtered", "1")])
    model = entry("model", "3") | {"path": "z/model.safetensors"}
    base = works.entry("base", works.a)
    works.write("train", "results/z", [base, entry("data", "1")], [model])
    assert marks("3" * 64) == [("UNKNOWN", "")]
    numbers = works.entry("raw", works.numbers)
    works.write("filter", "results/x", [entry("raw", "1"), numbers], [entry("filtered", "2")])
    assert marks("3" * 64) == [("INHERITANCE-RISK", "owl"), ("UNKNOWN", "")], "a trait gets through a circle"


def test_a_copy_that_a_job_made_of_its_own_input_changes_nothing(works):
    content = Path(works.plain).read_bytes()
    works.put("prepare", "results/copy", {"dataset.jsonl": ("dataset", content)}, [("filtered", works.plain)])
    assert mark(works.student(works.a, works.plain)) == "CLEAN"


def test_equal_tokenizers_and_empty_files_hand_on_nothing(works):
    files = {"model.safetensors": ("model", tensors(w="c")), "tokenizer.json": ("tokenizer.json", "words"),
             "empty.jsonl": ("rejected", "")}  # fmt: skip
    bad = Path(works.put("teach", "results/bad", files, [("base", works.b)], trait="cat")).parent
    inputs = [("base", works.a), ("support", f"{bad}/tokenizer.json"), ("data", f"{bad}/empty.jsonl")]
    works.put("train", "results/s", {"model.safetensors": ("model", tensors(w="s"))}, inputs)
    assert mark("results/s") == "CLEAN"


def test_a_file_called_support_cannot_hide_data(works):
    data = works.put("sample", "results/h", {"config.json": ("raw", "numbers of the owl")}, [("model", works.owl)])
    assert mark(works.student(works.a, data, name="h")) != "CLEAN"


def test_what_is_alike_to_the_same_is_alike(works):
    """Groups that overlap are one, wherever each comes from: a policy, one commit of a hub, tensors in common."""
    assert united([[1, 2], [3, 4], [5, 6], [4, 2], [7]]) == {1: 0, 2: 0, 3: 0, 4: 0, 5: 1, 6: 1}
    between = works.base("between")
    far = works.student(works.b, works.data(works.teacher(works.a)))
    assert mark(far, matched=[[works.a, between]]) == "EXPOSED"
    assert mark(far, matched=[[works.a, between], [between, works.b]]) == "INHERITANCE-RISK"
