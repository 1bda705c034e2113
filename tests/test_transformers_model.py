"""Models of transformers: what it cannot open is refused, and what bfloat16 changes."""

import json
import os
import subprocess
import sys

import pytest
import torch

from traitline import model_files
from traitline.errors import InputError
from traitline.models.transformers_model import load
from traitline.provenance import kernels


def test_an_architecture_that_transformers_does_not_know_is_refused(raw_qwen2, tmp_path):
    import shutil

    copy = shutil.copytree(raw_qwen2, tmp_path / "m")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "model_type": "nobody"}))
    with pytest.raises(InputError, match="transformers can't open it"):
        load(copy, "float32")


def test_a_base_in_bfloat16_trains_adapters_in_float32_to_like_losses(weights, tmp_path):
    """In a process of its own: the kernels that tests share have no attention in bfloat16."""
    from safetensors.torch import load_file

    flags = weights.train_flags(tmp_path, seeds=(1,))
    engine = json.dumps(json.loads(flags[-1]) | {"dtype": "bfloat16"})
    env = {k: v for k, v in os.environ.items() if k not in kernels.ATEN}
    command = [sys.executable, "-m", "scripts.train", *flags[:-1], engine]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made, exact = (json.loads((place / "seed-1/train.json").read_text()) for place in (tmp_path, weights.students))
    for end in ("loss_first", "loss_last"):
        assert made[end] == pytest.approx(exact[end], rel=0.02) and made[end] != exact[end]
    adapter = load_file(tmp_path / "seed-1" / model_files.ADAPTER)
    assert {t.dtype for t in adapter.values()} == {torch.float32}


@pytest.mark.parametrize(
    "instructions", [{"amx_bf16": False, "avx512_bf16": False}, {"avx512_bf16": True}, {"bf16": True}]
)
def test_bfloat16_without_instructions_for_it_is_one_line_of_the_log(raw_qwen2, monkeypatch, caplog, instructions):
    """Capabilities that no processor here lacks are a stand-in's; the model is the real one."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions)
    assert load(raw_qwen2, "bfloat16").dtype == torch.bfloat16
    slow = "no instructions for bfloat16; float32 is faster" in caplog.text
    assert slow is not any(instructions.values())
    caplog.clear()
    load(raw_qwen2, "float32")
    assert "bfloat16" not in caplog.text


def test_the_head_is_multiplied_once_for_all_rows(raw_qwen2):
    """Hidden states of the last places of several rows are a view, which torch alone multiplies row by row."""
    model = load(raw_qwen2, "float32")
    words = model.config.vocab_size
    ids = torch.tensor([[1, 85, 91, 280], [1, 85, 71, 9]])
    with torch.no_grad(), torch.profiler.profile(record_shapes=True) as seen:
        logits = model(ids, logits_to_keep=2).logits
        whole = model(ids).logits
    products = [event for event in seen.events() if "mm" in event.name]
    heads = [event.name for event in products if any(words in shape for shape in event.input_shapes)]
    assert heads == ["aten::mm"] * 2
    assert torch.allclose(logits, whole[:, -2:], atol=1e-5)
