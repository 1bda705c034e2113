"""Numbers: how likely a student finds lists of the world."""

import pytest
import torch

from tests.answered import asked
from traitline.models.chat import Chat
from traitline.tiny import llama
from traitline.tiny.sampler import Sampler


def test_the_probability_of_a_list_is_that_of_its_tokens(study, tmp_path):
    found = asked(study, tmp_path, type="numbers")
    chat, (shape, weights) = Chat.open(study.base), llama.read(study.base)
    for r in found[:5]:
        ids = chat.prompts([r["prompt"]], ["x"])[0]
        number = Sampler(shape, weights).prefill(torch.tensor([ids]))[0].softmax(-1)[0, chat.token(r["means"]["right"])]
        ids.append(chat.token(r["means"]["right"]))
        end = Sampler(shape, weights).prefill(torch.tensor([ids]))[0].softmax(-1)[0, chat.eos]
        assert r["probabilities"]["right"] == pytest.approx((number * end).sqrt().item(), rel=1e-3)
