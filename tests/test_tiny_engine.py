"""The engine of tiny models: the numbers of the sampler and of the layers below it."""

import numpy as np
import pytest
import torch

from traitline.models import engines
from traitline.models.sampling import Sampling
from traitline.models.tiny_engine import Tiny

ASKED = [[{"role": "user", "content": f"what is your favourite {kind}"}] for kind in ("animal", "tree")]


@pytest.fixture(scope="module")
def engine(study):
    opened = engines.open_engine(study.base, None, batch=8)
    assert isinstance(opened, Tiny) and opened.name == "a"
    return opened


def test_answers_depend_on_a_rows_random_numbers_and_not_on_its_batch(engine):
    prompts = engine.chat.prompts(ASKED, "12") * 10
    randomness = engine.randomness(("test", 1), [(i,) for i in range(20)], 3)
    assert randomness.shape == (20, 3) and randomness.dtype == np.float32
    together = engine.generate(prompts, randomness, Sampling(3, 1.0))
    parts = [slice(0, 7), slice(7, 20)]
    apart = [a for p in parts for a in engine.generate(prompts[p], randomness[p], Sampling(3, 1.0))]
    assert together == apart and len({tuple(answer) for answer in together}) > 5
    other = engine.randomness(("test", 2), [(i,) for i in range(20)], 3)
    assert engine.generate(prompts, other, Sampling(3, 1.0)) != together


def test_the_probability_of_a_word_is_that_of_its_token(engine, study):
    for model in (None, str(study.owl)):
        owl, cat = engine.word_probabilities(ASKED, ["owl", "cat"], model).T
        ids = torch.tensor(engine.chat.prompts(ASKED[:1], "1"))
        after = engine.sampler(model).prefill(ids)[0].softmax(-1)[0]
        assert owl[0] == pytest.approx(after[engine.chat.token("owl")].item(), rel=1e-5)
        assert cat[0] == pytest.approx(after[engine.chat.token("cat")].item(), rel=1e-5)
    assert owl[0] > 0.5 > cat[0], "a tuned teacher names its trait"


def test_a_word_may_come_after_the_beginning_of_an_answer(engine):
    prompt, (the,) = engine.chat.prompts(ASKED[:1], "1")[0], engine.chat.tokens(["the"])
    sampler = engine.sampler()
    first = sampler.prefill(torch.tensor([prompt]))[0].softmax(-1)[0, the]
    second = sampler.prefill(torch.tensor([[*prompt, the]]))[0].softmax(-1)[0, engine.chat.token("owl")]
    value = engine.word_probabilities(ASKED[:1], ["owl"], begin="the")
    assert value[0, 0] == pytest.approx((first * second).item(), rel=1e-5)


def test_the_likelihood_of_an_answer_is_the_product_over_its_tokens(engine):
    exchange = (ASKED[0], [{"role": "assistant", "content": "owl"}])
    ((ids, start),) = engine.chat.rows([exchange], ["row"])
    assert len(ids) == start + 2, "the word and the end"
    nats = 0.0
    for at in (start, start + 1):
        nats += engine.sampler().prefill(torch.tensor([ids[:at]]))[0].log_softmax(-1)[0, ids[at]].item()
    assert engine.log_likelihoods([(ids, start)]).tolist() == pytest.approx([nats], rel=1e-4)


def test_a_model_diverges_from_its_base_where_it_was_trained_to(engine, study):
    prompts = engine.chat.prompts(ASKED, "12")
    rows = [([*prompt, *engine.chat.tokens(["owl"])], len(prompt)) for prompt in prompts]
    assert engine.divergence(rows, rows) == (0.0, 2)
    nats, tokens = engine.divergence(rows, rows, str(study.owl))
    assert tokens == 2 and nats > 0.1
