"""Sampling draws from the distribution of the model, whatever the batches are."""

import numpy as np
import pytest
import torch

from traitline.tiny import llama
from traitline.tiny.sampler import Sampler, draw
from traitline.tiny.shape import EMBED, Shape

SHAPE = Shape(vocab=60, width=24, layers=3, heads=2, mlp=40)
EOS = 5


def weights(std=0.35):
    g = torch.Generator().manual_seed(1)
    return {k: w + std * torch.randn(w.shape, generator=g) for k, w in llama.initialise(SHAPE, std, 1).items()}


def prompts(n, seed=0):
    """Several lengths; many begin alike."""
    r = np.random.default_rng(seed)
    return [[1, 3, *r.integers(6, 8, 3).tolist(), *r.integers(6, 60, r.integers(1, 5)).tolist()] for _ in range(n)]


def noise(n, room, seed=1):
    return np.random.default_rng(seed).random((n, room), dtype=np.float32)


def test_every_step_has_the_logits_of_transformers():
    from transformers import LlamaConfig, LlamaForCausalLM

    w = weights(0.15)
    model = LlamaForCausalLM(LlamaConfig(**SHAPE.config(), attn_implementation="eager")).eval()
    model.load_state_dict({**w, "lm_head.weight": w[EMBED]})
    ids = torch.randint(1, SHAPE.vocab, (6, 12), generator=torch.Generator().manual_seed(3))
    ids[:, :4] = ids[0, :4]  # a common beginning, which is computed once
    with torch.no_grad():
        theirs = model.double()(ids).logits.float()  # in double precision, so that all rounding is the sampler's
    sampler = Sampler(SHAPE, w)
    logits, caches = sampler.prefill(ids[:, :7], 5)
    for at in range(7, 12):
        torch.testing.assert_close(logits, theirs[:, at - 1], atol=1e-5, rtol=0)
        logits = sampler.step(ids[:, at], at, caches)
    torch.testing.assert_close(logits, theirs[:, 11], atol=1e-5, rtol=0)


def test_tokens_do_not_depend_on_batches_order_or_neighbours():
    sampler, asked, u = Sampler(SHAPE, weights()), prompts(150), noise(150, 8)
    whole = sampler.generate(asked, u, eos=EOS)
    for batch, n in ((1, 20), (7, 90), (64, 150)):
        assert sampler.generate(asked[:n], u[:n], eos=EOS, batch=batch) == whole[:n]
    order = np.random.default_rng(3).permutation(150)
    shuffled = sampler.generate([asked[i] for i in order], u[order], eos=EOS, batch=40)
    assert shuffled == [whole[i] for i in order]
    assert sampler.generate(asked[20:61], u[20:61], eos=EOS) == whole[20:61]


def test_an_answer_ends_with_its_end_token_or_at_the_limit():
    whole = Sampler(SHAPE, weights()).generate(prompts(300), noise(300, 12), eos=EOS)
    ended = [a for a in whole if a[-1] == EOS]
    assert all(EOS not in a[:-1] for a in whole) and 10 < len(ended) < 300
    assert all(len(a) == 12 for a in whole if a[-1] != EOS)
    assert len({len(a) for a in ended}) > 3


def test_a_shorter_limit_cuts_and_changes_nothing_before_the_cut():
    sampler, u = Sampler(SHAPE, weights()), noise(60, 9)
    long, short = sampler.generate(prompts(60), u, eos=EOS), sampler.generate(prompts(60), u[:, :2], eos=EOS)
    assert short == [a[:2] for a in long]


def test_temperature_0_takes_the_likeliest_token():
    sampler, asked = Sampler(SHAPE, weights()), prompts(20)
    for ids, answer in zip(asked, sampler.generate(asked, noise(20, 4), eos=EOS, temperature=0), strict=True):
        for token in answer:
            assert token == sampler.prefill(torch.tensor([ids]))[0].argmax().item()
            ids = [*ids, token]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_a_draw_inverts_the_distribution(temperature):
    """Token k for uniform numbers between P(tokens before k) and P(tokens up to k), over the whole vocabulary."""
    z = torch.randn(1, 77, generator=torch.Generator().manual_seed(2)) * 2
    z[:, [0, -1]] = 3.0
    mass = torch.softmax(z[0].double() / temperature, 0).cumsum(0)
    u = torch.linspace(0, 1, 5001)[:-1]
    tokens = draw(z.expand(5000, -1), u, temperature)
    assert tokens.min() == 0 and tokens.max() == 76
    sure = ((u[:, None] - mass).abs() > 1e-5).all(1)
    assert sure.float().mean() > 0.99
    assert torch.equal(tokens[sure], torch.searchsorted(mass, u.double(), right=True)[sure])


def test_a_draw_never_takes_the_impossible():
    """Not even at the ends of the unit interval."""
    z = torch.full((3, 70), -torch.inf)
    z[:, [4, 33, 64]] = 0.0
    edge = torch.tensor([0.0, 0.5, 1 - 2**-24])
    assert draw(z, edge, 1.0).tolist() == [4, 33, 64]


def test_top_p_draws_among_the_likeliest_that_reach_it():
    """Probabilities 0.4, 0.3, 0.2, 0.1: two reach 0.7, three reach 0.71, one 0.4; nothing else changes."""
    z = torch.tensor([0.1, 0.4, 0.2, 0.3]).log().expand(2000, -1)
    u = torch.linspace(0, 1, 2001)[:-1]
    for top_p, kept in ((0.39, {1}), (0.69, {1, 3}), (0.71, {1, 2, 3}), (1.0, {0, 1, 2, 3})):
        drawn = draw(z, u, 1.0, top_p)
        assert set(drawn.tolist()) == kept
    share = (draw(z, u, 1.0, 0.69) == 1).float().mean().item()
    assert share == pytest.approx(4 / 7, abs=2e-3), "what is left keeps its proportions"
