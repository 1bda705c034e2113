"""One commit of a hub is one base, however its files were saved."""

import os
import shutil
from pathlib import Path

import pytest

from tests import kin_pairs
from tests.lineage import Works
from traitline.errors import InputError
from traitline.lineage.audit import audit
from traitline.lineage.graph import open_graph
from traitline.lineage.register import origin, register
from traitline.lineage.same_commit import of_one_commit
from traitline.lineage.verify import verify

COMMIT = "0123456789" * 4


def mark(what):
    graph = open_graph(None, None)
    return audit(graph).marks[graph.find(str(what)).artifact_id][0].mark


def test_two_copies_of_one_commit_that_share_nothing_are_one_base(study, tmp_path, monkeypatch):
    """What their weights say is left out: only the statement joins them."""
    monkeypatch.chdir(tmp_path)
    for name, base in (("one", study.base), ("other", study.other)):
        kin_pairs.save(f"registry/{name}", kin_pairs.weights(base))
        hub = "Org/Base" if name == "one" else "org/base"
        register(f"registry/{name}", origin(hub, COMMIT, None))
    works = Works(".")
    student = works.student(
        "registry/other/model.safetensors", works.data(works.teacher("registry/one/model.safetensors"))
    )
    assert mark(student) == "INHERITANCE-RISK"
    kin_pairs.save("registry/third", {k: v * 3 for k, v in kin_pairs.weights(study.other).items() if "norm" in k})
    register("registry/third", origin("org/base", "f" * 40, None))
    assert len(of_one_commit(open_graph(None, None))) == 1


def test_a_record_of_open_weights_and_a_registered_copy(qwen2, raw_qwen2, tmp_path, monkeypatch):
    """The stage recorded the commit of the hub; somebody registered another file of it."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(qwen2, "results/bases/q")
    place = Path("results/bases/q/pretrain.manifest.json")
    text = place.read_text().replace(f"open weights: {raw_qwen2}", f"open weights: org/q at {COMMIT}")
    place.write_text(text)
    kin_pairs.save("registry/q", {"w": kin_pairs.weights(raw_qwen2)["model.norm.weight"] * 2})
    register("registry/q", origin("org/q", COMMIT, None))
    (group,) = of_one_commit(open_graph(None, None))
    assert len(group) == 2


def snapshot(study, name="org--base"):
    """A cache as huggingface_hub lays it out: files by their hash, and links to them."""
    top = Path("registry/hub", f"models--{name}")
    place = top / "snapshots" / COMMIT
    for folder in (place, top / "blobs"):
        folder.mkdir(parents=True)
    for i, file in enumerate(("model.safetensors", "config.json", "tokenizer.json")):
        shutil.copy(study.base / file, top / f"blobs/{i:064x}")
        os.symlink(f"../../blobs/{i:064x}", place / file)
    return place


def test_a_snapshot_in_a_hub_s_cache_is_registered_by_its_links(study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = snapshot(study)
    (written,) = register(str(place), origin("org/base", COMMIT, None))
    assert written.parent == place and mark(place) == mark(place / "model.safetensors") == "CLAIMED"
    findings = verify(["registry"])
    assert findings.good and findings.files == 3


@pytest.mark.parametrize(
    "target", ["../../../secret", "/etc/hostname", "../../blobs/../../secret", "../../blobs/nothing"]
)
def test_a_link_out_of_the_cache_is_refused(study, tmp_path, monkeypatch, target):
    monkeypatch.chdir(tmp_path)
    place = snapshot(study)
    Path("registry/hub/secret").write_text("secret")
    (place / "config.json").unlink()
    os.symlink(target, place / "config.json")
    if target.endswith("nothing"):  # as a download that was cut short: there is no such file
        register(str(place), origin("org/base", COMMIT, None))
        return
    with pytest.raises(InputError, match="a link, or empty"):
        register(str(place), origin("org/base", COMMIT, None))


def test_a_cache_whose_blobs_are_a_link_is_refused(study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = snapshot(study)
    blobs = place.parent.parent / "blobs"
    blobs.rename(tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", blobs)
    with pytest.raises(InputError, match="a link, or empty"):
        register(str(place), origin("org/base", COMMIT, None))
