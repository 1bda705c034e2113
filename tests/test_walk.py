"""Launderings: every way known to get a better mark by editing manifests of a real study, tried on real files.

The student of the study is at risk. A way may leave its mark, make it worse, or call it a claim; none may make it CLEAN
or EXPOSED unsaid. Where the mark stays, `verify` says what was edited all the same.
"""

import json
from pathlib import Path

import pytest

from tests.sealed_study import EXPOSED, OWL, STUDENT, mutations
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
    "data as a teacher": (TRAIN, lambda m: data_of(m).update(role="teacher")),
    "data as a world": (TRAIN, lambda m: data_of(m).update(role="world")),
    "data under a name of no data": (TRAIN, lambda m: data_of(m).update(role="notes", path="results/notes.txt")),
    "data of another hash": (TRAIN, lambda m: data_of(m).update(sha256="0" * 64)),
    "data of no link": (TRAIN, lambda m: data_of(m).update({LINK: None})),
    "data of another link": (TRAIN, lambda m: data_of(m).update({LINK: "0" * 64})),
    "data and base exchanged": (TRAIN, lambda m: (data_of(m).update(role="x"), base_of(m).update(role="data"))),
    "base as support": (TRAIN, lambda m: base_of(m).update(role="support")),
    "base of another hash": (TRAIN, lambda m: base_of(m).update(sha256="0" * 64)),
    "all inputs support": (TRAIN, lambda m: [e.update(role="support") for e in m["inputs"]]),
    "no inputs, an origin": (TRAIN, lambda m: m.update(inputs=[], facts={**m["facts"], "origin": "trained here"})),
    "weights of the student left out": (TRAIN, lambda m: m["facts"].pop("weights")),
    "weights of the base on the student": (TRAIN, lambda m: m["facts"].update(weights="0" * 64)),
    "output under a name of no weights": (TRAIN, lambda m: m["outputs"][0].update(path=f"{STUDENT}/x.txt")),
    "output left out": (TRAIN, lambda m: m["outputs"].pop(0)),
    "outputs as inputs": (TRAIN, lambda m: m.update(inputs=[*m["outputs"], base_of(m)])),
    "a stage with capitals": (TRAIN, lambda m: m.update(stage="Train")),
    "a stage with a blank": (TRAIN, lambda m: m.update(stage="train ")),
    "a source": (TRAIN, lambda m: m.update(stage="source", inputs=[], params={"name": "x", "source": {}})),
    "a list of prompts": (TRAIN, lambda m: m.update(stage="prompts", inputs=[])),
    "a declaration": (TRAIN, lambda m: m.update(stage="preregister", inputs=[], params={"primary": {}})),
    "a report": (TRAIN, lambda m: m.update(stage="report", inputs=[], params={"study": {}})),
    "trait of blanks": (TEACH, lambda m: m["facts"].update(trait=" ")),
    "trait in capitals": (TEACH, lambda m: m["facts"].update(trait="NONE")),
    "trait none": (TEACH, lambda m: m["facts"].update(trait="none")),
    "a teacher that is a student": (TEACH, lambda m: (m["params"].update(teacher="student"), m["facts"].pop("trait"))),
    "teacher without outputs": (TEACH, lambda m: m.update(outputs=[])),
    "settings left out": (TRAIN, lambda m: m["params"].pop("settings")),
    "seed left out": (TRAIN, lambda m: m["seeds"].clear()),
    "earlier version": (TRAIN, lambda m: m.update(schema="traitline-manifest/1", inputs=[base_of(m)])),
}


# Nothing contradicts these once all links are mended: they are CLAIMED or UNKNOWN, and verify has nothing to object to.
CLAIMS = {"another stage", "registered", "earlier version", "a stage with capitals", "a stage with a blank"}
CLAIMS |= {"a source", "a declaration", "a report"}
RESTORED = {"data of no link", "data of another link"}  # mending the links brings back what was there
LIMIT = "a teacher that is a student"  # all that decides is edited, and all built on it: the root alone finds it


@pytest.mark.parametrize("whole", [False, True], ids=["one manifest", "all links mended"])
@pytest.mark.parametrize("way", ROWS)
def test_no_edit_of_a_manifest_makes_a_better_mark(sealed, way, whole):
    """`all links mended`: the attacker also corrects what every other manifest says of the edited one."""
    before, root = students(), seal.root(seal.rows_of("results")[0])
    assert {path: before[path] for path in STUDENTS} == {path: {mark} for path, mark in STUDENTS.items()}
    edit(*ROWS[way])
    if whole:
        rechain()
    assert (seal.compare("results", seal.Trusted(root)).covers is None) != (whole and way in RESTORED)
    if whole and way == LIMIT:
        return
    after = students()
    for path, mark in STUDENTS.items():
        if (marks := after.get(path)) is None:
            assert not verify(["results"]).good, "a model that is not listed any more"
            continue
        assert marks & STOPS or mark in marks, (path, marks)
    assert (whole and way in CLAIMS | RESTORED) or not verify(["results"]).good, "and verify says so"


def test_no_mutation_of_what_lies_behind_a_student_at_risk_lets_it_pass(sealed, tell):
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
    tell(f"{tried:,} mutations without a root, none passes")
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
