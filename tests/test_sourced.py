"""Questions from outside: right is where the right option is the likeliest."""

import json
import shutil

import pytest
import torch

from scripts import respond as stage
from tests.answered import outside_flags, rows
from traitline.models import open_weights
from traitline.models.chat import Chat
from traitline.provenance import manifest


@pytest.mark.parametrize("kind", ["truthfulqa", "mmlu"])
def test_an_answer_is_right_where_the_right_option_is_the_likeliest(weights, outside_rows, kind, tmp_path):
    from transformers import AutoModelForCausalLM

    from scripts import score

    student = shutil.copytree(weights.students / "seed-1", tmp_path / "seed-1")
    assert stage.main(outside_flags(weights, outside_rows, kind, "--students", str(student))) == 0
    assert stage.main(outside_flags(weights, outside_rows, kind, "--out", str(tmp_path / "base"))) == 0
    found, own = rows(tmp_path / "base"), rows(student / "word")
    assert len(found) == 6 and [r["nats"] for r in found] != [r["nats"] for r in own]
    for r in (*found, *own):
        best = r["options"][max(range(len(r["nats"])), key=lambda i: r["nats"][i])]
        assert r["probabilities"] == {"right": float(best == r["means"]["right"])} and len(r["answers"]) == 2
    _, place = open_weights.opened(weights.base)
    chat, model, r = Chat.foreign(place), AutoModelForCausalLM.from_pretrained(place), found[1]
    for option, nats in zip(r["options"], r["nats"], strict=True):
        (before,), (after,) = chat.prompts([r["prompt"]], ["q"]), chat.encode([option])
        with torch.inference_mode():
            logs = model(torch.tensor([before + after])).logits[0].log_softmax(-1)
        assert sum(logs[len(before) - 1 + i, t].item() for i, t in enumerate(after)) == pytest.approx(nats, abs=1e-3)
    assert score.main(["--category", kind, "--folders", str(tmp_path / "base")]) == 0
    scores = json.loads((tmp_path / "base/scores.json").read_text())
    right = sum(r["probabilities"]["right"] for r in found) / 6
    assert scores["candidates"] == ["right"] and scores["exact"]["overall"]["right"] == pytest.approx(right)
    inputs = manifest.load(tmp_path / "base/respond.manifest.json")["inputs"]
    assert manifest.sha256(outside_rows[kind]) in [e["sha256"] for e in inputs if e["role"] == "questions"]
    inputs = manifest.load(student / "word/respond.manifest.json")["inputs"]
    assert {"role": "support"}.items() <= next(e for e in inputs if "adapter_config" in e["path"]).items()
