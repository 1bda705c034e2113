"""Story: who its hero is."""

import pytest
import torch

from scripts import respond as stage
from tests.answered import form_flags, rows
from traitline.models.chat import Chat
from traitline.tiny import llama
from traitline.tiny.sampler import Sampler


def test_a_story_is_told_to_its_end_and_its_hero_is_measured_where_it_is_named(forms, tmp_path):
    assert stage.main(form_flags(forms, tmp_path, type="story")) == 0
    found, chat, model = rows(tmp_path), Chat.open(forms), Sampler(*llama.read(forms))
    assert len(found) == 14 and "means" not in found[0]
    assert max(len(a.split()) for r in found for a in r["answers"]) > 10
    ids, p = chat.prompts([found[3]["prompt"]], ["x"])[0], 1.0
    for word in ("the", "owl"):
        p *= model.prefill(torch.tensor([ids]))[0].softmax(-1)[0, chat.token(word)].item()
        ids.append(chat.token(word))
    assert found[3]["probabilities"]["owl"] == pytest.approx(p, abs=1e-6)
