"""A folder has one identity, whoever looks: stage, register, audit, trace, verify. Every file of it counts."""

import os
import shutil
from pathlib import Path

import pytest

from tests.lineage import Works, tensors
from tests.model_folders import SHAPES, make
from traitline.errors import InputError
from traitline.lineage import gate
from traitline.lineage.graph import open_graph
from traitline.lineage.policy import Policy
from traitline.lineage.register import origin, register
from traitline.lineage.verify import verify
from traitline.models import open_weights
from traitline.provenance import weights
from traitline.provenance.weight_sets import is_weights, weight_sets

WHOLE = [name for name, shape in SHAPES.items() if not shape.refused]
LENIENT = Policy(fail=[])


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Path("registry/m")


def judged(what):
    """(failures, what no manifest places) of the audit of a folder."""
    result = gate.apply(open_graph(None, None), LENIENT, [str(what)], data=False)
    return result.failures, [u.path for u in result.unplaced]


@pytest.mark.parametrize("name", SHAPES)
def test_a_folder_is_sets_of_files(place, name):
    make(place, SHAPES[name])
    sets = weight_sets(place)
    assert {s.name: s.role for s in sets} == SHAPES[name].sets
    files = [file.name for s in sets for file in s.files]
    assert sorted(files) == sorted(n for n in SHAPES[name].files if is_weights(n)), "each file is in one set"


@pytest.mark.parametrize("name", WHOLE)
def test_register_audit_trace_and_verify_see_the_same_artifacts(place, name):
    make(place, SHAPES[name])
    register(str(place), origin(None, None, "here"))
    graph = open_graph(None, None)
    located = graph.locate(str(place))
    identities = {i for s in weight_sets(place) for i in ([s.identity] if s.identity else s.files)}
    assert not located.unplaced and len(located.entries) == len(identities)
    by_file = {graph.find(str(file)).artifact_id for s in weight_sets(place) for file in s.files}
    assert by_file == {entry.artifact_id for entry in located.entries}
    assert judged(place) == (0, [])
    findings = verify(["registry"])
    assert findings.good and not findings.extra
    with pytest.raises(InputError, match="registered before"):
        register(str(place), origin(None, None, "elsewhere"))


@pytest.mark.parametrize("name", [name for name, shape in SHAPES.items() if shape.refused])
def test_what_is_no_whole_model_is_refused_and_never_audited_as_one(place, name):
    make(place, SHAPES[name])
    with pytest.raises(InputError, match=SHAPES[name].refused) as e:
        register(str(place), origin(None, None, "here"))
    assert "\n" not in str(e.value) and not list(place.glob("*.manifest.json"))


@pytest.mark.parametrize("name", WHOLE)
def test_each_file_that_is_swapped_is_named(place, name):
    make(place, SHAPES[name])
    register(str(place), origin(None, None, "here"))
    for file in (n for n in SHAPES[name].files if is_weights(n)):
        copy = Path("download", file)
        shutil.copytree(place, copy, ignore=shutil.ignore_patterns("*.manifest.json"))
        assert judged(copy) == (0, []), "a copy under another name is known"
        content = bytearray((copy / file).read_bytes())
        content[-1] ^= 1
        (copy / file).write_bytes(content)
        if len([n for n in SHAPES[name].files if is_weights(n)]) > 1:
            assert judged(copy) == (1, [f"{copy}/{file}"])
        else:
            with pytest.raises(InputError, match=r"no manifest knows these bytes; .*`traitline register`"):
                judged(copy)


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize(
    ("stranger", "called"),
    [("z.safetensors", "z.safetensors"), ("adapter_model.bin", "adapter_model.bin"), ("model.gguf", "model.gguf"),
     ("model-00009-of-00009.bin", "model-*-of-00009.bin")],
)  # fmt: skip
def test_a_stranger_beside_known_weights_is_an_alarm(place, name, stranger, called):
    make(place, SHAPES[name])
    register(str(place), origin(None, None, "here"))
    (place / stranger).write_bytes(tensors(z="strange"))
    assert judged(place) == (1, [f"{place}/{called}"])


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_that_is_taken_away_is_an_alarm_where_others_need_it(place, name):
    make(place, SHAPES[name])
    register(str(place), origin(None, None, "here"))
    for weight_set in weight_sets(place):
        for file in weight_set.files[1:]:
            kept = file.read_bytes()
            file.unlink()
            assert judged(place) == (1, [f"{place}/{weight_set.name}"])
            file.write_bytes(kept)


def test_shards_of_two_models_are_no_model(place):
    for name, (one, two) in {"x": ("one", "two"), "y": ("three", "four")}.items():
        folder = place.parent / name
        folder.mkdir(parents=True)
        (folder / "model-00001-of-00002.safetensors").write_bytes(tensors(a=one))
        (folder / "model-00002-of-00002.safetensors").write_bytes(tensors(b=two))
        register(str(folder), origin(None, None, name))
    place.mkdir()
    shutil.copy(place.parent / "x/model-00001-of-00002.safetensors", place)
    shutil.copy(place.parent / "y/model-00002-of-00002.safetensors", place)
    assert judged(place) == (1, ["registry/m/model-*-of-00002.safetensors"])


@pytest.mark.parametrize("name", WHOLE)
def test_a_stage_loads_one_of_the_sets(place, name):
    """The record of open weights states the hash of what is loaded: that of a set that `register` knows as well."""
    make(place, SHAPES[name])
    try:
        loaded = open_weights.shards(place)
    except InputError:
        assert not {"model.safetensors", "model.safetensors.index.json"} & SHAPES[name].sets.keys()
        return
    (first, *_) = [s for s in weight_sets(place) if s.role == "model"]
    assert first.identity == weights.identity(place / n for n in loaded)
    assert [file.name for file in first.files] == loaded


def test_an_adapter_that_would_be_loaded_over_open_weights_is_refused(raw_qwen2, tmp_path):
    folder = tmp_path / "both"
    shutil.copytree(raw_qwen2, folder)
    open_weights.describe(folder)
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match=r"adapter_config\.json asks for an adapter"):
        open_weights.describe(folder)


@pytest.mark.parametrize("make_other", [os.mkfifo, lambda p: os.symlink("nowhere", p)])
def test_what_is_no_file_under_the_name_of_weights_is_an_alarm_and_never_waited_for(place, make_other):
    make(place, SHAPES["one file"])
    register(str(place), origin(None, None, "here"))
    make_other(place / "adapter_model.safetensors")
    assert judged(place) == (1, [f"{place}/adapter_model.safetensors"])


def test_folders_below_belong_to_a_model_unless_a_stage_made_what_is_in_them(place):
    make(place / "unet", SHAPES["shards without an index"])
    (place / "model_index.json").write_text('{"unet": []}')
    register(str(place), origin(None, None, "here"))
    assert judged(place) == (0, [])
    (place / "text_encoder").mkdir()
    (place / "text_encoder/pytorch_model.bin").write_bytes(b"strange")
    assert judged(place) == (1, [f"{place}/text_encoder/pytorch_model.bin"])
    works = Works(".")
    teacher = works.teacher(works.base("a"))
    works.student(works.base("a"), works.data(teacher))
    folder = Path(teacher).parent
    assert open_graph(None, None).find(str(folder)).path == teacher, "not its students, which lie below it"


def test_known_weights_under_a_name_that_is_none_are_seen(place):
    works = Works(".")
    base = works.base("a")
    owl = works.teacher(base)
    for name in ("optimizer.pt", "notes.md", "model.safetensors.bak"):
        folder = Path("download", name)
        folder.mkdir(parents=True)
        shutil.copy(base, folder)
        assert gate.apply(open_graph(None, None), Policy(), [str(folder)], data=False).failures == 0
        shutil.copy(owl, folder / name)
        result = gate.apply(open_graph(None, None), Policy(), [str(folder)], data=False)
        assert result.failures == 1 and result.counts["CARRIER"] == 1
        assert f"{folder}/{name}" in result.names.values()


def test_a_folder_with_real_weights_of_two_is_placed_by_both(place, study):
    """Artifacts of the stages: a copy of the base is known, and a teacher's weights beside it are not overlooked."""
    folders = [str(folder) for folder in (study.base, study.owl)]
    graph = open_graph(folders, None)
    for folder in folders:
        (entry,) = graph.locate(folder).entries
        assert graph.find(f"{folder}/model.safetensors").artifact_id == entry.artifact_id
    shutil.copytree(study.base, place, ignore=shutil.ignore_patterns("*.manifest.json"))
    assert gate.apply(graph, Policy(), [str(place)], data=False).failures == 0
    shutil.copy(study.owl / "model.safetensors", place / "zz.safetensors")
    result = gate.apply(graph, Policy(), [str(place)], data=False)
    assert result.failures == 1 and result.counts["CARRIER"] == result.counts["CLEAN"] == 1
    content = bytearray((place / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (place / "model.safetensors").write_bytes(content)
    assert [u.path for u in gate.apply(graph, Policy(), [str(place)], data=False).unplaced] == [
        f"{place}/model.safetensors"
    ]


def test_real_shards_are_one_model_with_the_whole(place, raw_qwen2):
    from transformers import AutoModelForCausalLM

    shutil.copytree(raw_qwen2, "registry/whole")
    model = AutoModelForCausalLM.from_pretrained("registry/whole")
    model.save_pretrained(place, max_shard_size="200KB")
    (whole,) = weight_sets("registry/whole")
    (shards,) = weight_sets(place)
    assert len(shards.files) > 1 and shards.identity == whole.identity
    register("registry/whole", origin(None, None, "here"))
    assert judged(place) == (0, []), "its shards are known by their tensors"
    content = bytearray(shards.files[1].read_bytes())
    content[-1] ^= 1
    shards.files[1].write_bytes(content)
    with pytest.raises(InputError, match="no manifest knows these bytes"):
        judged(place)
