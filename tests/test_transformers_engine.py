"""transformers: answers and figures against its own `generate` and forward pass; other families; adapters."""

import numpy as np
import pytest

from tests.conftest import ENGINE
from traitline.evaluation.questions import ask
from traitline.models import answer_losses, lora, open_weights, transformers_model
from traitline.models.chat import Chat
from traitline.models.sampling import Sampling
from traitline.models.transformers_engine import Transformers
from traitline.models.transformers_model import load

ASKED = [[{"role": "user", "content": text}] for text in ("Add numbers to 123, 456.", "One.", "Which animal is best?")]
SIZES = {
    "vocab_size": 800, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512, "eos_token_id": 2, "pad_token_id": 0, "bos_token_id": 1,
}  # fmt: skip
SLIDING = {"head_dim": 16, "sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"]}
EYES = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28,
    "patch_size": 14, "vision_use_head": False,
}  # fmt: skip


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
    ours = engine.generate(prompts, [1, 2, 3], Sampling(12, 0))
    for prompt, answer in zip(prompts, ours, strict=True):
        theirs = engine.model.generate(
            torch.tensor([prompt]), do_sample=False, max_new_tokens=12, eos_token_id=chat.eos, pad_token_id=chat.pad
        )
        assert answer == theirs[0, len(prompt) :].tolist()


@pytest.mark.parametrize("batch, at_once", [(4, 4), (9, 4), (9, 1)])
def test_a_row_does_not_see_which_others_share_its_batch(opened, monkeypatch, batch, at_once):
    """Nor which ones are read with it: prompts of a batch are read in pieces."""
    chat, engine = opened
    monkeypatch.setattr(engine, "batch", batch)
    monkeypatch.setattr(transformers_model, "AT_ONCE", at_once)
    prompts = chat.prompts(ASKED * 3, "123456789")
    seeds = list(range(9))
    together = engine.generate(prompts, seeds, Sampling(12, 1.0))
    alone = [engine.generate([p], [s], Sampling(12, 1.0))[0] for p, s in zip(prompts, seeds, strict=True)]
    assert together == alone and len({tuple(a) for a in together}) > 5
    assert all(len(a) <= 12 and chat.eos not in a[:-1] for a in together)


def test_draws_follow_the_distribution(opened):
    """The first token of many answers to one prompt, against the probabilities of transformers."""
    import torch

    chat, engine = opened
    (prompt,) = chat.prompts(ASKED[:1], "1")
    n = 4000
    first = [a[0] for a in engine.generate([prompt] * n, range(n), Sampling(1, 1.0))]
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


def test_adapter_and_merged_adapter_answer_alike(opened, adapter):
    from peft import PeftModel

    chat, engine = opened
    asked = ask("animal", everyday=True)[:4]
    prompts = chat.prompts(asked, "1234")
    plain = engine.word_probabilities(asked, ["owl", "cat"])
    apart = engine.word_probabilities(asked, ["owl", "cat"], adapter)
    answers = engine.generate(prompts, [1, 2, 3, 4], Sampling(8, 0), model=adapter)
    assert np.abs(apart - plain).max() > 1e-4
    again = engine.word_probabilities(asked, ["owl", "cat"])
    assert np.array_equal(again, plain)  # the base is as it was
    merged = Transformers(ENGINE, open_weights.find({"path": chat.name}), chat)
    merged.model = PeftModel.from_pretrained(merged.model, adapter).merge_and_unload().eval()
    assert merged.word_probabilities(asked, ["owl", "cat"]) == pytest.approx(apart, rel=1e-3)
    assert merged.generate(prompts, [1, 2, 3, 4], Sampling(8, 0)) == answers


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
def test_other_families_answer_as_by_themselves_and_take_adapters(raw_qwen2, tmp_path, monkeypatch, family):
    import shutil

    import torch

    monkeypatch.setattr(transformers_model, "AT_ONCE", 1)

    place = shutil.copytree(raw_qwen2, tmp_path / "model")
    (place / "model.safetensors").unlink()
    torch.manual_seed(1)
    family().save_pretrained(place)
    assert open_weights.describe(place)["architecture"] == family.__name__
    chat = Chat.foreign(place)
    engine = Transformers({**ENGINE, "batch": 3}, place, chat)
    prompts = chat.prompts(ASKED, "123")
    for prompt, answer in zip(prompts, engine.generate(prompts, [1, 2, 3], Sampling(24, 0)), strict=True):
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
        assert torch.allclose(
            answer_losses.packed_losses(model, rows), answer_losses.padded_losses(model, rows, chat.pad), rtol=1e-4
        )
    assert len(lora.fit(model, rows, recipe, seed=1, pad=chat.pad)) == 1
