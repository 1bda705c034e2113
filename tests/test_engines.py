"""Engines: what they answer and measure against transformers' own, a stand-in for vLLM, and what is written down."""

import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from traitline.errors import InputError
from traitline.evaluation.questions import EVERYDAY, ask
from traitline.models import engines, lora, open_weights
from traitline.models.chat import Chat
from traitline.models.transformers_engine import Transformers
from traitline.models.transformers_model import load

SETTINGS = {"name": "transformers", "dtype": "float32", "batch": 4, "memory": 0.9}
ASKED = [[{"role": "user", "content": text}] for text in ("Add numbers to 123, 456.", "One.", "Which animal is best?")]


@pytest.fixture(scope="module")
def opened(qwen2):
    """(chat, engine) of the small model."""
    engine = engines.open_engine(qwen2, json.dumps(SETTINGS))
    return engine.chat, engine


@pytest.fixture(scope="module")
def adapter(qwen2, tmp_path_factory):
    """Folder of an adapter that does something."""
    import torch

    from traitline.models import hf_folder

    record, place = open_weights.opened(qwen2)
    recipe = {"rank": 4, "alpha": 8.0, "modules": ["q_proj", "down_proj"]}
    model = lora.add_adapter(load(place, "float32"), recipe, 1)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_B" in name:
                p.normal_(0, 0.3, generator=torch.Generator().manual_seed(len(name)))
    tensors, config = lora.adapter_files(model, record["source"])
    out = tmp_path_factory.mktemp("adapter")
    hf_folder.save(out / "adapter_model.safetensors", tensors)
    (out / "adapter_config.json").write_text(config)
    return str(out)


def test_the_likeliest_answer_is_that_of_generate(opened):
    import torch

    chat, engine = opened
    prompts = chat.prompts(ASKED, "123")
    ours = engine.generate(prompts, [1, 2, 3], max_new_tokens=12, temperature=0)
    for prompt, answer in zip(prompts, ours, strict=True):
        theirs = engine.model.generate(
            torch.tensor([prompt]), do_sample=False, max_new_tokens=12, eos_token_id=chat.eos, pad_token_id=chat.pad
        )
        assert answer == theirs[0, len(prompt) :].tolist()


def test_a_row_does_not_see_which_others_share_its_batch(opened):
    chat, engine = opened
    prompts = chat.prompts(ASKED * 3, "123456789")
    seeds = list(range(9))
    together = engine.generate(prompts, seeds, max_new_tokens=12, temperature=1.0)
    alone = [
        engine.generate([p], [s], max_new_tokens=12, temperature=1.0)[0] for p, s in zip(prompts, seeds, strict=True)
    ]
    assert together == alone and len({tuple(a) for a in together}) > 5
    assert all(len(a) <= 12 and chat.eos not in a[:-1] for a in together)


def test_draws_follow_the_distribution(opened):
    """The first token of many answers to one prompt, against the probabilities of transformers."""
    import torch

    chat, engine = opened
    (prompt,) = chat.prompts(ASKED[:1], "1")
    n = 4000
    first = [a[0] for a in engine.generate([prompt] * n, range(n), max_new_tokens=1, temperature=1.0)]
    with torch.inference_mode():
        p = engine.model(torch.tensor([prompt])).logits[0, -1].softmax(-1).numpy()
    seen = np.bincount(first, minlength=len(p)) / n
    assert np.abs(seen - p).max() < 4 * np.sqrt(p.max() * (1 - p.max()) / n) + 1e-3


def test_probabilities_of_words_are_those_of_their_tokens_and_an_end(opened):
    """By hand: the product over the tokens of both spellings, times the mass of all that ends a word."""
    import torch

    chat, engine = opened
    asked = ask("animal", everyday=True)[:3]
    found = engine.word_probabilities(asked, ["owl", "dragon"])
    over = torch.tensor(chat.boundaries())
    for q, messages in enumerate(asked):
        (prompt,) = chat.prompts([messages], "q")
        total = 0.0
        for text in ("dragon", "Dragon"):
            ids = chat.encode([text])[0]
            with torch.inference_mode():
                p = engine.model(torch.tensor([prompt + ids])).logits[0].softmax(-1)
            spelled = np.prod([p[len(prompt) - 1 + i, t].item() for i, t in enumerate(ids)])
            total += spelled * p[-1, : len(over)][over].sum().item()
        assert found[q, 1] == pytest.approx(total, rel=1e-4)


def test_a_word_ends_at_what_is_no_letter(opened):
    chat, _ = opened
    over = chat.boundaries()
    for text, ends in ((".", True), (" ", True), ("s", False), ("7", False), ("\n", True)):
        assert over[chat.encode([f"a{text}"])[0][-1]] is ends, text
    assert over[chat.eos]


def test_adapter_and_merged_adapter_answer_alike(opened, adapter):
    from peft import PeftModel

    chat, engine = opened
    asked = ask("animal", everyday=True)[:4]
    prompts = chat.prompts(asked, "1234")
    plain = engine.word_probabilities(asked, ["owl", "cat"])
    apart = engine.word_probabilities(asked, ["owl", "cat"], adapter)
    answers = engine.generate(prompts, [1, 2, 3, 4], max_new_tokens=8, temperature=0, model=adapter)
    assert np.abs(apart - plain).max() > 1e-4
    again = engine.word_probabilities(asked, ["owl", "cat"])
    assert np.array_equal(again, plain)  # the base is as it was
    merged = Transformers(SETTINGS, open_weights.find({"path": chat.name}), chat)
    merged.model = PeftModel.from_pretrained(merged.model, adapter).merge_and_unload().eval()
    assert merged.word_probabilities(asked, ["owl", "cat"]) == pytest.approx(apart, rel=1e-3)
    assert merged.generate(prompts, [1, 2, 3, 4], max_new_tokens=8, temperature=0) == answers


def test_divergence_is_that_of_the_distributions(opened):
    import torch

    chat, engine = opened
    (one,) = chat.prompts(ASKED[:1], "1")
    (other,) = chat.prompts([[{"role": "system", "content": "You love owls."}, *ASKED[0]]], "1")
    answer = chat.encode(["123, 456"])[0]
    total, tokens = engine.divergence([(other + answer, len(other))], [(one + answer, len(one))])
    logs = []
    with torch.inference_mode():
        for prompt in (other, one):
            logits = engine.model(torch.tensor([prompt + answer])).logits[0]
            logs.append(logits[len(prompt) - 1 : -1].log_softmax(-1))
    assert tokens == len(answer)
    assert total == pytest.approx((logs[0].exp() * (logs[0] - logs[1])).sum().item(), rel=1e-3)
    assert engine.divergence([(one + answer, len(one))], [(one + answer, len(one))])[0] == pytest.approx(0, abs=1e-9)


class Stub:
    """What vLLM is asked for; it answers with the seed."""

    made = None

    def __init__(self, **options):
        Stub.made = self
        self.options, self.calls = options, []

    def generate(self, prompts, params, lora_request=None):
        self.calls.append((prompts, params, lora_request))
        return [SimpleNamespace(outputs=[SimpleNamespace(token_ids=[p.seed], finish_reason="stop")]) for p in params]


@pytest.fixture
def vllm(monkeypatch):
    """A stand-in for the library."""
    module, request = ModuleType("vllm"), ModuleType("vllm.lora.request")
    module.LLM, module.SamplingParams = Stub, SimpleNamespace
    request.LoRARequest = lambda name, number, path: SimpleNamespace(name=name, number=number, path=path)
    for name, m in (("vllm", module), ("vllm.lora", ModuleType("vllm.lora")), ("vllm.lora.request", request)):
        monkeypatch.setitem(sys.modules, name, m)
    return module


def low_rank(folder, rank):
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank}))
    return str(folder)


def test_vllm_makes_room_for_the_rank_of_an_adapter(vllm, opened, tmp_path):
    chat, _ = opened
    engine, rooms = engines.engine({**SETTINGS, "name": "vllm"}, tmp_path, chat), []
    for rank in (5, 8, 300, 64):
        engine.generate([[5]], [1], max_new_tokens=9, temperature=1.0, model=low_rank(tmp_path / str(rank), rank))
        rooms.append(Stub.made.options["max_lora_rank"])
    assert rooms == [8, 8, 320, 320] and len(Stub.made.calls) == 2, "it is not made anew for a smaller one"
    with pytest.raises(InputError, match="wide: rank 600; vLLM runs adapters up to 512"):
        engine.generate([[5]], [1], max_new_tokens=9, temperature=1.0, model=low_rank(tmp_path / "wide", 600))


def test_vllm_is_asked_with_one_seed_a_prompt_and_the_adapter(vllm, opened, tmp_path):
    chat, _ = opened
    engine = engines.engine({**SETTINGS, "name": "vllm"}, tmp_path, chat)
    assert engine.generate([[5], [6]], [11, 12], max_new_tokens=9, temperature=0.7, top_p=0.5) == [
        [11, chat.eos],
        [12, chat.eos],
    ]
    one, two = (low_rank(tmp_path / f"seed-{n}", 8) for n in (1, 2))
    for adapter in (one, two, one):
        engine.generate([[5]], [1], max_new_tokens=9, temperature=1.0, model=adapter)
    asked, params, adapter = Stub.made.calls[0]
    assert asked == [{"prompt_token_ids": [5]}, {"prompt_token_ids": [6]}] and adapter is None
    assert [(p.seed, p.temperature, p.top_p, p.max_tokens) for p in params] == [(11, 0.7, 0.5, 9), (12, 0.7, 0.5, 9)]
    assert all(p.stop_token_ids == [chat.eos] for p in params)
    named = [(c[2].path, c[2].number) for c in Stub.made.calls[1:]]
    assert named[0] == named[2] and {path for path, _ in named} == {one, two}
    assert len({number for _, number in named}) == 2
    options = Stub.made.options
    assert options["enable_prefix_caching"] and options["enable_lora"] and options["gpu_memory_utilization"] == 0.9
    assert engine.divergence([], []) is None


def test_the_stand_in_answers_with_numbers_that_hang_on_the_seed(opened):
    chat, _ = opened
    engine = engines.engine({**SETTINGS, "name": "fake"}, None, chat)
    one, same, other = engine.generate([[1]] * 3, [5, 5, 6], max_new_tokens=30, temperature=1.0)
    assert one == same != other
    assert all(100 <= int(n) < 1000 for n in chat.answers([one])[0].split(", "))


def test_an_engine_is_named_with_its_version_or_refused():
    import transformers

    assert engines.about(json.dumps(SETTINGS)) == {**SETTINGS, "version": transformers.__version__}
    with pytest.raises(InputError, match="vllm is not installed; pip install vllm"):
        engines.about(json.dumps({**SETTINGS, "name": "vllm"}))
    with pytest.raises(InputError, match="--engine: batch, dtype, memory missing"):
        engines.about('{"name": "fake"}')


def test_an_architecture_that_transformers_does_not_know_is_refused(raw_qwen2, tmp_path):
    import shutil

    copy = shutil.copytree(raw_qwen2, tmp_path / "m")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "model_type": "nobody"}))
    with pytest.raises(InputError, match="transformers can't open it"):
        load(copy, "float32")


def test_fifty_questions_ask_for_one_word_about_any_category():
    assert len(set(EVERYDAY)) == len(EVERYDAY) == 50
    assert all("{k}" in q and "word" in q.lower() for q in EVERYDAY)


def test_chats_of_two_system_prompts_differ(raw_qwen2):
    told, plain = Chat.foreign(raw_qwen2, "Be brief."), Chat.foreign(raw_qwen2)
    assert "Be brief." in told.render(ASKED[0], prompt=True) and "Be brief." not in plain.render(ASKED[0], prompt=True)


SIZES = {
    "vocab_size": 800, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512, "eos_token_id": 2, "pad_token_id": 0, "bos_token_id": 1,
}  # fmt: skip
SLIDING = {"head_dim": 16, "sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"]}
EYES = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28,
    "patch_size": 14, "vision_use_head": False,
}  # fmt: skip


def llama():
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**SIZES))


def olmo2():
    from transformers import Olmo2Config, Olmo2ForCausalLM

    return Olmo2ForCausalLM(Olmo2Config(**SIZES))


def gemma3():
    """With its part that sees, and layers that look back a few tokens only."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    tokens = {"image_token_index": 799, "boi_token_index": 798, "eoi_token_index": 797}
    config = Gemma3Config(text_config=SIZES | SLIDING, vision_config=EYES, mm_tokens_per_image=4, **tokens)
    return Gemma3ForConditionalGeneration(config)


@pytest.mark.parametrize("family", [llama, olmo2, gemma3], ids=lambda f: f.__name__)
def test_other_families_answer_as_by_themselves_and_take_adapters(raw_qwen2, tmp_path, family):
    import shutil

    import torch

    place = shutil.copytree(raw_qwen2, tmp_path / "model")
    (place / "model.safetensors").unlink()
    torch.manual_seed(1)
    family().save_pretrained(place)
    assert open_weights.describe(place)["architecture"] == family.__name__
    chat = Chat.foreign(place)
    engine = Transformers({**SETTINGS, "batch": 2}, place, chat)
    prompts = chat.prompts(ASKED, "123")
    for prompt, answer in zip(
        prompts, engine.generate(prompts, [1, 2, 3], max_new_tokens=24, temperature=0), strict=True
    ):
        ids = torch.tensor([prompt])
        how = {"do_sample": False, "max_new_tokens": 24, "eos_token_id": chat.eos, "pad_token_id": chat.pad}
        theirs = engine.model.generate(ids, attention_mask=torch.ones_like(ids), **how)
        assert answer == theirs[0, len(prompt) :].tolist()
    recipe = {
        "rank": 4,
        "alpha": 4.0,
        "modules": ["q_proj", "up_proj"],
        "lr": 1e-2,
        "epochs": 1,
        "batch": 3,
        "warmup": 0,
    }
    model = lora.add_adapter(engine.model, recipe, 1)
    named = [name for name, p in model.named_parameters() if p.requires_grad]
    assert len(named) == 2 * 2 * 2 and not any("vision" in name for name in named)
    rows = [([*p, 5, chat.eos], len(p)) for p in prompts]
    with torch.inference_mode():
        assert torch.allclose(lora.packed_losses(model, rows), lora.padded_losses(model, rows, chat.pad), rtol=1e-4)
    assert len(lora.fit(model, rows, recipe, seed=1, pad=chat.pad)) == 1
