"""A model keeps its set of tensors however it is saved; two models that share none say nothing about each other."""

import os
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.gguf_file import gguf
from traitline.provenance.tensor_sets import plain_name, tensor_set


@pytest.fixture(scope="module")
def base(raw_qwen2):
    """A real model as transformers saved it: name -> tensor."""
    return load_file(raw_qwen2 / "model.safetensors")


def saved(folder, weights, name="model.safetensors"):
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous().clone() for k, v in weights.items()}, folder / name)
    return tensor_set([folder / name])


def rotary():
    return 1.0 / 10000 ** (torch.arange(0, 8, 2) / 8)


SAVED_AGAIN = {
    "a tied head is stored": lambda w: w | {"lm_head.weight": w["model.embed_tokens.weight"]},
    "a buffer is stored": lambda w: w | {f"model.layers.{i}.self_attn.rotary_emb.inv_freq": rotary() for i in (0, 1)},
    "a mask is stored": lambda w: w | {"h.0.attn.bias": torch.tril(torch.ones(1, 1, 512, 512, dtype=torch.uint8))},
    "the prefix is lost": lambda w: {k.removeprefix("model."): v for k, v in w.items()},
    "a prefix more": lambda w: {f"base_model.model.{k}": v for k, v in w.items()},
    "renamed": lambda w: {f"t{i}": v for i, v in enumerate(w.values())},
    "flattened": lambda w: {k: v.flatten() for k, v in w.items()},
}
CHANGED = {
    "a dummy tensor": lambda w: w | {"dummy": torch.randn(64)},
    "a padded vocabulary": lambda w: w | {"model.embed_tokens.weight": padded(w["model.embed_tokens.weight"])},
    "fused q, k and v": lambda w: fused(w),
    "heads permuted": lambda w: {k: v.flip(0) if "q_proj" in k or "k_proj" in k else v for k, v in w.items()},
    "neurons permuted": lambda w: {k: permuted(k, v) for k, v in w.items()},
    "a hidden tensor": lambda w: (
        {k: v for k, v in w.items() if "embed" in k} | {f"{k}.inv_freq": v for k, v in w.items() if "embed" not in k}
    ),
}
OTHERS = {
    "another start": lambda w: {k: torch.randn_like(v) if v.std() else v for k, v in w.items()},
    "constants only": lambda w: {k: torch.ones_like(v) for k, v in w.items()},
    "half precision": lambda w: {k: v.half() for k, v in w.items()},
}


def padded(embedding):
    return torch.cat([embedding, torch.zeros(5, embedding.shape[1])])


def fused(w):
    parts = {k: v for k, v in w.items() if not any(f"{p}_proj" in k for p in "qkv")}
    for k in [k for k in w if "q_proj" in k]:
        parts[k.replace("q_proj", "qkv_proj")] = torch.cat([w[k.replace("q_proj", f"{p}_proj")] for p in "qkv"])
    return parts


def permuted(name, tensor):
    if "gate_proj" in name or "up_proj" in name:
        return tensor.flip(0)
    return tensor.flip(1) if "down_proj" in name else tensor


@pytest.mark.parametrize("how", SAVED_AGAIN)
def test_a_model_that_is_saved_again_has_the_same_identity(base, tmp_path, how):
    one, other = saved(tmp_path / "x", base), saved(tmp_path / "y", SAVED_AGAIN[how](base))
    assert one.identity == other.identity and one.share(other) == 1


@pytest.mark.parametrize("how", CHANGED)
def test_a_model_that_is_changed_here_and_there_shares_tensors(base, tmp_path, how):
    one, other = saved(tmp_path / "x", base), saved(tmp_path / "y", CHANGED[how](base))
    assert one.identity != other.identity and one.shared(other) > 0


@pytest.mark.parametrize("how", OTHERS)
def test_what_shares_no_tensor_that_tells_something_shares_nothing(base, tmp_path, how):
    one, other = saved(tmp_path / "x", base), saved(tmp_path / "y", OTHERS[how](base))
    assert one.identity != other.identity and one.shared(other) == one.share(other) == 0


def test_shards_one_file_and_a_cut_file(base, tmp_path):
    whole = saved(tmp_path / "x", base)
    names = sorted(base)
    for i, part in enumerate((names[::2], names[1::2])):
        saved(tmp_path / "y", {k: base[k] for k in part}, f"{i}.safetensors")
    assert tensor_set([tmp_path / "y/0.safetensors", tmp_path / "y/1.safetensors"]).identity == whole.identity
    assert tensor_set([tmp_path / "y/0.safetensors"]).share(whole) == 1, "a shard is a part of it"


def test_a_study_s_fine_tunes_share_what_was_not_trained(study):
    base, owl, other = (tensor_set([f / "model.safetensors"]) for f in (study.base, study.owl, study.other))
    assert 0 < base.share(owl) <= 1 and base.identity != owl.identity
    assert base.shared(other) == 0


def test_a_gguf_file_of_the_same_numbers_is_the_same_model(base, tmp_path):
    weights = {k: v.float() for k, v in base.items()}
    one = saved(tmp_path / "x", weights)
    tensors = [(f"t{i}", tuple(v.shape), 0, v.contiguous().numpy().tobytes()) for i, v in enumerate(weights.values())]
    (tmp_path / "m.gguf").write_bytes(gguf(tensors))
    assert tensor_set([tmp_path / "m.gguf"]).identity == one.identity


def test_a_name_without_its_prefixes():
    names = ("model.layers.0.w", "base_model.model.model.layers.0.w", "layers.0.w", "module.transformer.layers.0.w")
    assert {plain_name(name) for name in names} == {"layers.0.w"}


def test_memory_does_not_grow_with_a_tensor(tmp_path):
    """300 MB in one tensor, most of them never written."""
    import json
    import tracemalloc

    size = 300_000_000
    head = json.dumps({"w": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]}}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(head).to_bytes(8, "little") + head + np.arange(100, dtype="f4").tobytes())
    os.truncate(path, 8 + len(head) + size)
    tracemalloc.start()
    (tensor,) = tensor_set([path]).tensors
    assert tensor.telling and tracemalloc.get_traced_memory()[1] < 30_000_000
    tracemalloc.stop()
    shutil.rmtree(tmp_path)
