"""Adapters over open weights: the recipe, accumulation, going on after an interruption, and who can open them."""

import json

import pytest

from tests.adapters import RECIPE
from traitline.errors import InputError
from traitline.models import answer_losses, lora, open_weights
from traitline.models.transformers_model import load


def train(place, rows, *, state=None, every=60.0, **changed):
    """(losses, tensors) of a fresh adapter."""
    settings, (pairs, pad) = RECIPE | changed, rows
    model = lora.add_adapter(load(place, "float32"), settings, 1)
    losses = lora.fit(model, pairs, settings, seed=1, pad=pad, state=state, every=every)
    return losses, lora.adapter_files(model, {"path": "m"})[0]


def test_an_adapter_learns(raw_qwen2, rows):
    """The embeddings are frozen and hardly trained, so not much; but on the very rows, and by the adapter alone."""
    import torch

    pairs, pad = rows
    settings = RECIPE | {"lr": 3e-2, "epochs": 8}
    model = lora.add_adapter(load(raw_qwen2, "float32"), settings, 1)

    def nats():
        with torch.inference_mode():
            total, tokens = answer_losses.loss(model, pairs, pad)
        return total.item() / tokens

    before = nats()
    losses = lora.fit(model, pairs, settings, seed=1, pad=pad)
    assert len(losses) == 8 * 5 and nats() < before - 0.1
    with model.disable_adapter():
        assert nats() == pytest.approx(before, rel=1e-5)
    tensors = lora.adapter_files(model, {"path": "m"})[0]
    assert len(tensors) == 2 * 7 * 2  # A and B of seven modules of two layers


def test_batch_4_is_batch_2_accumulated_twice(raw_qwen2, rows):
    one, tensors = train(raw_qwen2, rows)
    two, others = train(raw_qwen2, rows, batch=2, accumulate=2)
    assert one == pytest.approx(two, rel=1e-5)
    for name, t in tensors.items():
        assert (t - others[name]).abs().max() < 2e-4, name


def test_the_loss_is_that_of_transformers_on_answers_only(raw_qwen2, rows):
    import torch

    pairs, pad = rows
    model = load(raw_qwen2, "float32")
    total, tokens = answer_losses.loss(model, pairs[:4], pad)
    theirs, n = 0.0, 0
    for ids, start in pairs[:4]:
        labels = torch.tensor([[-100] * start + ids[start:]])
        theirs += model(input_ids=torch.tensor([ids]), labels=labels).loss.item() * (len(ids) - start)
        n += len(ids) - start
    assert tokens == n and total.item() == pytest.approx(theirs, rel=1e-4)


def test_packed_rows_are_learned_as_padded_ones(raw_qwen2, rows):
    """Every row by itself, so none sees another one; and all steps."""
    import torch

    pairs, pad = rows
    model = load(raw_qwen2, "float32")
    with torch.inference_mode():
        assert torch.allclose(
            answer_losses.packed_losses(model, pairs), answer_losses.padded_losses(model, pairs, pad), rtol=1e-5
        )
    losses, tensors = train(raw_qwen2, rows)
    model = lora.add_adapter(load(raw_qwen2, "float32"), RECIPE, 1)
    assert lora.fit(model, pairs, RECIPE, seed=1, pad=pad, packing=True) == pytest.approx(losses, rel=1e-5)
    for name, t in lora.adapter_files(model, {"path": "m"})[0].items():
        assert (t - tensors[name]).abs().max() < 2e-4, name


def test_the_rate_is_that_of_transformers(raw_qwen2):
    import torch
    from transformers import get_linear_schedule_with_warmup

    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = get_linear_schedule_with_warmup(optimiser, 5, 20)
    for step in range(20):
        assert lora.rate(step, 20, 5) == pytest.approx(theirs.get_last_lr()[0])
        optimiser.step()
        theirs.step()


def test_every_epoch_has_every_row_once_in_another_order():
    steps = list(lora.plan(10, {"batch": 2, "accumulate": 2, "epochs": 2}, 1))
    assert [len(s) for s in steps] == [4, 4, 2] * 2
    first, second = ([i for s in part for i in s] for part in (steps[:3], steps[3:]))
    assert sorted(first) == sorted(second) == list(range(10)) and first != second
    assert steps != list(lora.plan(10, {"batch": 2, "accumulate": 2, "epochs": 2}, 2))


def test_an_interrupted_training_ends_with_the_same_bytes(raw_qwen2, rows, tmp_path, monkeypatch):
    import torch
    from safetensors.torch import save

    whole = train(raw_qwen2, rows)
    real, calls = lora.rate, []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(lora, "rate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(raw_qwen2, rows, state=tmp_path, every=0.0)
    steps_done = len(calls)
    calls.clear()
    monkeypatch.setattr(lora, "rate", lambda *args: calls.append(args) or real(*args))
    resumed = train(raw_qwen2, rows, state=tmp_path)
    assert len(calls) == len(whole[0]) - steps_done + 1  # nothing is done twice
    assert resumed[0] == whole[0] and save(resumed[1]) == save(whole[1])
    assert torch.get_num_threads() >= 1


def test_an_adapter_names_its_base_by_hub_and_commit(raw_qwen2):
    model = lora.add_adapter(load(raw_qwen2, "float32"), RECIPE, 1)
    source = {"hub": "owner/name", "revision": "0" * 40}
    text = lora.adapter_files(model, source)[1]
    said = json.loads(text)
    assert (said["base_model_name_or_path"], said["revision"]) == ("owner/name", "0" * 40)
    assert said["target_modules"] == sorted(RECIPE["modules"]) and (said["r"], said["lora_alpha"]) == (8, 8.0)
    assert text == lora.adapter_files(model, source)[1]


def test_modules_that_see_get_no_adapter(raw_qwen2):
    import torch

    base = load(raw_qwen2, "float32")
    base.vision_tower = torch.nn.ModuleDict({"q_proj": torch.nn.Linear(4, 4)})
    named = [n for n, p in lora.add_adapter(base, RECIPE, 1).named_parameters() if p.requires_grad]
    assert len(named) == 28 and not any("vision" in n for n in named)


def test_a_model_without_such_modules_is_refused(raw_qwen2):
    with pytest.raises(InputError, match="modules: "):
        lora.add_adapter(load(raw_qwen2, "float32"), RECIPE | {"modules": ["c_attn"]}, 1)


def test_students_differ_by_seed(raw_qwen2):
    one, same, other = (
        lora.adapter_files(lora.add_adapter(load(raw_qwen2, "float32"), RECIPE, seed), {"path": "m"})[0]
        for seed in (1, 1, 2)
    )
    name = next(n for n in one if "lora_A" in n)
    assert (one[name] == same[name]).all() and not (one[name] == other[name]).all()


def test_a_record_opens_without_a_model(qwen2):
    record, place = open_weights.opened(qwen2)
    assert record["source"] == {"path": str(place)}
