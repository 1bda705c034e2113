"""LoRA in few passes: peft's outputs and gradients, and peft's own way wherever an adapter is not plain."""

import peft
import pytest
import torch

from tests.adapters import RECIPE
from traitline.models import lora, quick_lora
from traitline.models.transformers_model import load

IDS = torch.tensor([[1, 85, 91, 280, 71, 79], [1, 85, 91, 71, 280, 9]])


def open_model(folder, quick, **changes):
    model = lora.add_adapter(load(folder, "float32"), RECIPE | changes, 1)
    for name, p in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(p.data, 0, 0.5, generator=torch.Generator().manual_seed(len(name)))
    for module in model.modules():
        if not quick and isinstance(module, peft.tuners.lora.Linear):
            del module.forward
    return model


def quick_ones(model):
    return [m for m in model.modules() if "forward" in vars(m)]


def outcome(model):
    model.zero_grad()
    logits = model(IDS).logits
    logits.square().mean().backward()
    return logits.detach(), {n: p.grad for n, p in model.named_parameters() if p.requires_grad}


def test_outputs_and_gradients_are_those_of_peft(raw_qwen2):
    quick, slow = open_model(raw_qwen2, True), open_model(raw_qwen2, False)
    assert len(quick_ones(quick)) == 14 and not quick_ones(slow)
    logits, gradients = outcome(quick)
    expected, others = outcome(slow)
    assert torch.allclose(logits, expected, atol=1e-4) and not torch.equal(
        logits, quick.get_base_model()(IDS[:, :1]).logits
    )
    assert gradients.keys() == others.keys() and all(g is not None for g in gradients.values())
    for name, gradient in gradients.items():
        assert torch.allclose(gradient, others[name], rtol=1e-3, atol=1e-6), name


def test_without_its_adapter_it_is_the_base(raw_qwen2):
    model, base = open_model(raw_qwen2, True), load(raw_qwen2, "float32")
    with torch.no_grad(), model.disable_adapter():
        assert torch.equal(model(IDS).logits, base(IDS).logits)
    with torch.no_grad():
        before = model(IDS).logits
        model.merge_adapter()
        assert torch.allclose(model(IDS).logits, before, atol=1e-4), "a merged adapter counts once"
        model.unmerge_adapter()
    assert torch.allclose(model.unload()(IDS).logits, base(IDS).logits, atol=1e-5)


@pytest.mark.parametrize("change", [{"use_dora": True}, {"lora_dropout": 0.5}, {"lora_bias": True}])
def test_other_kinds_of_adapters_go_the_way_of_peft(raw_qwen2, change):
    config = peft.LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM", **change)
    model = quick_lora.quicken(peft.get_peft_model(load(raw_qwen2, "float32"), config))
    assert not quick_ones(model) and model(IDS).logits.isfinite().all()


def test_a_base_that_is_trained_or_of_another_type_goes_the_way_of_peft(raw_qwen2):
    config = peft.LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM")
    model = peft.get_peft_model(load(raw_qwen2, "float32"), config)
    model.requires_grad_(True)
    assert not quick_ones(quick_lora.quicken(model))
    model = peft.get_peft_model(load(raw_qwen2, "bfloat16"), config)
    assert not quick_ones(quick_lora.quicken(model))
    model = quick_lora.quicken(peft.get_peft_model(load(raw_qwen2, "float32"), config))
    assert len(quick_ones(model)) == 2
    with torch.autocast("cpu", torch.bfloat16):
        assert model(IDS).logits.isfinite().all()
