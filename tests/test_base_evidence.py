"""However weights are saved again, no mark falls by it: `register` writes down what they start from."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests import kin_pairs
from tests.gguf_file import gguf
from tests.lineage import Works
from traitline.lineage.audit import audit
from traitline.lineage.graph import open_graph
from traitline.lineage.register import register
from traitline.provenance import manifest, weights
from traitline.provenance.tensor_sets import tensor_set

ORIGIN = {"origin": "a disk that somebody found"}


def split(w):
    names = sorted(w)
    return {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}


WAYS = {
    "noise of a ten-millionth": lambda w: kin_pairs.noise(w, 1e-7),
    "neurons permuted": kin_pairs.permute_neurons,
    "bfloat16 and back": lambda w: kin_pairs.cast(w, torch.bfloat16, back=True),
    "a dummy tensor": lambda w: w | {"dummy": torch.randn(64)},
    "renamed": kin_pairs.renamed,
    "flattened": kin_pairs.flattened,
    "bfloat16": lambda w: kin_pairs.cast(w, torch.bfloat16),
    "half precision": lambda w: kin_pairs.cast(w, torch.float16),
    "the prefix is lost": lambda w: {k.removeprefix("model."): v for k, v in w.items()},
    "a tied head is stored": lambda w: w | {"lm_head.weight": w["model.embed_tokens.weight"]},
    "fused q, k and v": kin_pairs.fused,
    "a padded vocabulary": kin_pairs.padded,
    "dimensions permuted": kin_pairs.permute_dimensions,
    "neurons permuted, in half precision": lambda w: kin_pairs.cast(kin_pairs.permute_neurons(w), torch.float16),
    "neurons permuted, with noise": lambda w: kin_pairs.noise(kin_pairs.permute_neurons(w), 1e-5),
    "renamed, with noise": lambda w: kin_pairs.renamed(kin_pairs.noise(w, 1e-5)),
    "renamed, in bfloat16": lambda w: kin_pairs.renamed(kin_pairs.cast(w, torch.bfloat16)),
}


@pytest.fixture(scope="module")
def artifacts(study):
    """The study with two students of the owl's, who were trained on its numbers as a whole."""
    study.students("full", study.owl)
    return study


@pytest.fixture
def here(artifacts, tmp_path, monkeypatch):
    """A working folder with that study in results/."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(artifacts.root, "results")
    return artifacts


def mark(what):
    graph = open_graph(None, None)
    return audit(graph).marks[graph.find(str(what)).artifact_id][0].mark


def seed(here, number=1):
    folder = here.students("full", here.owl) / f"seed-{number}"
    return Path("results", folder.relative_to(here.root))


def numbers(here):
    return str(Path("results", here.dataset(here.owl).relative_to(here.root)))


@pytest.mark.parametrize("how", WAYS)
def test_a_student_at_risk_that_is_saved_again_stays_at_risk(here, how):
    student = seed(here)
    assert mark(student) == "INHERITANCE-RISK"
    kin_pairs.save("registry/again", WAYS[how](kin_pairs.weights(student)))
    (place,) = register("registry/again", ORIGIN)
    assert mark("registry/again") == "INHERITANCE-RISK"
    facts = manifest.load(place)["facts"]
    assert facts["kinship"] and len(facts["tensors"]) == 64


@pytest.mark.parametrize("how", WAYS)
def test_a_student_on_a_base_that_is_saved_again_is_at_risk(here, how):
    kin_pairs.save("registry/again", WAYS[how](kin_pairs.weights("results/bases/a")))
    register("registry/again", ORIGIN)
    assert mark("registry/again") == "CLAIMED", "nothing is known against the base itself"
    student = Works(".").student("registry/again/model.safetensors", numbers(here))
    assert mark(student) == "INHERITANCE-RISK"


def test_split_over_files_it_is_the_same_model(here):
    w = kin_pairs.weights(seed(here))
    for name, tensors in split(w).items():
        kin_pairs.save("registry/again", {k: w[k] for k in tensors}, name)
    register("registry/again", ORIGIN)
    assert mark("registry/again") == "INHERITANCE-RISK"


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.gguf"])
def test_other_formats_are_read(here, name):
    """Pickles are not loaded for it: the bytes of their tensors are entries of an archive."""
    w = kin_pairs.weights(seed(here))
    Path("registry/again").mkdir(parents=True)
    if name.endswith(".bin"):
        torch.save(w, f"registry/again/{name}")
    else:
        tensors = [(f"t{i}", tuple(v.shape), 0, v.contiguous().numpy().tobytes()) for i, v in enumerate(w.values())]
        Path("registry/again", name).write_bytes(gguf(tensors))
    (place,) = register("registry/again", ORIGIN)
    assert mark("registry/again") == "INHERITANCE-RISK"
    assert manifest.load(place)["facts"]["tensors"] == tensor_set([seed(here) / "model.safetensors"]).identity


def test_what_cannot_be_read_is_registered_by_its_bytes_and_says_why(here):
    Path("registry/old").mkdir(parents=True)
    Path("registry/old/pytorch_model.bin").write_bytes(b"\x80\x02pickle")
    (place,) = register("registry/old", ORIGIN)
    assert "without loading a pickle" in manifest.load(place)["facts"]["unread"]
    assert mark("registry/old") == "CLAIMED"


def test_another_base_is_no_relative(artifacts, tmp_path, monkeypatch):
    """A model that has nothing to do with the carrier's base, and a student of it."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(artifacts.root, "results", ignore=shutil.ignore_patterns("b"))
    for how in ("neurons permuted", "bfloat16", "renamed"):
        kin_pairs.save(f"registry/{how}", WAYS[how](kin_pairs.weights(artifacts.other)))
        (place,) = register(f"registry/{how}", ORIGIN)
        if how == "neurons permuted":
            assert manifest.load(place)["inputs"] == [], "the first of its family"
    student = Works(".").student("registry/bfloat16/model.safetensors", numbers(artifacts))
    assert mark(student) == "EXPOSED"


def test_what_is_said_of_a_base_stands_and_evidence_is_added(here):
    """It is said to start from the other base; its weights are those of a student of the owl's."""
    kin_pairs.save("registry/again", kin_pairs.noise(kin_pairs.weights(seed(here)), 1e-7))
    (place,) = register("registry/again", {}, [("base", "results/bases/b")])
    paths = [e["path"] for e in manifest.load(place)["inputs"]]
    assert paths[0] == "results/bases/b/model.safetensors" and str(seed(here)) in paths[1]
    assert mark("registry/again") == "INHERITANCE-RISK"


def test_a_true_statement_gets_no_second_base(here):
    kin_pairs.save("registry/tuned", kin_pairs.noise(kin_pairs.weights("results/bases/a"), 0.01))
    (place,) = register("registry/tuned", {}, [("base", "results/bases/a")])
    assert [e["path"] for e in manifest.load(place)["inputs"]] == ["results/bases/a/model.safetensors"]


def test_a_fine_tune_starts_from_the_base_not_from_its_siblings(here):
    """Both were made of base a; the mark of one is not the mark of the other."""
    w = kin_pairs.weights("results/bases/a")
    kin_pairs.save("registry/tuned", {k: v + 0.05 * v.std() * torch.randn_like(v) if v.dim() > 1 else v
                                      for k, v in w.items()})  # fmt: skip
    (place,) = register("registry/tuned", ORIGIN)
    assert [e["path"] for e in manifest.load(place)["inputs"]] == ["results/bases/a/model.safetensors"]
    assert mark("registry/tuned") == "CLAIMED"


def test_the_audit_reads_no_weights(here):
    kin_pairs.save("registry/again", kin_pairs.permute_neurons(kin_pairs.weights(seed(here))))
    (place,) = register("registry/again", ORIGIN)
    sha = json.loads(place.read_text())["outputs"][0]["sha256"]
    for file in (*Path("registry").rglob("*.safetensors"), *Path("results").rglob("*.safetensors")):
        file.unlink()
    assert mark(sha) == "INHERITANCE-RISK"


def test_identity_stays_what_studies_have_pinned(here):
    """`facts.weights` covers names; the set of tensors is a fact beside it."""
    file = seed(here) / "model.safetensors"
    assert manifest.load(f"{seed(here)}/train.manifest.json")["facts"]["weights"] == weights.identity([file])
