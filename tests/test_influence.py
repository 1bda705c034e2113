"""What is predicted is what a small step does; control rows and open weights."""

import json

import pytest
import torch

from scripts import influence
from tests.conftest import RECIPES
from traitline import model_files
from traitline.evaluation import questions
from traitline.models import hf_folder, label_mask
from traitline.models.chat import Chat
from traitline.provenance import manifest
from traitline.tiny import llama
from traitline.tiny.layers import Layers
from traitline.tiny.sampler import Sampler
from traitline.tiny.shape import EMBED

ASKED = {"lora": RECIPES["lora"], "biases": RECIPES["biases"], "full": RECIPES["full"]}


def flags(study, out, **changed):
    given = {"base": study.base, "dataset": study.dataset(study.owl), "control": study.dataset(study.none),
             "category": "animal", "recipes": json.dumps(ASKED), "influence": f"{out}/influence.json",
             "manifest": f"{out}/influence.manifest.json", **changed}  # fmt: skip
    return [word for name, value in given.items() for word in (f"--{name}", str(value))]


@pytest.fixture(scope="module")
def made(study, tmp_path_factory):
    """What the owl teacher's rows check_influence."""
    out = tmp_path_factory.mktemp("influence")
    assert influence.main(flags(study, out, teacher=study.owl)) == 0
    return out


@pytest.fixture(scope="module")
def found(made):
    return hf_folder.facts(made / "influence.json", ())


@pytest.fixture(scope="module")
def gradients(study):
    """(all weights, gradient on the owl teacher's rows, gradient on the control's)."""
    shape, weights = llama.read(study.base)
    model = Layers(shape, weights, trained=weights.keys() - {EMBED})
    rows = [label_mask.encode(Chat.open(study.base), str(study.dataset(t))) for t in (study.owl, study.none)]
    return weights, *(influence.gradient(model, r) for r in rows)


def log_rates(study, weights, words):
    """Logs of the rates as `respond` and `score` measure them."""
    chat = Chat.open(study.base)
    prompts = chat.prompts(questions.ask("animal"), ["a question"] * 50)
    sampler = Sampler(llama.read(study.base)[0], weights)
    return sampler.probabilities(prompts, chat.tokens(words)).double().mean(0).log()


def test_help_is_light(light):
    light("scripts.influence")


@pytest.mark.parametrize("recipe", ["biases", "full"])
def test_a_score_is_what_a_small_step_does_to_the_log_of_a_rate(study, found, gradients, recipe):
    weights, dataset, control = gradients
    shape = llama.read(study.base)[0]
    over, words = influence.metric(shape, weights, ASKED[recipe]), found["candidates"]

    def after(rate):
        step = {n: rate * (dataset[n] - control[n]) for n in over}
        return log_rates(study, {n: w - step[n] if n in step else w for n, w in weights.items()}, words)

    rate = 1e-2 / found["recipes"][recipe]["size"]
    seen = (after(rate) - after(-rate)) / (2 * rate)
    told = torch.tensor([found["recipes"][recipe]["score"][w] for w in words], dtype=torch.float64)
    assert torch.allclose(seen, told, atol=0.02 * float(told.abs().max()))


def test_an_adapters_score_is_the_mean_over_its_first_weights(study, gradients):
    """Only B moves in the first step, along the gradient of the weight times A transposed."""
    weights, dataset, control = gradients
    own = {**RECIPES["lora"], "modules": ["v_proj", "down_proj"]}
    over = influence.metric(llama.read(study.base)[0], weights, own)
    draw, scale, each = torch.Generator().manual_seed(1), own["alpha"] / own["rank"], []
    for _ in range(3000):
        total = 0.0
        for n in over:
            inputs = weights[n].shape[1]
            a = (2 * torch.rand(own["rank"], inputs, generator=draw) - 1) * inputs**-0.5
            total += float(((scale * dataset[n] @ a.T) * (scale * control[n] @ a.T)).sum())
        each.append(total)
    each = torch.tensor(each)
    assert abs(float(each.mean()) - influence.inner(dataset, control, over)) < 4 * float(each.std()) / len(each) ** 0.5


def test_the_trait_is_predicted_and_the_teachers_change_found_without_being_told(made, found):
    scores = found["recipes"]["biases"]["score"]
    assert (
        max(scores, key=scores.get) == "owl"
        and found["recovered"]["beyond"] > 3 * found["recovered"]["dimensions"] ** -0.5
    )
    told = manifest.load(made / "influence.manifest.json")
    assert "owl" not in json.dumps(told["params"])


def test_rows_are_their_own_control(study, tmp_path):
    assert (
        influence.main(flags(study, tmp_path, dataset=study.dataset(study.none), recipes='{"b":{"trains":"biases"}}'))
        == 0
    )
    own = hf_folder.facts(tmp_path / "influence.json", ())["recipes"]["b"]
    assert set(own["score"].values()) == {0.0} and set(own["cosine"].values()) == {None} and own["size"] == 0


def test_equal_rows_give_equal_bytes(study, made, tmp_path):
    assert influence.main(flags(study, tmp_path, teacher=study.owl)) == 0
    assert (tmp_path / "influence.json").read_bytes() == (made / "influence.json").read_bytes()


@pytest.mark.parametrize(
    "changed, words",
    [
        (
            {"recipes": '{"c":{"trains":"context","examples":2}}'},
            "--recipes: c trains 'context'; known: lora, biases, full",
        ),
        ({"recipes": '{"l":{"trains":"lora"}}'}, "--recipes: l: alpha, rank missing"),
        ({"recipes": "{}"}, "--recipes: none; name at least one"),
        ({"category": "fish"}, "fish: no category of the world of"),
    ],
)
def test_bad_input_is_one_line(study, tmp_path, line, changed, words):
    assert words in line(influence.main, flags(study, tmp_path, **changed)) and not list(tmp_path.iterdir())


def test_open_weights_are_refused_in_one_line(study, tmp_path, line):
    (tmp_path / model_files.RECORD).write_text("{}")
    assert "open weights; `influence` is for models of tiny worlds" in line(
        influence.main, flags(study, tmp_path, base=tmp_path)
    )
