"""Manifests contradict an edited one: what was built on it says so, without a root."""

import json
from pathlib import Path

import pytest

from tests.sealed_study import DATASET, OWL, STUDENT
from traitline.lineage import chain, parallel
from traitline.lineage.verify import verify
from traitline.provenance import manifest
from traitline.provenance.statement import LINK, canonical, statement

TEACH, SAMPLE, TRAIN = (
    f"{OWL}/teach.manifest.json",
    f"{OWL}/numbers/sample.manifest.json",
    f"{STUDENT}/train.manifest.json",
)


def edit(file, change):
    """Change a manifest as somebody does who knows its form."""
    m = json.loads(Path(file).read_bytes())
    change(m)
    Path(file).write_bytes(canonical(m))


def test_every_input_that_a_job_made_names_what_its_manifest_states(sealed):
    found = verify(["results"])
    assert found.good and not found.unsealed
    files = [manifest.load(p) for p in Path("results").rglob("*.manifest.json")]
    stated = {statement(m): m for m in files}
    inputs = [e for m in files for e in m["inputs"]]
    linked = [e for e in inputs if e[LINK]]
    assert len(inputs) > 30 and len(linked) == len(inputs), "every input of this study was made by a job of it"
    assert all(e["sha256"] in {o["sha256"] for o in stated[e[LINK]]["outputs"]} for e in linked)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["facts"].pop("trait"),
        lambda m: m["facts"].update(trait="cat"),
        lambda m: m["params"]["settings"].update(lr=1),
        lambda m: m.update(inputs=[]),
        lambda m: m["inputs"][0].update(bytes=0),
        lambda m: m["outputs"][0].update(role="support"),
        lambda m: m["seeds"].update(teach=2),
        lambda m: m.update(stage="prepare"),
        lambda m: m.update(more=1),
    ],
)
def test_an_edited_manifest_is_contradicted_by_what_was_built_on_it(sealed, change):
    edit(TEACH, change)
    found = verify(["results"])
    assert not found.good and {file for _, file in found.broken} == {SAMPLE}


def test_a_link_that_is_cut_or_names_something_else_is_found(sealed):
    edit(TRAIN, lambda m: [e.update({LINK: None}) for e in m["inputs"] if e["role"] == "data"])
    found = verify(["results"])
    assert found.cut == [(DATASET, TRAIN)] and not found.good
    edit(TRAIN, lambda m: [e.update({LINK: "0" * 64}) for e in m["inputs"] if e["role"] == "data"])
    found = verify(["results"])
    assert (DATASET, TRAIN) in found.broken and not found.good
    edit(TRAIN, lambda m: [e.pop(LINK) for e in m["inputs"] if e["role"] == "data"])
    assert verify(["results"]).cut


def test_bytes_that_are_not_in_the_one_form_are_found(sealed):
    content = Path(TRAIN).read_bytes()
    Path(TRAIN).write_bytes(content.replace(b'"facts": {', b'"facts": {"trait": "x"}, "facts": {', 1))
    found = verify(["results"])
    assert found.uncanonical == [TRAIN] and not found.good


def test_a_part_of_a_study_is_checked_against_manifests_beside_its_inputs(sealed):
    assert verify([OWL]).good, "the base lies elsewhere, and its manifest is there"
    edit("results/bases/a/pretrain.manifest.json", lambda m: m["facts"].update(origin="else"))
    assert {path for path, _ in verify([OWL]).broken} >= {"results/bases/a/model.safetensors"}


def test_what_is_registered_afterwards_contradicts_nothing(sealed):
    """A job read a file that nobody had registered; later somebody does."""
    from scripts import filter

    Path("data").mkdir()
    Path("data/raw.jsonl").write_bytes(Path(f"{OWL}/numbers/raw.jsonl").read_bytes().replace(b'"p0', b'"q0'))
    outputs = [x for n in ("filtered", "rejected", "counts") for x in (f"--{n}", f"results/x/{n}.jsonl")]
    argv = ["--raw", "data/raw.jsonl", *outputs, "--manifest", "results/x/filter.manifest.json", "--answers", "1"]
    assert filter.main(argv) == 0
    assert manifest.load("results/x/filter.manifest.json")["inputs"][0][LINK] is None
    from traitline.lineage.register import register

    register("data/raw.jsonl", {"origin": "found"})
    assert verify(["results", "data"]).good


def test_manifests_of_the_earlier_version_are_read_and_marked(sealed):
    def older(m):
        m["schema"] = manifest.UNLINKED
        for entry in m["inputs"]:
            entry.pop(LINK)

    files = sorted(map(str, Path("results").rglob("*.manifest.json")))
    for file in files:
        edit(file, older)
    found = verify(["results"])
    assert found.good and found.unsealed == files
    edit(TRAIN, lambda m: m.update(schema=manifest.SCHEMA))
    assert verify(["results"]).cut, "a manifest of today names statements of older ones too"


def test_many_manifests_are_examined_by_all_processors(sealed, monkeypatch):
    files = sorted(map(str, Path("results").rglob("*.manifest.json")))
    alone = list(chain.examine_all(files))
    monkeypatch.setattr(parallel, "PARALLEL", 1)
    assert list(chain.examine_all(files)) == alone
