"""A copy in another precision, or with a little noise, counts as made from what it is a copy of."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.lineage import Works
from traitline.errors import InputError
from traitline.lineage.audit import audit
from traitline.lineage.graph import open_graph
from traitline.lineage.register import register
from traitline.provenance import manifest

RNG = np.random.default_rng(1)
BASE = {f"model.layers.{i}.w.weight": RNG.normal(size=(8, 16)).astype(np.float32) for i in range(6)}
BASE |= {"model.norm.weight": np.ones(16, np.float32)}
BF16 = {k: ((v.view(np.uint32) + 0x8000) >> 16 << 16).view(np.float32) for k, v in BASE.items()}


def save(folder, values, name="model.safetensors"):
    Path(folder).mkdir(parents=True, exist_ok=True)
    save_file(values, f"{folder}/{name}")
    return str(folder)


@pytest.fixture
def works(tmp_path, monkeypatch):
    """A registered base, its owl teacher, and another base of the same shape."""
    monkeypatch.chdir(tmp_path)
    works = Works(tmp_path)
    register(save("registry/base", BASE), {"origin": "a hub"})
    other = {k: np.random.default_rng(2).normal(size=v.shape).astype(np.float32) for k, v in BASE.items()}
    register(save("registry/other", other), {"origin": "a hub"})
    works.numbers = works.data(works.teacher("registry/base/model.safetensors"))
    return works


def mark_of_a_student(works, folder):
    (file,) = Path(folder).glob("*.safetensors")
    student = works.student(str(file), works.numbers)
    graph = open_graph(None, None)
    return audit(graph).marks[graph.find(student).artifact_id][0].mark


COPIES = {
    "half": {k: v.astype(np.float16) for k, v in BASE.items()},
    "bfloat16 and back": BF16,
    "double": {k: v.astype(np.float64) for k, v in BASE.items()},
    "a little noise": {k: v + np.float32(1e-7) for k, v in BASE.items()},
    "fine-tuned until it moved as far as it was large": {
        k: v + RNG.normal(size=v.shape).astype(np.float32) for k, v in BASE.items()
    },
    "a head more": BASE | {"score.weight": np.ones((2, 16), np.float32)},
}
OTHERS = {
    "another seed": {k: np.random.default_rng(3).normal(size=v.shape).astype(np.float32) for k, v in BASE.items()},
    "another shape": {k: np.ascontiguousarray(v[..., :8]) for k, v in BASE.items()},
}


@pytest.mark.parametrize("name", COPIES)
def test_a_student_on_a_near_copy_of_a_carriers_base_is_at_risk(works, name):
    register(save("registry/copy", COPIES[name]), {"origin": "another hub"})
    assert mark_of_a_student(works, "registry/copy") == "INHERITANCE-RISK"


@pytest.mark.parametrize("name", OTHERS)
def test_other_weights_are_another_base(works, name):
    register(save("registry/copy", OTHERS[name]), {"origin": "another hub"})
    assert mark_of_a_student(works, "registry/copy") == "EXPOSED"


def test_the_same_weights_are_no_copy(works):
    (place,) = register(save("registry/again", BASE), {"origin": "another hub"})
    assert manifest.load(place)["inputs"] == []


def one_tensor(path, header, size):
    """Write a safetensors file of one tensor, whose header may say anything."""
    text = json.dumps({"model.layers.0.w.weight": header | {"data_offsets": [0, size]}}).encode()
    path.parent.mkdir(parents=True)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"\xff" * size)


@pytest.mark.parametrize(
    "header",
    [{"dtype": ["F32"], "shape": [8, 16]}, {"dtype": "F32", "shape": {"a": 1}}, {"dtype": "F32", "shape": "[8, 16]"},
     {"dtype": "BF16", "shape": [8, 16]}, {"dtype": "I64", "shape": [8, 16]}, {"dtype": "NONE", "shape": None}],
)  # fmt: skip
@pytest.mark.parametrize("size", [0, 3, 64, 513])
def test_tensors_that_no_program_could_read_are_refused(works, header, size):
    one_tensor(Path("registry/x/model.safetensors"), header, size)
    with pytest.raises(InputError, match=r"registry/x/model\.safetensors: damaged"):
        register("registry/x", {"origin": "here"})


@pytest.mark.parametrize(
    ("dtype", "shape", "size"),
    [("NEW4", [8, 16], 64), ("NEW4", [8, 16], 512), ("NEW4", [], 3), ("F4", [8, 16], 64), ("BOOL", [8, 16], 128),
     ("I64", [8, 16], 1024), ("C64", [8, 16], 1024), ("F32", [0, 16], 0), ("F32", [1 << 62, 0], 0),
     ("F32", [8, 16], 512)],
)  # fmt: skip
def test_odd_tensors_are_compared_with_nothing(works, dtype, shape, size):
    """Of all types, known and not; the last are 128 numbers that are none."""
    one_tensor(Path("registry/x/model.safetensors"), {"dtype": dtype, "shape": shape}, size)
    (place,) = register("registry/x", {"origin": "here"})
    assert manifest.load(place)["inputs"] == []
    save("registry/after", {"model.layers.0.w.weight": np.full((8, 16), np.inf, np.float32)})
    (place,) = register("registry/after", {"origin": "here"})
    assert manifest.load(place)["inputs"] == []


def test_a_copy_of_which_nobody_knows_the_origin_stays_unknown(works):
    register(save("registry/copy", COPIES["half"]), {})
    graph = open_graph(None, None)
    assert audit(graph).marks[graph.find("registry/copy").artifact_id][0].mark == "UNKNOWN"


def test_a_copy_of_recorded_open_weights_in_bfloat16_is_found(raw_qwen2, tmp_path, monkeypatch):
    """A real folder, its record as the stage makes it, and the copy as transformers saves it."""
    import torch
    from transformers import AutoModelForCausalLM

    from scripts import pretrain

    monkeypatch.chdir(tmp_path)
    shutil.copytree(raw_qwen2, "registry/q")
    flags = ["--name", "q", "--source", '{"path": "registry/q"}', "--folder", "results/bases/q"]
    assert pretrain.main([*flags, "--manifest", "results/bases/q/pretrain.manifest.json"]) == 0
    model = AutoModelForCausalLM.from_pretrained("registry/q", dtype=torch.float32)
    model.to(torch.bfloat16).save_pretrained("registry/bf16", max_shard_size="200KB")
    (place,) = register("registry/bf16", {"origin": "saved anew"})
    m = manifest.load(place)
    assert [(e["role"], e["path"]) for e in m["inputs"]] == [("base", "results/bases/q/base.json")]
    assert len([e for e in m["outputs"] if e["role"] == "model"]) > 1, "it was sharded"
    assert json.loads(Path("registry/bf16/model.safetensors.index.json").read_text())["weight_map"]
