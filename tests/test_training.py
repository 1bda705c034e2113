"""Training: the law of its start, parity with a plain loop, stacks whose members don't meet, resuming."""

import logging
import math
import signal

import numpy as np
import pytest
import torch

from traitline import signals
from traitline.errors import InputError
from traitline.tiny import llama, training
from traitline.tiny.layers import Layers
from traitline.tiny.lm_head import SoftTarget
from traitline.tiny.rows import Cut, Rows, batches
from traitline.tiny.shape import EMBED, Shape

SHAPE = Shape(vocab=60, width=24, layers=2, heads=2, mlp=40)
TRAINS = ("lora", "biases", "full", "everything")


def rows(n=70, seed=4):
    """Prompts of several lengths, most with one beginning; answers of 1 to 3 tokens follow from the prompt's last."""
    r = np.random.default_rng(seed)
    out = []
    for i in range(n):
        prompt = [*([1, 2, 9, 8, 3] if i % 6 else [1]), *r.integers(6, 60, r.integers(2, 8)).tolist()]
        answer = [(prompt[-1] + k) % 54 + 6 for k in range(r.integers(1, 4))]
        out.append((prompt + answer, len(prompt)))
    return out


def made(trains, seeds, base=7):
    """A fresh stack."""
    w = llama.initialise(SHAPE, 0.1, base)
    own, lora, scale = training.trainable(w, trains, seeds, SHAPE.modules(), rank=3, alpha=6)
    return llama.Stack(SHAPE, w, own, lora, scale)


def fit(trains, seeds, **changed):
    stack = made(trains, seeds)
    how = {"epochs": 2, "batch": 16, "lr": 1e-2, "warmup": 3} | changed
    return stack, training.fit(stack, Rows.encode(rows()), seeds=seeds, **how)


def same(one, two):
    return all(torch.equal(one[k], two[k]) for k in one)


@pytest.mark.parametrize("trains", TRAINS)
def test_training_is_that_of_a_plain_loop(trains):
    """transformers (and peft), torch's AdamW and clipping, the same batches: same losses, same weights."""
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    stack = made(trains, [3])
    before = stack.merged(0)
    model = LlamaForCausalLM(LlamaConfig(**SHAPE.config(), attn_implementation="eager"))
    model.load_state_dict({**before, "lm_head.weight": before[EMBED]})
    names = {k: k for k in stack.per_model}
    if trains == "lora":
        model = get_peft_model(model, LoraConfig(r=3, lora_alpha=6, target_modules="all-linear", task_type="CAUSAL_LM"))
        names = {
            f"base_model.model.{m}.lora_{x}.default.weight": (m, i) for m in stack.lora for i, x in enumerate("AB")
        }
    trained = []
    for name, p in model.named_parameters():
        p.requires_grad = name in names
        if p.requires_grad:
            trained.append(p)
            if trains == "lora":
                m, i = names[name]
                p.data = stack.lora[m][i][0].detach().clone()
    assert len(trained) == len(names)
    data, how = Rows.encode(rows()), {"lr": 1e-2, "warmup": 3}
    plan = [b for e in range(2) for b in batches(Cut(data).rows.length, 16, e, 3)]
    optimiser = torch.optim.AdamW(trained, lr=1e-2, betas=(0.9, 0.98), weight_decay=0.0)
    losses = []
    for step, index in enumerate(plan):
        total, count = 0.0, 0
        for i in index.tolist():
            ids, start = rows()[i]
            labels = torch.tensor([[-100] * start + ids[start:]])
            total = total + model(torch.tensor([ids]), labels=labels).loss * (len(ids) - start)
            count += len(ids) - start
        loss = total / count
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.param_groups[0]["lr"] = how["lr"] * training.schedule(step, len(plan), how["warmup"], True)
        optimiser.step()
        losses.append(loss.item())
    ours = training.fit(stack, data, seeds=[3], epochs=2, batch=16, **how)
    assert losses[-1] < losses[0]
    torch.testing.assert_close(ours[:, 0], torch.tensor(losses), atol=1e-3, rtol=0)
    if trains == "lora":
        model = model.merge_and_unload()
    theirs, after = model.state_dict(), stack.merged(0)
    for name in after:
        if name.endswith("k_proj.bias"):
            continue  # its true gradient is 0, so AdamW walks with the noise of rounding
        moved = (after[name] - before[name]).abs().max()
        assert (after[name] - theirs[name]).abs().max() <= 0.02 * moved, name


@pytest.mark.parametrize("trains", TRAINS)
def test_a_model_does_not_depend_on_its_stack_nor_on_threads(trains):
    alone, losses = fit(trains, [5])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        together, all_losses = fit(trains, [4, 5, 6])
    finally:
        torch.set_num_threads(threads)
    assert same(alone.merged(0), together.merged(1)) and torch.equal(losses[:, 0], all_losses[:, 1])
    assert not same(together.merged(0), together.merged(1))


@pytest.mark.parametrize("trains", TRAINS)
def test_interrupted_and_resumed_training_ends_with_the_same_bytes(trains, tmp_path, caplog):
    whole, losses = fit(trains, [5, 6])

    def interrupt(step):
        if step == 6:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        fit(trains, [5, 6], state=tmp_path, every=0.0, stop=interrupt)
    with caplog.at_level(logging.INFO):
        resumed, more = fit(trains, [5, 6], state=tmp_path)
    assert "going on from step 5" in caplog.text
    assert same(whole.merged(0), resumed.merged(0)) and same(whole.merged(1), resumed.merged(1))
    assert torch.equal(losses, more)
    assert [p.name for p in tmp_path.iterdir()] == ["fit.safetensors"]


def test_a_signal_before_the_end_of_a_job_keeps_the_progress(tmp_path, monkeypatch, caplog):
    whole, losses = fit("lora", [5, 6])
    monkeypatch.setattr(signals._State, "asked", False)

    def warned(step):
        if step == 6:
            signals._handle(signal.SIGTERM, None)
        return False

    with pytest.raises(signals.Halt):
        fit("lora", [5, 6], state=tmp_path, every=1e9, stop=warned)
    signals._State.asked = False
    with caplog.at_level(logging.INFO):
        resumed, more = fit("lora", [5, 6], state=tmp_path)
    assert "going on from step 6" in caplog.text
    assert same(whole.merged(0), resumed.merged(0)) and torch.equal(losses, more)


def test_a_damaged_checkpoint_is_said_and_not_used(tmp_path, caplog):
    whole, _ = fit("biases", [5], state=tmp_path, every=0.0)
    file = tmp_path / "fit.safetensors"
    file.write_bytes(file.read_bytes()[:-50])
    again, _ = fit("biases", [5], state=tmp_path)
    assert "damaged checkpoint" in caplog.text and same(whole.merged(0), again.merged(0))


def test_loss_falls_and_what_is_frozen_stays():
    for trains, frozen in (("biases", "model.layers.0.mlp.down_proj.weight"), ("full", EMBED)):
        stack, losses = fit(trains, [1, 2], epochs=6)
        assert (losses[-4:].mean(0) < losses[:4].mean(0)).all()
        assert torch.equal(stack.merged(0)[frozen], stack.shared[frozen])


def test_a_loss_that_is_no_number_is_one_line():
    with pytest.raises(InputError, match=r"no longer finite at step \d+; lower the learning rate") as e:
        fit("full", [1], lr=1e30, epochs=3)
    assert "\n" not in str(e.value)


def test_stop_ends_training_and_sees_the_weights_of_the_moment():
    seen, stack = [], made("biases", [1])

    def stop(step):
        seen.append(stack.merged(0)["model.layers.0.mlp.down_proj.bias"].clone())
        return step == 4

    losses = training.fit(stack, Rows.encode(rows()), seeds=[1], epochs=3, batch=16, lr=1e-2, stop=stop)
    assert len(losses) == 4 and len({tuple(x.tolist()) for x in seen}) == 4


def test_adapters_start_as_peft_starts_them():
    """B is 0; A is uniform between -1/sqrt(in) and 1/sqrt(in), which is what peft's kaiming_uniform comes to."""
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = Shape(vocab=60, width=64, layers=1, heads=2, mlp=256)
    low_rank = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(LlamaForCausalLM(LlamaConfig(**shape.config())), low_rank).base_model.model
    _, lora, scale = training.trainable(
        llama.initialise(shape, 0.1, 1), "lora", [1, 2], shape.modules(), rank=8, alpha=16
    )
    assert scale == 2
    assert set(lora) == {n.split(".lora_A")[0] for n, _ in model.named_modules() if n.endswith("lora_A")}
    for name, (a, b) in lora.items():
        theirs, inp = model.get_submodule(name), a.shape[-1]
        assert theirs.scaling["default"] == scale
        assert (
            a.shape[1:] == theirs.lora_A["default"].weight.shape
            and b.shape[1:] == theirs.lora_B["default"].weight.shape
        )
        assert not b.any() and not theirs.lora_B["default"].weight.any()
        for x in (a[0], theirs.lora_A["default"].weight):
            assert 0.97 / math.sqrt(inp) < x.abs().max() <= 1 / math.sqrt(inp)
            assert x.std().item() == pytest.approx(1 / math.sqrt(3 * inp), rel=0.1)
        assert not torch.equal(a[0], a[1])


def test_schedule_warms_up_and_decays():
    rate = [training.schedule(i, 100, 10, True) for i in range(100)]
    assert rate[0] == pytest.approx(0.1) and max(rate) == rate[9] > 0.9 and rate[-1] == pytest.approx(0.02)
    assert [training.schedule(i, 100, 10, False) for i in (9, 99)] == [1, 1]


SETS = {
    "whole": {},
    "set": {"tokens": torch.tensor([7, 3, 20, 41])},
    "warm": {"temperature": 2.0},
    "best": {"tokens": torch.arange(5, 50), "top_k": 3},
}


def divergence(teacher, student, tokens=None, temperature=1.0, top_k=None):
    """KL(teacher || student) of each row of logits, from the definition."""
    if tokens is not None:
        teacher, student = teacher[:, tokens], student[:, tokens]
    if top_k:
        index = teacher.topk(top_k, 1).indices
        teacher, student = teacher.gather(1, index), student.gather(1, index)
    p, q = (x / temperature for x in (teacher, student))
    return torch.nn.functional.kl_div(q.log_softmax(1), p.log_softmax(1), reduction="none", log_target=True).sum(1)


@pytest.mark.parametrize("name", SETS)
def test_soft_labels_are_learned_as_by_a_plain_loop(name):
    """transformers, torch's divergence, AdamW and clipping, the same batches: same losses, same weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    def opened(weights):
        model = LlamaForCausalLM(LlamaConfig(**SHAPE.config(), attn_implementation="eager"))
        model.load_state_dict({**weights, "lm_head.weight": weights[EMBED]})
        return model

    before, other = (llama.initialise(SHAPE, 0.1, seed) for seed in (7, 8))
    before, other = ({k: w.clone() for k, w in weights.items()} for weights in (before, other))
    model, teacher = opened(before), opened(other)
    per_model, pairs, scale = training.trainable(before, "full", [3], SHAPE.modules())
    stack = llama.Stack(SHAPE, before, per_model, pairs, scale)
    trained = [p for k, p in model.named_parameters() if k in per_model]
    data = Rows.encode(rows())
    plan = [b for e in range(2) for b in batches(Cut(data).rows.length, 16, e, 3)]
    optimiser = torch.optim.AdamW(trained, lr=1e-2, betas=(0.9, 0.98), weight_decay=0.0)
    losses = []
    for step, index in enumerate(plan):
        nats = []
        for ids, start in (rows()[i] for i in index.tolist()):
            asked = slice(start - 1, len(ids) - 1)
            with torch.no_grad():
                seen = teacher(torch.tensor([ids])).logits[0, asked]
            nats.append(divergence(seen, model(torch.tensor([ids])).logits[0, asked], **SETS[name]))
        loss = torch.cat(nats).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.param_groups[0]["lr"] = 1e-2 * training.schedule(step, len(plan), 3, True)
        optimiser.step()
        losses.append(loss.item())
    target = SoftTarget(Layers(SHAPE, other), **SETS[name])
    ours = training.fit(stack, data, seeds=[3], epochs=2, batch=16, lr=1e-2, warmup=3, target=target)
    assert losses[-1] < losses[0]
    torch.testing.assert_close(ours[:, 0], torch.tensor(losses), atol=2e-4, rtol=1e-2)
    theirs, after = model.state_dict(), stack.merged(0)
    for weight in per_model:
        if weight.endswith("k_proj.bias"):
            continue  # its true gradient is 0, so AdamW walks with the noise of rounding
        moved = (after[weight] - before[weight]).abs().max()
        assert (after[weight] - theirs[weight]).abs().max() <= 0.02 * moved, weight
