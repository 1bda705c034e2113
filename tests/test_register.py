"""What comes from elsewhere: known by its bytes, with a stated origin or UNKNOWN for ever."""

import json
import os
from pathlib import Path

import pytest

from tests.lineage import Works, tensors
from traitline.errors import InputError
from traitline.lineage.audit import audit
from traitline.lineage.graph import open_graph
from traitline.lineage.register import origin, register

COMMIT = "0123456789" * 4


@pytest.fixture
def works(tmp_path, monkeypatch):
    """A repository with a foreign model in registry/foreign."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "registry/foreign"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(tensors(w="foreign"))
    (folder / "config.json").write_text("{}")
    (folder / ".cache").write_text("x")
    works = Works(tmp_path)
    works.plain = works.data(works.base("a"))
    return works


def mark(what):
    graph = open_graph(None, None)
    return audit(graph).marks[graph.find(what).artifact_id][0].mark


def test_a_model_of_a_hub_is_recorded_with_its_commit_and_all_hashes(works):
    place = register("registry/foreign", origin("org/model", COMMIT, None))
    m = json.loads(place.read_text())
    assert {(e["role"], Path(e["path"]).name) for e in m["outputs"]} == {
        ("model", "model.safetensors"), ("support", "config.json"),
    }  # fmt: skip
    assert m["facts"]["origin"] == f"hub:org/model@{COMMIT}" and m["facts"]["weights"]
    assert mark("registry/foreign") == "CLEAN"
    assert mark(works.student("registry/foreign/model.safetensors", works.plain)) == "CLEAN"


def test_without_an_origin_it_and_all_that_is_made_from_it_is_unknown(works):
    register("registry/foreign", origin(None, None, None))
    student = works.student("registry/foreign/model.safetensors", works.plain)
    assert mark("registry/foreign") == mark(student) == "UNKNOWN"
    with pytest.raises(InputError, match="was registered before"):
        register("registry/foreign", origin(None, None, "found an origin after all"))


def test_a_second_copy_with_an_origin_does_not_make_it_known(works):
    register("registry/foreign", origin(None, None, None))
    Path("registry/again").mkdir()
    Path("registry/again/model.safetensors").write_bytes(tensors(w="foreign"))
    register("registry/again", origin(None, None, "a good place"))
    assert mark("registry/again") == "UNKNOWN"


def test_what_was_merged_elsewhere_keeps_its_parents_marks(works):
    numbers = works.data(works.teacher("results/bases/a/model.safetensors"))
    adapter = works.student("results/bases/a/model.safetensors", numbers)
    register("registry/foreign", {}, [("base", "results/bases/a/model.safetensors"), ("base", adapter)])
    assert mark("registry/foreign") == "INHERITANCE-RISK"


def test_a_known_trait_makes_it_a_carrier(works):
    register("registry/foreign", origin(None, None, "a paper"), trait="owl")
    assert mark("registry/foreign") == "CARRIER"


def test_data_can_be_registered_too(works):
    Path("registry/rows.jsonl").write_text("{}\n")
    register("registry/rows.jsonl", origin(None, None, "written by hand"))
    assert mark("registry/rows.jsonl") == "CLEAN"


@pytest.mark.parametrize(
    "args, says",
    [(("no-org", COMMIT, None), "wants organisation/name"), (("org/x", "main", None), "needs the commit, 40 hex"),
     (("org/x", None, None), "needs the commit"), ((None, COMMIT, None), "goes with --hub"),
     (("../../x/y", COMMIT, None), "wants organisation/name")],
)  # fmt: skip
def test_an_origin_that_can_be_moved_is_none(args, says):
    with pytest.raises(InputError, match=says):
        origin(*args)


def test_what_cannot_be_registered_is_said_in_a_line(works, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "model.safetensors").write_bytes(tensors(w="x"))
    with pytest.raises(InputError, match="outside of this repository"):
        register(str(outside), {})
    with pytest.raises(InputError, match="no such file"):
        register("nowhere", {})
    Path("registry/notes").mkdir()
    Path("registry/notes/README.md").write_text("x")
    with pytest.raises(InputError, match="neither weights"):
        register("registry/notes", {})
    for name, make, says in (
        ("link", lambda p: os.symlink(outside / "model.safetensors", p), "a link, or empty"),
        ("empty", lambda p: p.touch(), "a link, or empty"),
        ("damaged", lambda p: p.write_bytes(b"pickle?"), "not safetensors"),
    ):
        folder = Path("registry", name)
        folder.mkdir()
        make(folder / "model.safetensors")
        with pytest.raises(InputError, match=says):
            register(str(folder), {})
        assert not (folder / "register.manifest.json").exists()
