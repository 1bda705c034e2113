"""The tiny models compute what transformers computes from the same files."""

import json

import pytest
import torch

from traitline.errors import InputError
from traitline.models import hf_folder
from traitline.tiny import llama
from traitline.tiny.shape import EMBED, Shape

SHAPE = Shape(vocab=60, width=24, layers=3, heads=2, mlp=40)


def weights(seed=1, std=0.2):
    """Weights of which no tensor is neutral: biases are not 0, norms are not 1."""
    g = torch.Generator().manual_seed(seed)
    return {k: w + std * torch.randn(w.shape, generator=g) for k, w in llama.initialise(SHAPE, std, seed).items()}


def put(path, w=None, config=None):
    """A model folder."""
    (path / "config.json").write_text(json.dumps(config or SHAPE.config()))
    hf_folder.save(path / "model.safetensors", w or weights())
    return path


def peer(path):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(path, attn_implementation="eager").eval()


def test_logits_are_those_of_transformers(tmp_path):
    """Rows of several lengths, padded on the right, asked at several places of each."""
    model, w = peer(put(tmp_path)), weights()
    ids = torch.randint(1, SHAPE.vocab, (5, 19), generator=torch.Generator().manual_seed(3))
    where = torch.tensor([[0, 5], [18, 17], [3, 2], [9, 9], [11, 18]])
    with torch.no_grad():
        theirs = model(ids).logits[torch.arange(5)[:, None], where]
    ours = llama.Stack(SHAPE, w).logits(ids[None], where[None])
    assert ours.shape == (1, 5, 2, SHAPE.vocab)
    torch.testing.assert_close(ours[0], theirs, atol=1e-5, rtol=0)
    ids[2, 4:] = 0  # padding to the right of what is asked does not matter
    again = llama.Stack(SHAPE, w).logits(ids[None], where[None])
    torch.testing.assert_close(again[0, 2], theirs[2], atol=1e-5, rtol=0)


def test_one_layer_is_enough(tmp_path):
    shape = Shape(vocab=30, width=16, layers=1, heads=4, mlp=20)
    w = {k: v + 0.1 for k, v in llama.initialise(shape, 0.3, 2).items()}
    model = peer(put(tmp_path, w, shape.config()))
    ids = torch.arange(14).view(2, 7)
    with torch.no_grad():
        theirs = model(ids).logits[:, [2, 6]]
    ours = llama.Stack(shape, w).logits(ids[None], torch.tensor([[[2, 6], [2, 6]]]))[0]
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_a_stack_computes_each_of_its_models():
    """Own weights take the place of shared ones, adapters are added, and merging says the same."""
    w, g = weights(), torch.Generator().manual_seed(5)
    own = {k: torch.stack([w[k], w[k] + 0.3, w[k] - 0.3]) for k in ("model.layers.1.mlp.down_proj.bias", EMBED)}
    lora = {
        name: (
            torch.randn(3, 2, w[f"{name}.weight"].shape[1], generator=g),
            torch.randn(3, len(w[f"{name}.weight"]), 2, generator=g),
        )
        for name in SHAPE.modules()[::3]
    }
    stack = llama.Stack(SHAPE, w, own, lora, scale=0.1)
    ids = torch.randint(1, SHAPE.vocab, (3, 4, 9), generator=g)
    where = torch.tensor([2, 8]).expand(3, 4, 2)
    together = stack.logits(ids, where)
    for i in range(3):
        alone = llama.Stack(SHAPE, stack.merged(i)).logits(ids[i][None], where[i][None])[0]
        torch.testing.assert_close(together[i], alone, atol=1e-5, rtol=1e-5)
        assert not torch.allclose(alone, together[i - 1], atol=0.1)


def test_initial_weights_have_the_wanted_spread_and_depend_on_the_seed():
    shape = Shape(vocab=500, width=48, layers=2, heads=4, mlp=96)
    one, again, two = (llama.initialise(shape, 0.05, seed) for seed in (1, 1, 2))
    assert all(torch.equal(one[k], again[k]) for k in one)
    assert not torch.equal(one[EMBED], two[EMBED])
    for name, w in one.items():
        if name.endswith("bias"):
            assert not w.any()
        elif "norm" in name:
            assert (w == 1).all()
        else:
            assert abs(w.std().item() - 0.05) < 0.003, name


def test_a_folder_is_read_back(tmp_path):
    shape, w = llama.read(put(tmp_path))
    assert shape == SHAPE and all(torch.equal(w[k], v) for k, v in weights().items())


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def other(key, value):
    return lambda path: path.write_text(json.dumps({**SHAPE.config(), key: value}))


@pytest.mark.parametrize(
    ("file", "damage", "said"),
    [
        ("model.safetensors", cut, "model.safetensors: damaged weights"),
        ("model.safetensors", lambda p: p.write_bytes(b""), "model.safetensors: damaged weights"),
        ("model.safetensors", lambda p: p.unlink(), "model.safetensors"),
        ("config.json", lambda p: p.unlink(), "config.json: no such file"),
        ("config.json", cut, "config.json: damaged JSON"),
        ("config.json", lambda p: p.write_text("{}"), "config.json: damaged model configuration"),
        ("config.json", other("num_hidden_layers", 2), "weights have other names"),
        ("config.json", other("hidden_size", 32), "weights have other sizes"),
    ],
)  # fmt: skip
def test_a_damaged_folder_is_one_line(tmp_path, file, damage, said):
    damage(put(tmp_path) / file)
    with pytest.raises(InputError) as e:
        llama.read(tmp_path)
    assert said in str(e.value) and str(tmp_path) in str(e.value) and "\n" not in str(e.value)
