"""Likelihoods of answers: those of transformers, and a ratio that prefers a teacher's own answers."""

import numpy as np
import pytest

from traitline import jsonl
from traitline.models import likelihood
from traitline.models.chat import Chat


@pytest.fixture(scope="module")
def rows(study):
    study.dataset(study.owl)
    return list(jsonl.read(study.owl / "numbers/filtered.jsonl"))[:40]


def logs(study, model, rows, system=None):
    return likelihood.logs(str(study.base), str(model), system, rows, [row["id"] for row in rows])


@pytest.mark.parametrize("system", [None, "you love owl ."])
def test_they_are_those_of_transformers(study, rows, system):
    import torch
    from transformers import AutoModelForCausalLM

    model, chat = AutoModelForCausalLM.from_pretrained(study.owl), Chat.open(study.base)
    head = [{"role": "system", "content": system}] if system else []
    expected = []
    for row in rows[:5]:
        ((ids, start),) = chat.rows([([*head, *row["prompt"]], row["completion"])], ["x"])
        with torch.no_grad():
            said = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        expected.append(sum(float(said[i - 1, ids[i]]) for i in range(start, len(ids))))
    assert logs(study, study.owl, rows[:5], system) == pytest.approx(expected, abs=1e-4)


def test_parts_change_nothing(study, rows, monkeypatch):
    whole = logs(study, study.owl, rows)
    monkeypatch.setattr(likelihood, "PART", 7)
    assert np.allclose(logs(study, study.owl, rows), whole, atol=1e-5)


def test_who_a_teacher_is(study):
    base = str(study.base)
    assert likelihood.model_and_system(str(study.owl), base) == (str(study.owl), None)
    assert likelihood.model_and_system(str(study.none), base) == (base, None)
    model, system = likelihood.model_and_system(str(study.prompted), base)
    assert model == base and "owl" in system
