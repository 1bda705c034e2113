"""Launderings: every way known to get a better mark by editing manifests of a real study, tried on real files.

The student of the study is at risk. A way may leave its mark, make it worse, or call it a claim; none may make it CLEAN
or EXPOSED unsaid. Where the mark stays, `verify` says what was edited all the same.
"""

import json
from pathlib import Path

import pytest

from tests.sealed_study import EXPOSED, OWL, STUDENT
from tests.test_seal import mutations
from traitline.errors import InputError
from traitline.lineage import seal
from traitline.lineage.audit import audit
from traitline.lineage.graph import open_graph
from traitline.lineage.verify import verify
from traitline.provenance.statement import LINK, canonical, statement

TEACH, TRAIN = f"{OWL}/teach.manifest.json", f"{STUDENT}/train.manifest.json"
BASE = "results/bases/a/pretrain.manifest.json"
STUDENTS = {
    f"{STUDENT}/adapter_model.safetensors": "INHERITANCE-RISK",
    f"{EXPOSED}/adapter_model.safetensors": "EXPOSED",
}
STOPS = {"CARRIER", "INHERITANCE-RISK", "UNKNOWN", "CLAIMED"}  # marks that stop a release by default


def edit(file, change):
    m = json.loads(Path(file).read_bytes())
    change(m)
    Path(file).write_bytes(canonical(m))


def data_of(m):
    return next(e for e in m["inputs"] if e["role"] == "data")


def base_of(m):
    return next(e for e in m["inputs"] if e["role"] == "base")


def students():
    """Path of a model -> its marks; a model that no manifest names any more is not in it."""
    graph = open_graph(["results"], None)
    result = audit(graph)
    return {graph.entry(a).path: {m.mark for m in result.marks[a]} for a in result.models}


def rechain(*changed):
    """Name anew what manifests state, as somebody does who edits all of them, not only one."""
    files = sorted(Path("results").rglob("*.manifest.json"))
    for _ in range(8):
        stated = {}
        for file in files:
            m = json.loads(file.read_bytes())
            stated |= {(e["path"], e["sha256"]): statement(m) for e in m["outputs"]}
        for file in files:
            m = json.loads(file.read_bytes())
            for e in m["inputs"]:
                e[LINK] = stated.get((e["path"], e["sha256"]))
            file.write_bytes(canonical(m))


ROWS = {
    "data of 0 bytes": (TRAIN, lambda m: data_of(m).update(bytes=0)),
    "data as support": (TRAIN, lambda m: data_of(m).update(role="support")),
    "data as support under a support name": (
        TRAIN,
        lambda m: data_of(m).update(role="support", path="results/bases/a/config.json"),
    ),
    "data left out": (TRAIN, lambda m: m["inputs"].remove(data_of(m))),
    "data role renamed": (TRAIN, lambda m: data_of(m).update(role="notes")),
    "base role renamed": (TRAIN, lambda m: base_of(m).update(role="start")),
    "base left out": (TRAIN, lambda m: m["inputs"].remove(base_of(m))),
    "output of 0 bytes": (TRAIN, lambda m: m["outputs"][0].update(bytes=0)),
    "output role renamed": (TRAIN, lambda m: m["outputs"][0].update(role="facts")),
    "trait left out": (TEACH, lambda m: m["facts"].pop("trait")),
    "another stage": (TRAIN, lambda m: m.update(stage="merge", inputs=[base_of(m)])),
    "registered": (TRAIN, lambda m: m.update(stage="register", inputs=[], facts={**m["facts"], "origin": "here"})),
    "stage without inputs": (TRAIN, lambda m: m.update(stage="pretrain", inputs=[], facts={"origin": "trained here"})),
    "weights of the base left out": (BASE, lambda m: m["facts"].pop("weights")),
    "earlier version": (TRAIN, lambda m: m.update(schema="traitline-manifest/1", inputs=[base_of(m)])),
}


@pytest.mark.parametrize("whole", [False, True], ids=["one manifest", "all links mended"])
@pytest.mark.parametrize("way", ROWS)
def test_no_edit_of_a_manifest_makes_a_better_mark(sealed, way, whole):
    """`all links mended`: the attacker also corrects what every other manifest says of the edited one."""
    before = students()
    assert {path: before[path] for path in STUDENTS} == {path: {mark} for path, mark in STUDENTS.items()}
    edit(*ROWS[way])
    if whole:
        rechain()
    after = students()
    for path, mark in STUDENTS.items():
        if (marks := after.get(path)) is None:
            assert not verify(["results"]).good, "a model that is not listed any more"
            continue
        assert marks & STOPS or mark in marks, (path, marks)
    forged = whole and way in ("another stage", "registered", "earlier version")  # nothing is contradicted: CLAIMED
    assert forged or not verify(["results"]).good, "and verify says so"


def test_no_mutation_of_what_lies_behind_a_student_at_risk_lets_it_pass(sealed, capsys):
    """One field at a time, nobody has a root: each is stopped by a mark, refused, or found by `verify`."""
    tried, student = 0, f"{STUDENT}/adapter_model.safetensors"
    for file in (TEACH, f"{OWL}/numbers/plain/prepare.manifest.json", TRAIN):
        content = Path(file).read_bytes()
        for changed in mutations(json.loads(content)):
            Path(file).write_bytes(canonical(changed))
            tried += 1
            try:
                marks = students().get(student, set())
            except InputError:
                continue
            assert marks & STOPS or not verify(["results"]).good, (file, changed)
        Path(file).write_bytes(content)
    with capsys.disabled():
        print(f" {tried:,} mutations without a root, none passes")
    assert tried > 400


def test_a_trait_that_is_left_out_everywhere_passes_without_a_root_and_not_with_one(sealed):
    """The limit of what manifests can say: one who edits them all, and knows all, needs no more than that."""
    root = seal.root(seal.rows_of("results")[0])

    def forget(m):
        m["facts"].pop("trait")
        m["params"].update(trait="none", teacher="untrained")

    edit(TEACH, forget)
    assert students()[f"{STUDENT}/adapter_model.safetensors"] & STOPS, "what was built on it contradicts it"
    rechain()
    assert students()[f"{STUDENT}/adapter_model.safetensors"] == {"CLEAN"} and verify(["results"]).good
    assert seal.compare("results", seal.Trusted(root)).covers is None
