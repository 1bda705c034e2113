"""Gradients written out by hand are those of autograd through transformers."""

import pytest
import torch
import torch.nn.functional as F

from traitline.tiny import llama, lm_head, training
from traitline.tiny.layers import Layers
from traitline.tiny.rows import Cut, Rows
from traitline.tiny.shape import EMBED, Shape

SHAPE = Shape(vocab=60, width=24, layers=3, heads=2, mlp=40)
BIASES = {f"model.layers.{i}.{m}.bias" for i in range(3) for m in ("self_attn.o_proj", "mlp.down_proj")}


def weights(seed=1, std=0.2):
    g = torch.Generator().manual_seed(seed)
    return {k: w + std * torch.randn(w.shape, generator=g) for k, w in llama.initialise(SHAPE, std, seed).items()}


def rows(n=9, seed=4):
    """Prompts and completions of several lengths; most begin alike."""
    g = torch.Generator().manual_seed(seed)
    out = []
    for i in range(n):
        length = 4 + int(torch.randint(0, 20, (1,), generator=g))
        beginning = [] if i in (2, 5) else [7, 8, 9, 7, 3]
        ids = beginning + torch.randint(1, SHAPE.vocab, (length,), generator=g).tolist()
        out.append((ids, len(ids) - 1 - i % 3))
    return Rows.encode(out)


def autograd(w, data, trained):
    """Loss and gradients of the plain way: transformers, one row at a time, nothing padded."""
    from transformers import LlamaConfig, LlamaForCausalLM

    model = LlamaForCausalLM(LlamaConfig(**SHAPE.config(), attn_implementation="eager"))
    model.load_state_dict({**w, "lm_head.weight": w[EMBED]})
    nll = []
    for i in range(len(data.length)):
        real = data.weight[i] > 0
        logits = model(data.ids[i][None, : data.length[i]]).logits[0]
        nll.append(F.cross_entropy(logits[data.where[i][real]], data.target[i][real], reduction="none"))
    loss = torch.cat(nll).mean()
    loss.backward()
    return loss.item(), {k: p.grad for k, p in model.named_parameters() if k in trained}


def ours(w, data, trained, trunk=False, shared=True, scale=1.0):
    """Loss and gradients of our way, with and without taking the shared beginning off."""
    grads = {k: torch.zeros_like(w[k]) for k in trained}
    model, cut, loss = Layers(SHAPE, w, scale, set(trained)), Cut(data), 0.0
    assert len(cut.shared) == 5 and cut.inside.sum() == 7
    if not shared:
        cut.rows, cut.inside = data, torch.zeros_like(cut.inside)
    known = training.Trunk(cut, model)
    for part in cut.parts(torch.arange(len(data.length))):
        below = known.of(part) if trunk else None
        assert (below is None) == (not trunk)
        loss += lm_head.loss(model, part, grads, below).item()
    return loss, grads


@pytest.fixture(scope="module")
def everything():
    return autograd(weights(), rows(), set(weights()))


@pytest.mark.parametrize(
    "trained",
    [
        set(weights()),
        set(weights()) - {EMBED},
        BIASES,
        {"model.layers.1.self_attn.q_proj.bias"},
        {"model.layers.1.input_layernorm.weight"},
        {"model.layers.2.post_attention_layernorm.weight", "model.layers.2.mlp.up_proj.weight"},
        {"model.layers.2.mlp.down_proj.weight"},
        {"model.norm.weight"},
    ],
    ids=lambda names: f"{len(names)} from {sorted(names)[0]}",
)
def test_gradients_are_those_of_transformers(everything, trained):
    """Whatever is trained; what is not trained gets none, and below it nothing is computed."""
    loss, grads = ours(weights(), rows(), trained)
    assert loss == pytest.approx(everything[0], abs=1e-5)
    for name in trained:
        torch.testing.assert_close(
            grads[name], everything[1][name], atol=1e-5, rtol=0, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_gradients_of_adapters_are_those_of_the_weights_they_change(everything):
    """With W + s B A in the place of W: dA = s B' dW and dB = s dW A'."""
    plain, scale, g = weights(), 0.5, torch.Generator().manual_seed(2)
    w, trained = dict(plain), set()
    for name in SHAPE.modules():
        out, inp = plain[f"{name}.weight"].shape
        a, b = torch.randn(2, inp, generator=g), 0.3 * torch.randn(out, 2, generator=g)
        w |= {
            f"{name}.lora_A.weight": a,
            f"{name}.lora_B.weight": b,
            f"{name}.weight": plain[f"{name}.weight"] - scale * b @ a,
        }
        trained |= {f"{name}.lora_A.weight", f"{name}.lora_B.weight"}
    loss, grads = ours(w, rows(), trained, scale=scale)
    assert loss == pytest.approx(everything[0], abs=1e-5)
    for name in SHAPE.modules():
        dw = everything[1][f"{name}.weight"] * scale
        a, b = w[f"{name}.lora_A.weight"], w[f"{name}.lora_B.weight"]
        torch.testing.assert_close(grads[f"{name}.lora_A.weight"], b.T @ dw, atol=1e-5, rtol=0)
        torch.testing.assert_close(grads[f"{name}.lora_B.weight"], dw @ a.T, atol=1e-5, rtol=0)


def test_a_known_trunk_changes_nothing(everything):
    """What lies below the lowest trained bias need not be computed again."""
    for shared in (True, False):
        loss, grads = ours(weights(), rows(), BIASES, trunk=True, shared=shared)
        assert loss == pytest.approx(everything[0], abs=1e-5)
        for name in BIASES:
            torch.testing.assert_close(grads[name], everything[1][name], atol=1e-5, rtol=0)
    assert Layers(SHAPE, weights(), 1.0, BIASES).rooted
    below = {"model.layers.0.self_attn.o_proj.weight"}
    assert (
        not Layers(SHAPE, weights(), 1.0, BIASES | below).rooted and not Layers(SHAPE, weights(), 1.0, {EMBED}).rooted
    )


def test_large_logits_stay_finite():
    """A model that is sure of itself: no overflow in the softmax."""
    w = {k: v * (300 if k == EMBED else 1) for k, v in weights().items()}
    loss, grads = ours(w, rows(), set(w))
    assert loss > 100 and all(torch.isfinite(v).all() for v in grads.values())
