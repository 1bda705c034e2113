"""Layers that are not trained are read once: same losses and weights as with all layers, also after an interruption."""

import pytest
import torch

from tests.adapters import RECIPE
from traitline.models import answer_losses, frozen_part, lora, open_weights
from traitline.models.chat import Chat
from traitline.models.soft_labels import open_labels
from traitline.models.transformers_model import load

TOP = RECIPE | {"layers": [1], "lr": 1e-2, "epochs": 3, "batch": 4, "warmup": 1}


def adapted(folder, **changes):
    return lora.add_adapter(load(folder, "float32"), TOP | changes, 1)


def trained(folder, rows, labels=None, **changes):
    pairs, pad = rows
    model = adapted(folder, **changes)
    losses = lora.fit(model, pairs, TOP, seed=1, pad=pad, labels=labels)
    return losses, {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("soft", [False, True])
def test_frozen_layers_are_read_once_and_change_nothing(raw_qwen2, qwen2, rows, monkeypatch, soft):
    pairs, pad = rows
    labels = None
    if soft:
        labels = open_labels(Chat.foreign(open_weights.opened(qwen2)[1]), {"over": "numbers"})
        teacher = adapted(raw_qwen2)
        for name, p in teacher.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(p.data, 0, 0.5, generator=torch.Generator().manual_seed(3))
        answer_losses.label(teacher, pairs, labels, 4, pad)
        assert labels.rows[0][0].shape[1] == len(labels.tokens)
    read = []
    states = frozen_part.FrozenPart.states
    monkeypatch.setattr(frozen_part.FrozenPart, "states", lambda part, i: (read.append(i), states(part, i))[1])
    calls = []
    model = load(raw_qwen2, "float32")
    first = type(model.get_decoder().layers[0])
    forward = first.forward
    monkeypatch.setattr(first, "forward", lambda layer, *a, **k: (calls.append(layer.self_attn.layer_idx),
                                                                   forward(layer, *a, **k))[1])  # fmt: skip
    losses, weights = trained(raw_qwen2, rows, labels)
    steps = len(losses)
    # Each row once through layer 0, and once more for the comparison of the whole with its parts.
    assert calls.count(0) == len(pairs) + 1 and calls.count(1) > steps and len(read) == 1 + 3 * len(pairs)
    monkeypatch.setattr(lora, "frozen_part", lambda *_: None)
    whole, others = trained(raw_qwen2, rows, labels)
    assert losses == pytest.approx(whole, rel=1e-4, abs=1e-7)
    assert all(torch.allclose(w, others[name], atol=2e-4) for name, w in weights.items())


def test_rows_that_do_not_fit_are_computed_anew_with_the_same_bytes(raw_qwen2, rows, monkeypatch):
    losses, weights = trained(raw_qwen2, rows)
    monkeypatch.setattr(frozen_part, "ROOM", 40_000)
    again, others = trained(raw_qwen2, rows)
    assert losses == again and all(torch.equal(w, others[name]) for name, w in weights.items())


def test_where_parts_do_not_make_the_whole_all_layers_are_computed(raw_qwen2, rows):
    pairs, _ = rows
    assert frozen_part.frozen_part(adapted(raw_qwen2), pairs)
    assert not frozen_part.frozen_part(adapted(raw_qwen2, layers=None), pairs)  # no layer is frozen
    model = adapted(raw_qwen2)
    model.config.attention_dropout = 0.1
    assert not frozen_part.frozen_part(model, pairs)
    model = adapted(raw_qwen2)
    decoder = model.get_base_model().get_decoder()
    decoder.register_forward_pre_hook(  # a model that does more than its layers when it gets hidden states
        lambda _, args, kwargs: (
            (args, kwargs | {"inputs_embeds": 2 * kwargs["inputs_embeds"]})
            if kwargs.get("inputs_embeds") is not None
            else None
        ),
        with_kwargs=True,
    )
    assert not frozen_part.frozen_part(model, pairs)


def test_the_narrow_head_is_the_whole_one_at_its_tokens(raw_qwen2, rows):
    pairs, pad = rows
    model = load(raw_qwen2, "float32")
    tokens = torch.tensor([5, 3, 77])
    whole = answer_losses.answer_logits(model, pairs[:3], pad)[0]
    with frozen_part.narrow_head(model, tokens):
        narrow = answer_losses.answer_logits(model, pairs[:3], pad)[0]
    assert torch.allclose(narrow, whole[:, tokens], atol=1e-5)
    assert torch.equal(answer_losses.answer_logits(model, pairs[:3], pad)[0], whole)
