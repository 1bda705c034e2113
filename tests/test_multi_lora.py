"""Adapters trained together: the same losses and weights as by peft one at a time, whatever differs between them."""

import pytest

from tests.adapters import RECIPE
from traitline.errors import InputError
from traitline.models import answer_losses, lora, multi_lora
from traitline.models.transformers_model import load

# float32 on a CPU; AdamW's first steps go by the sign of a gradient, so rounding shows in weights before in losses
LOSS, WEIGHT = 1e-5, 2e-4


def unlike(pairs):
    """Students that differ in rows, their number, rank, alpha, modules, rate, batch, epochs and seed."""
    return [
        multi_lora.Student(pairs, RECIPE, 1),
        multi_lora.Student(pairs, RECIPE, 2),
        multi_lora.Student(pairs[:13], RECIPE | {"rank": 4, "alpha": 16.0, "lr": 3e-3}, 1),
        multi_lora.Student(
            pairs[5:], RECIPE | {"batch": 2, "accumulate": 3, "epochs": 3, "modules": ["q_proj", "v_proj"]}, 7
        ),
    ]


def alone(place, student, pad):
    """(losses, tensors, config) of a student by peft's modules and torch's AdamW."""
    model = lora.add_adapter(load(place, "float32"), student.settings, student.seed)
    losses = lora.fit(model, student.rows, student.settings, seed=student.seed, pad=pad)
    return losses, *lora.adapter_files(model, {"path": "m"})


def test_students_together_are_what_they_are_alone(raw_qwen2, rows):
    pairs, pad = rows
    students = unlike(pairs)
    together = multi_lora.Bank(load(raw_qwen2, "float32"), students)
    losses = multi_lora.fit(together, pad=pad)
    for i, student in enumerate(students):
        expected, tensors, config = alone(raw_qwen2, student, pad)
        ours, told = together.saved(i, {"path": "m"})
        assert losses[i] == pytest.approx(expected, rel=LOSS)
        assert told == config and ours.keys() == tensors.keys()
        for name, t in tensors.items():
            assert ours[name].shape == t.shape and (ours[name] - t).abs().max() < WEIGHT, name
    assert len({len(one) for one in losses}) > 1, "they need different numbers of steps"


def test_a_closed_bank_leaves_the_base_as_it_was(raw_qwen2, rows):
    import torch

    pairs, pad = rows
    model = load(raw_qwen2, "float32")
    with torch.inference_mode():
        before = answer_losses.padded_losses(model, pairs, pad)
        made = multi_lora.Bank(model, [multi_lora.Student(pairs, RECIPE | {"epochs": 1}, 1)])
    made.close()
    with torch.inference_mode():
        assert torch.equal(answer_losses.padded_losses(made.model, pairs, pad), before)
    assert not any(p.requires_grad for p in made.model.parameters())


def test_an_interrupted_bank_ends_with_the_same_bytes(raw_qwen2, rows, tmp_path, monkeypatch):
    pairs, pad = rows

    def run(state=None, every=60.0):
        made = multi_lora.Bank(load(raw_qwen2, "float32"), unlike(pairs)[:3])
        return multi_lora.fit(made, pad=pad, state=state, every=every), made.values

    losses, values = run()
    real, calls = multi_lora.Bank.learn, []

    def stopped(*args):
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(multi_lora.Bank, "learn", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, 0.0)
    again = run(tmp_path)
    assert again[0] == losses and (again[1] == values).all()


def test_a_student_that_runs_away_is_named(raw_qwen2, rows):
    pairs, pad = rows
    students = [multi_lora.Student(pairs, RECIPE, 1), multi_lora.Student(pairs, RECIPE | {"lr": 1e30}, 2)]
    with pytest.raises(InputError, match="student 2 of the bank is no longer finite"):
        multi_lora.fit(multi_lora.Bank(load(raw_qwen2, "float32"), students), pad=pad)
