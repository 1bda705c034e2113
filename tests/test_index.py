"""The index: the same answers from disk, nothing hostile gets in, and what is not whole is not there."""

import json
import os
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lineage import Works, tensors
from traitline.errors import InputError
from traitline.lineage import index, meaning, parallel
from traitline.lineage.graph import open_graph


@pytest.fixture
def works(tmp_path, monkeypatch):
    """A small lineage."""
    monkeypatch.chdir(tmp_path)
    works = Works(tmp_path)
    base = works.base("a")
    works.student(base, works.data(works.teacher(base)))
    return works


def everything(graph):
    return [sorted(map(str, graph.db.execute(f"SELECT * FROM {t}"))) for t in ("job", "content", "entry")]


def test_on_disk_and_in_memory_are_the_same(works):
    index.build(["results"], ".traitline/origins.db").close()
    assert everything(open_graph(None, ".traitline/origins.db")) == everything(open_graph(["results"], None))
    assert os.listdir(".traitline") == ["origins.db"]


def test_many_manifests_are_read_by_several_processes_alike(works, monkeypatch):
    one = everything(open_graph(None, None))
    monkeypatch.setattr(parallel, "PARALLEL", 1)
    assert everything(open_graph(None, None)) == one


def test_an_interrupted_build_leaves_the_old_index(works, monkeypatch):
    index.build(["results"], "origins.db").close()
    before = Path("origins.db").read_bytes()

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(index, "fill", stop)
    with pytest.raises(KeyboardInterrupt):
        index.build(["results"], "origins.db")
    assert Path("origins.db").read_bytes() == before and sorted(os.listdir()) == ["origins.db", "results"]


@pytest.mark.parametrize("content", [b"", b"text", b"SQLite format 3\0" + b"\0" * 100])
def test_something_else_is_no_index(works, content):
    Path("x.db").write_bytes(content)
    with pytest.raises(InputError, match=r"x\.db: not an index .*make it with `traitline index`"):
        index.connect("x.db")


def test_links_and_hidden_folders_are_not_followed(works, tmp_path_factory):
    outside = Works(tmp_path_factory.mktemp("outside"))
    outside.base("secret")
    before = index.manifests(["results"])
    os.symlink(outside.root, "results/link")
    os.symlink(outside.root / "results/bases/secret/pretrain.manifest.json", "results/link.manifest.json")
    Path("results/.hidden").mkdir()
    Path("results/.hidden/x.manifest.json").write_text("{")
    assert index.manifests(["results"]) == before


def test_a_folder_that_may_not_be_read_is_an_error_and_one_that_vanished_is_not(works, monkeypatch):
    real = os.scandir
    for error in (PermissionError, FileNotFoundError):

        def scan(path, error=error):
            if str(path).endswith("student"):
                raise error(path)
            return real(path)

        monkeypatch.setattr(os, "scandir", scan)
        if error is FileNotFoundError:
            assert len(index.manifests(["results"])) == 4
        else:
            with pytest.raises(InputError, match=r"student: may not be read"):
                index.manifests(["results"])


def test_support_that_a_job_read_is_no_origin_and_what_it_made_can_be_found(works):
    entry = works.entry("support", "results/bases/a/model.safetensors") | {"path": "results/bases/a/config.json"}
    works.write("train", "results/x", [entry | {"sha256": "1" * 64}], [ENTRY | {"path": "results/x/tokenizer.json"}])
    graph = open_graph(None, None)
    assert graph.find("results/x/tokenizer.json").kind == "support"
    with pytest.raises(InputError, match="neither a file nor a hash"):
        graph.find("1" * 64)


def test_weights_and_rows_are_what_they_are_whatever_the_role_they_were_read_as(works):
    """By their name, and where the name is that of support too, by what a job says that it wrote with these bytes."""
    model = works.entry("support", "results/bases/a/model.safetensors")
    for i, entry in enumerate((model, model | {"path": "results/bases/a/config.json"})):
        works.write("train", f"results/x{i}", [entry], [ENTRY | {"path": f"results/x{i}/x"}])
    graph = open_graph(None, None)
    readers = {job.file for job, _ in graph.users(graph.find("results/bases/a/model.safetensors").artifact_id)}
    assert {f"results/x{i}/train.manifest.json" for i in (0, 1)} <= readers


ENTRY = {"role": "raw", "path": "x", "sha256": "0" * 64, "bytes": 1}
HOSTILE = {
    "hash of another length": {"outputs": [ENTRY | {"sha256": "0" * 63}]},
    "hash in capitals": {"outputs": [ENTRY | {"sha256": "A" * 64}]},
    "hash with a newline": {"outputs": [ENTRY | {"sha256": "0" * 64 + "\n"}]},
    "size too large for a database": {"outputs": [ENTRY | {"bytes": 1 << 80}]},
    "negative size": {"outputs": [ENTRY | {"bytes": -1}]},
    "true for a size": {"outputs": [ENTRY | {"bytes": True}]},
    "a path that ends early": {"inputs": [ENTRY | {"path": "x\0y"}]},
    "a number for a role": {"inputs": [ENTRY | {"role": 1}]},
    "an object for a list": {"inputs": {}},
    "a list for an object": {"facts": []},
    "no stage": {"stage": None},
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_manifest_is_refused_by_name(works, change):
    works.write("filter", "results/x", [], [ENTRY], changed=change)
    with pytest.raises(InputError, match=r"^results/x/filter\.manifest\.json: damaged manifest"):
        open_graph(None, None)


@pytest.mark.parametrize(
    "text, says",
    [("[" * 200_000, "damaged"), ("{" + " " * (17 << 20) + "}", "larger than 16 MiB")],
    ids=["deep", "huge"],
)
def test_absurd_manifests_are_refused(works, text, says):
    Path("results/x.manifest.json").write_text(text)
    with pytest.raises(InputError, match=rf"^results/x\.manifest\.json: {says}"):
        open_graph(None, None)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["stage", "inputs", "outputs", "params", "facts", "code", "env", "seeds"]), json_values)
def test_any_value_anywhere_is_read_or_refused(works, key, value):
    works.write("filter", "results/x", [], [ENTRY], changed={key: value})
    try:
        open_graph(None, None)
    except InputError as e:
        assert "\n" not in str(e)


def test_kinds_of_entries():
    kinds = [meaning.kind(1, *e) for e in (("model", "m/model.safetensors"), ("adapter", "a/adapter_model.safetensors"),
             ("adapter", "a/adapter_config.json"), ("support", "m/tokenizer.json"), ("dataset", "v.jsonl"),
             ("teacher", "t/teacher.json"), ("scores", "s.json"))]  # fmt: skip
    assert kinds == ["model", "model", "support", "support", "data", "spec", "other"]


def test_without_manifests_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="none of results, studies, registry is here; run in the repository"):
        open_graph(None, None)
    Works("elsewhere").base("a")
    assert len(open_graph(None, None).files()) == 1, "in a folder that is no repository all below it counts"
    Path("results").mkdir()
    with pytest.raises(InputError, match="results: no manifest is there; run the pipeline first"):
        open_graph(None, None)
    with pytest.raises(InputError, match="nowhere: no such folder"):
        open_graph(["nowhere"], None)


def test_json_of_another_schema_is_refused(works):
    Path("results/x.manifest.json").write_text(json.dumps({"schema": "other/1"}))
    with pytest.raises(InputError, match="not a traitline-manifest/2 manifest"):
        open_graph(None, None)


def test_an_older_manifest_of_an_adapter_and_its_base_names_two_artifacts(works):
    files = {"adapter_model.safetensors": ("adapter", tensors(a="x")), "model.safetensors": ("model", tensors(w="y"))}
    works.put("register", "registry/both", files, origin="here")
    graph = open_graph(None, None)
    assert len({graph.find(f"registry/both/{name}").artifact_id for name in files}) == 2
    assert len(graph.locate("registry/both").entries) == 2


def test_where_there_is_nothing_yet_the_line_says_how_to_begin(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # without the usual folders, and with an empty one
        with pytest.raises(InputError, match="`traitline register`"):
            open_graph(None, None)
        Path("registry").mkdir(exist_ok=True)


def test_an_index_that_somebody_else_made_is_never_taken(works, monkeypatch, tmp_path_factory):
    """A hand-made one that calls every model clean, and an own one after one edit."""
    index.build(["results"], "origins.db").close()
    for file, edit in (("other.db", "UPDATE entry SET role = 'x'"), ("origins.db", "UPDATE job SET trait = NULL")):
        if file != "origins.db":
            Path(file).write_bytes(Path("origins.db").read_bytes())
        db = sqlite3.connect(file)
        with db:
            db.execute(edit)
        db.close()
        with pytest.raises(InputError, match=f"{file}: this account did not make these bytes"):
            open_graph(None, file)
    index.build(["results"], "origins.db").close()
    assert open_graph(None, "origins.db").files()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("another account")))
    with pytest.raises(InputError, match="this account did not make"):
        open_graph(None, "origins.db")
