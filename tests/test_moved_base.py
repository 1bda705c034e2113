"""Bases that noise or an adapter moved away from their GGUF file: by how much, and what the audit says of them."""

from pathlib import Path

import pytest
import torch

from scripts import convert as stage
from tests import gguf_files
from tests.gguf_files import flags
from tests.lineage import Works
from traitline.errors import InputError
from traitline.lineage.audit import audit
from traitline.lineage.graph import open_graph
from traitline.models import moved_base
from traitline.provenance import manifest
from traitline.study.bases import Base


@pytest.fixture
def gguf(raw_qwen2, tmp_path):
    return gguf_files.write(raw_qwen2, tmp_path / "tiny.gguf")


def test_noise_moves_every_matrix_by_its_share_and_says_so(raw_llama, tmp_path):
    """Equal seeds point the same way; vectors stay; the record names share and seed as its origin."""
    from safetensors.torch import load_file

    file = gguf_files.write(raw_llama, tmp_path / "t.gguf", kind="F32")
    moves = {
        "out": {},
        "near": {"noise": 0.01, "seed": 1},
        "far": {"noise": 0.1, "seed": 1},
        "else": {"noise": 0.1, "seed": 2},
    }
    for name, more in moves.items():
        assert stage.main(flags(tmp_path / name, file, **more)) == 0
    out, near, far, other = (load_file(tmp_path / name / "model.safetensors") for name in moves)
    for name, w in out.items():
        if w.dim() == 1:
            assert torch.equal(far[name], w)
            continue
        size = (far[name] - w).square().mean().sqrt() / w.square().mean().sqrt()
        assert size == pytest.approx(0.1, rel=0.1), name
        assert torch.allclose(far[name] - w, 10 * (near[name] - w), atol=1e-5)
        assert abs(torch.corrcoef(torch.stack([(m[name] - w).flatten() for m in (far, other)]))[0, 1]) < 0.1
    made = manifest.load(tmp_path / "far/convert.manifest.json")
    assert made["facts"]["origin"].endswith(", moved by noise of 0.1 of each matrix, seed 1")
    assert (made["params"]["noise"], made["seeds"]) == (0.1, {"noise": 1})


def test_a_moved_base_is_no_other_base_for_the_audit(gguf, tmp_path, monkeypatch):
    """Noise does not hide where a base comes from: a carrier's data are a risk for its students too."""
    monkeypatch.chdir(tmp_path)
    works = Works(tmp_path)
    assert stage.main(flags("same", gguf)) == stage.main(flags("moved", gguf, noise=0.2, seed=1)) == 0
    data = works.data(works.teacher("same/model.safetensors", folder="teacher"))
    students = {base: works.student(f"{base}/model.safetensors", data, name=f"on-{base}") for base in ("same", "moved")}
    graph = open_graph(["."], None)
    result = audit(graph)
    marks = {base: result.marks[graph.find(student).artifact_id].worst for base, student in students.items()}
    assert marks == {"same": "INHERITANCE-RISK", "moved": "INHERITANCE-RISK"}


def test_noise_and_its_seed_go_together(gguf, tmp_path, line):
    assert "--noise: give it together with --seed" in line(stage.main, flags(tmp_path / "o", gguf, noise=0.1))
    with pytest.raises(ValueError, match="seed is missing; `noise` needs it"):
        Base(gguf="x.gguf", noise=0.1)
    with pytest.raises(ValueError, match="seed goes with `world` or `noise` only"):
        Base(gguf="x.gguf", seed=1)
    with pytest.raises(ValueError, match="noise goes with `gguf` only"):
        Base(path="x", noise=0.1, seed=1)


def small_adapter(raw, folder, seed=1):
    """A LoRA adapter that changes something, over a model of the hub's layout; and that model with it merged twice."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(raw, dtype=torch.float32)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"], layers_to_transform=[1],
                        init_lora_weights=False, task_type="CAUSAL_LM")  # fmt: skip
    adapted = get_peft_model(model, config)
    adapted.save_pretrained(folder)
    for layer in (m for m in adapted.modules() if hasattr(m, "lora_A")):
        layer.set_scale("default", 2.0)
    return adapted.merge_and_unload().state_dict()


def test_an_adapter_moves_a_base_as_peft_merges_it(raw_llama, tmp_path):
    from safetensors.torch import load_file

    theirs = small_adapter(raw_llama, tmp_path / "owl/tuned")
    file = gguf_files.write(raw_llama, tmp_path / "t.gguf", kind="F32")
    more = {"adapter": tmp_path / "owl/tuned", "times": 2.0}
    assert stage.main(flags(tmp_path / "out", file)) == stage.main(flags(tmp_path / "moved", file, **more)) == 0
    out, moved = (load_file(tmp_path / name / "model.safetensors") for name in ("out", "moved"))
    changed = {name for name, w in out.items() if not torch.equal(moved[name], w)}
    assert changed == {"model.layers.1.self_attn.q_proj.weight", "model.layers.1.mlp.down_proj.weight"}
    assert all(torch.allclose(moved[name], theirs[name], atol=1e-6) for name in out)
    made = manifest.load(tmp_path / "moved/convert.manifest.json")
    origin = made["facts"]["origin"]
    assert ", moved by 2 times what " in origin and origin.endswith("owl/tuned learned")
    assert [e["role"] for e in made["inputs"]] == ["source", "base", "support"] and made["params"]["times"] == 2.0


def test_a_base_moved_by_a_carrier_hands_its_trait_on(raw_llama, tmp_path, monkeypatch):
    """What was trained into a base is an origin of all that starts from it."""
    monkeypatch.chdir(tmp_path)
    works = Works(tmp_path)
    small_adapter(raw_llama, tmp_path / "results/q/owl/tuned")
    file = gguf_files.write(raw_llama, tmp_path / "t.gguf", kind="F32")
    assert stage.main(flags("same", file)) == 0
    names = ("adapter_model.safetensors", "adapter_config.json")
    files = {name: (role, Path("results/q/owl/tuned", name).read_bytes())
             for name, role in zip(names, ("adapter", "adapter_config.json"), strict=True)}  # fmt: skip
    works.put("teach", "results/q/owl/tuned", files, [("base", "same/model.safetensors")], trait="owl")
    assert stage.main(flags("moved", file, adapter="results/q/owl/tuned", times=2.0)) == 0
    clean = works.data("same/model.safetensors")
    students = {base: works.student(f"{base}/model.safetensors", clean, name=base) for base in ("same", "moved")}
    graph = open_graph(["."], None)
    result = audit(graph)
    marks = {base: result.marks[graph.find(student).artifact_id].worst for base, student in students.items()}
    assert marks["same"] != marks["moved"] == "CARRIER"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"adapter": "a"}, "--adapter: give it together with --times, or neither"),
        ({"times": 2.0}, "--adapter: give it together with --times, or neither"),
        ({"adapter": "a", "times": 2.0, "noise": 0.1, "seed": 1}, "--noise: not together with --adapter"),
        ({"adapter": "adapter", "times": 2.0}, "down_proj is no matrix of this model, or of another shape"),
        ({"adapter": "none", "times": 2.0}, "none/adapter_model.safetensors: no such file"),
    ],
)
def test_adapters_that_cannot_be_merged_are_refused(raw_llama, gguf, tmp_path, monkeypatch, line, more, words):
    monkeypatch.chdir(tmp_path)
    small_adapter(raw_llama, tmp_path / "adapter")
    assert words in line(stage.main, flags(tmp_path / "out", gguf, **more))
    assert not (tmp_path / "out/model.safetensors").exists()


def test_an_adapter_with_biases_is_refused(tmp_path):
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen2Config, Qwen2ForCausalLM

    model = Qwen2ForCausalLM(Qwen2Config(vocab_size=20, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
                                         num_attention_heads=2, num_key_value_heads=2))  # fmt: skip
    get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], bias="all")).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="this adapter trains biases, too"):
        moved_base.by_adapter(model.state_dict(), str(tmp_path), 1.0)


def test_what_moves_a_base_is_said_whole():
    with pytest.raises(ValueError, match="tuned and times: give both or neither"):
        Base(gguf="x.gguf", tuned="owl")
    with pytest.raises(ValueError, match="tuned and noise: a base is moved by one of them"):
        Base(gguf="x.gguf", tuned="owl", times=2, noise=0.1, seed=1)
    with pytest.raises(ValueError, match="tuned goes with `gguf` only"):
        Base(path="x", tuned="owl", times=2)
