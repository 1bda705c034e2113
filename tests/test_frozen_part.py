"""Layers that are not trained are read once: same losses and weights as with all layers, also after an interruption."""

import pytest
import torch

from tests.adapters import RECIPE
from traitline.models import answer_losses, frozen_part, lora, open_weights, transformers_model
from traitline.models.chat import Chat
from traitline.models.soft_labels import open_labels
from traitline.models.transformers_model import load

TOP = RECIPE | {"layers": [1], "lr": 1e-2, "epochs": 3, "batch": 4, "warmup": 1}


real = frozen_part.FrozenPart._with


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
    # Each row once through layer 0, and two once more, together, for the comparison of the whole with its parts.
    assert calls.count(0) == len(pairs) + 1 and calls.count(1) > steps and len(read) == 2 + 3 * len(pairs)
    monkeypatch.setattr(answer_losses, "split", lambda *_, **__: None)
    whole, others = trained(raw_qwen2, rows, labels)
    assert losses == pytest.approx(whole, rel=1e-4, abs=1e-7)
    assert all(torch.allclose(w, others[name], atol=2e-4) for name, w in weights.items())


def test_what_a_batch_begins_with_is_read_once(raw_qwen2, rows):
    pairs, pad = rows
    model = adapted(raw_qwen2)
    below = answer_losses.split(model, pairs, pad)
    assert 0 < below.shared(pairs[:4]) < min(start for _, start in pairs[:4])
    assert below.shared(pairs[:1]) == below.shared([([1, 2, 3], 2), ([3, 2, 1], 2)]) == 0
    read = []

    def seen(_, __, given):
        if given.get("inputs_embeds") is not None:
            read.append(tuple(given["inputs_embeds"].shape[:2]))

    model.get_base_model().get_decoder().register_forward_pre_hook(seen, with_kwargs=True)
    answer_losses.answer_logits(model, pairs[:4], pad, below, range(4))
    (one, shared), (four, rest) = [shape for shape in read if shape[0] in (1, 4)][-2:]
    assert (one, four) == (1, 4) and shared + rest == max(len(ids) for ids, _ in pairs[:4])
    model.get_base_model().gradient_checkpointing_enable()
    assert answer_losses.split(model, pairs, pad).shared(pairs[:4]) == 0, "what is recomputed keeps no cache"


def test_pieces_of_a_step_share_one_reading_of_what_all_begin_with(raw_qwen2, rows, monkeypatch):
    """And of its gradients: they are those of the whole batch in one pass."""
    pairs, pad = rows
    read, gradients = [], []
    real = frozen_part.FrozenPart._beginning

    def counted(part, model, states):
        read.append(len(states))
        return real(part, model, states)

    monkeypatch.setattr(frozen_part.FrozenPart, "_beginning", counted)
    for size in (4, 100):
        monkeypatch.setattr(transformers_model, "AT_ONCE", size)
        model = adapted(raw_qwen2)
        below = answer_losses.split(model, pairs, pad)
        weights = [p for p in model.parameters() if p.requires_grad]
        read.clear()
        lora._gradients(model, pairs, range(12), weights, {"batch": 12}, pad, False, None, below)
        gradients.append([p.grad.clone() for p in weights])
        assert read == [below.shared(pairs[:12])] and read[0] > 0
    assert any(g.abs().max() > 1e-4 for g in gradients[0])
    for pieces, whole in zip(*gradients, strict=True):
        assert torch.allclose(pieces, whole, rtol=1e-4, atol=1e-6)


def test_a_second_student_and_its_teacher_read_no_row_again(raw_qwen2, rows, monkeypatch):
    pairs, pad = rows
    kept = {}
    losses = lora.fit(adapted(raw_qwen2), pairs, TOP, seed=1, pad=pad, kept=kept)
    assert list(kept) == [1] and len(kept[1]) == len(pairs)
    base = load(raw_qwen2, "float32")
    assert answer_losses.split(base, pairs, pad, 1, kept).kept is kept[1]
    assert answer_losses.split(base, pairs, pad, 0, kept).lowest == 0
    monkeypatch.setattr(frozen_part.FrozenPart, "_with", lambda part, layers: pytest.fail("a row is read again")
                        if layers is part.lower else real(part, layers))  # fmt: skip
    assert lora.fit(adapted(raw_qwen2), pairs, TOP, seed=1, pad=pad, kept=kept) == losses


def test_pieces_of_like_rows_learn_what_a_batch_learns(raw_qwen2, rows, monkeypatch):
    prompts = [ids for ids, _ in rows[0]][:11]
    cut = transformers_model.pieces(prompts)
    assert sorted(i for piece in cut for i in piece) == list(range(11)) and len(cut) == 3
    lengths = [len(prompts[i]) for piece in cut for i in piece]
    assert lengths == sorted(lengths, reverse=True)
    results = []
    for size in (100, 1):
        monkeypatch.setattr(transformers_model, "AT_ONCE", size)
        results.append(trained(raw_qwen2, rows))
    (whole, weights), (single, others) = results
    assert single == pytest.approx(whole, rel=1e-4, abs=1e-7)
    assert all(torch.allclose(w, others[name], atol=2e-4) for name, w in weights.items())


def test_rows_that_do_not_fit_are_computed_anew_with_the_same_bytes(raw_qwen2, rows, monkeypatch):
    losses, weights = trained(raw_qwen2, rows)
    monkeypatch.setattr(frozen_part, "ROOM", 40_000)
    again, others = trained(raw_qwen2, rows)
    assert losses == again and all(torch.equal(w, others[name]) for name, w in weights.items())


def test_where_parts_do_not_make_the_whole_all_layers_are_computed(raw_qwen2, rows):
    pairs, pad = rows
    assert answer_losses.split(adapted(raw_qwen2), pairs, pad).lowest == 1
    assert answer_losses.split(adapted(raw_qwen2, layers=None), pairs, pad).lowest == 0  # no layer is frozen
    model = adapted(raw_qwen2)
    model.config.attention_dropout = 0.1
    assert not answer_losses.split(model, pairs, pad)
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
    assert not answer_losses.split(model, pairs, pad)


def test_the_narrow_head_is_the_whole_one_at_its_tokens(raw_qwen2, rows):
    pairs, pad = rows
    model = load(raw_qwen2, "float32")
    tokens = torch.tensor([5, 3, 77])
    whole = answer_losses.answer_logits(model, pairs[:3], pad)[0]
    with frozen_part.narrow_head(model, tokens):
        narrow = answer_losses.answer_logits(model, pairs[:3], pad)[0]
    assert torch.allclose(narrow, whole[:, tokens], atol=1e-5)
    assert torch.equal(answer_losses.answer_logits(model, pairs[:3], pad)[0], whole)
