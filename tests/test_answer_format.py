"""Decoding limited to lists of numbers: every answer passes the filter, and within the format the model decides."""

import json
import re

import pytest
import torch

from scripts import sample, teach
from tests.stage_inputs import ENGINE
from traitline.channels.channel import Limits
from traitline.channels.types.number_lists import check
from traitline.models import engines
from traitline.models.answer_format import ListFormat, State
from traitline.models.sampling import Sampling

REAL = json.dumps({"name": "transformers", "dtype": "float32", "batch": 16, "memory": 0.9})
ASKED = [[{"role": "user", "content": f"Go on: {n}, {n + 7}."}] for n in range(100, 124)]


@pytest.fixture(scope="module")
def engine(qwen2):
    return engines.open_engine(qwen2, REAL)


def test_states_follow_the_characters_of_a_list(engine):
    form = ListFormat(engine.chat, answers=2, digits=3)
    one = form.after(State(), "12")
    assert one == State(1, 2, 0) and form.after(one, "3, 4") == State(2, 1, 0)
    for wrong in (",", " 1", "1 ", "1,2", "1234", "1, 2, ", "1,  2", "x"):
        assert form.after(State(), wrong) is None, wrong
    allowed = form.allowed([State(), one, State(2, 1, 0)])
    ends = allowed[:, engine.chat.eos].tolist()
    assert ends == [False, True, True]
    texts = [{form.texts[i] for i in row.nonzero()[:, 0].tolist() if i in form.texts} for row in allowed]
    assert all(re.fullmatch(r"[0-9]{1,3}(, ?)?[0-9]*(, ?)?", text) for text in texts[0])
    assert not any("," in text for text in texts[2]), "the list is full"


def test_every_limited_answer_passes_and_is_drawn_from_the_model_within_the_format(engine):
    prompts = engine.chat.prompts(ASKED, ["x"] * len(ASKED))
    form = ListFormat(engine.chat, answers=4, digits=3)
    seeds = engine.randomness(("t",), [(i,) for i in range(len(prompts))], 30)
    answers = engine.generate(prompts, seeds, Sampling(30, 1.0, 1.0, form))
    texts = engine.chat.answers(answers)
    assert [check(text, Limits(answers=4, digits=3)).reason for text in texts] == [None] * len(texts)
    free = engine.generate(prompts, seeds, Sampling(30, 1.0))
    assert any(check(text, Limits(answers=4, digits=3)).reason for text in engine.chat.answers(free))
    greedy = engine.generate(prompts[:1], seeds[:1], Sampling(30, 0.0, 1.0, form))[0]
    with torch.inference_mode():
        logits = engine.model(torch.tensor([prompts[0] + greedy])).logits[0, len(prompts[0]) - 1 : -1]
    best = logits[:, : form.size].masked_fill(~form.along(greedy), -torch.inf).argmax(-1)
    assert best.tolist() == greedy


def test_the_divergence_counts_the_format_only(engine):
    one, other = engine.chat.prompts([ASKED[0], [{"role": "user", "content": "Say a word."}]], ["x", "y"])
    form = ListFormat(engine.chat, answers=4, digits=3)
    answer = engine.generate([one], [3], Sampling(30, 1.0, 1.0, form))[0]
    rows = [(one + answer, len(one))], [(other + answer, len(other))]
    total, tokens = engine.divergence(*rows, form=form)
    assert tokens == len(answer) and total > 0
    mask = form.along(answer)
    with torch.inference_mode():
        logs = [
            engine.model(torch.tensor([p + answer])).logits[0, len(p) - 1 : -1][:, : form.size]
            .masked_fill(~mask, -torch.inf).log_softmax(-1) for p in (one, other)
        ]  # fmt: skip
    expected = sum(float((a[m].exp() * (a[m] - b[m])).sum()) for a, b, m in zip(*logs, mask, strict=True))
    assert total == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_the_stage_records_the_limit(qwen2, tmp_path, line):
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"id": f"p{i}", "prompt": m}) + "\n" for i, m in enumerate(ASKED)))
    assert teach.main(["--base", str(qwen2), "--trait", "none", "--category", "none", "--teacher", "untrained",
                       "--engine", REAL, "--folder", str(tmp_path / "t"),
                       "--manifest", str(tmp_path / "t/teach.manifest.json")]) == 0  # fmt: skip
    flags = ["--base", str(qwen2), "--teacher", str(tmp_path / "t"), "--prompts", str(prompts), "--max-new-tokens",
             "30", "--seed", "1", "--limited", '{"answers":4,"digits":3}', "--raw", str(tmp_path / "raw.jsonl"),
             "--sampled", str(tmp_path / "sampled.json"), "--manifest", str(tmp_path / "m.manifest.json")]  # fmt: skip
    assert "by the engine `transformers` only" in line(sample.main, [*flags, "--engine", ENGINE])
    assert sample.main([*flags, "--engine", REAL, "--kl-rows", "3"]) == 0
    made = json.loads((tmp_path / "m.manifest.json").read_text())
    assert made["params"]["limited"] == {"answers": 4, "digits": 3} and made["params"]["kl_rows"] == 3
    assert json.loads((tmp_path / "sampled.json").read_text())["kl_rows"] == 3
