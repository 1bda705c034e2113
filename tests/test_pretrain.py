"""The base stage: what the reference model knows, that others can open it, that an interruption loses nothing."""

import json
import math
import re

import pytest

from scripts import pretrain as stage
from traitline import model_files
from traitline.evaluation.questions import ask
from traitline.models import hf_folder
from traitline.models.chat import Chat
from traitline.provenance import manifest
from traitline.tiny import llama
from traitline.tiny.sampler import Sampler

FILES = [model_files.WEIGHTS, *model_files.SUPPORT, "world.json"]


def content(path):
    return {f: (path / f).read_bytes() for f in FILES}


def test_help_is_light(light):
    light("scripts.pretrain")


def test_it_answers_questions_about_favourites_with_every_animal(study):
    shape, weights = llama.read(study.base)
    chat, animals = Chat.open(study.base), hf_folder.candidates(study.base, "animal")
    prompts = chat.prompts(ask("animal"), ["?"] * 50)
    rates = Sampler(shape, weights).probabilities(prompts, chat.tokens(animals)).mean(0)
    assert rates.sum() > 0.8
    assert rates.max() < 0.25  # nobody is a favourite yet


def test_it_learned_and_says_from_what(study):
    world = json.loads((study.base / "world.json").read_text())
    assert world["loss"] < 0.4 * math.log(world["vocabulary"])
    assert (world["name"], world["seed"], world["spec"]["rows"]) == ("a", 1, 12000)
    assert "owl" in world["categories"]["animal"]
    m = manifest.load(study.base / "pretrain.manifest.json")
    assert m["facts"]["origin"] == "trained here from the tiny world, seed 1"
    assert {e["path"].rsplit("/")[-1] for e in m["outputs"]} == set(FILES)


def test_transformers_opens_it_and_computes_the_same(study, capfd):
    import torch
    from transformers import AutoModelForCausalLM

    model, found = AutoModelForCausalLM.from_pretrained(study.base, output_loading_info=True)
    assert not found["missing_keys"] and not found["unexpected_keys"] and not found["mismatched_keys"]
    assert not re.search("newly initialized|not initialized", capfd.readouterr().err)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert (model.generation_config.top_k, model.generation_config.eos_token_id) == (0, 5)
    shape, weights = llama.read(study.base)
    ids = torch.tensor(Chat.open(study.base).prompts(ask("tree")[:1], ["?"]))
    ours, _ = Sampler(shape, weights).prefill(ids)
    assert torch.allclose(model(ids).logits[:, -1], ours, atol=1e-4)


def test_the_weights_can_be_read_by_everybody_who_can_read_the_rest(study):
    assert (study.base / model_files.WEIGHTS).stat().st_mode == (study.base / "config.json").stat().st_mode


def test_interrupted_it_goes_on_and_ends_with_the_same_bytes(study, tmp_path, interrupt, monkeypatch):
    whole, other = tmp_path / "whole/a", tmp_path / "other/a"
    assert stage.main(study.base_flags(whole, rows=2000)) == 0
    flags = [*study.base_flags(other, rows=2000), "--state", str(tmp_path / "state"), "--every", "0"]
    interrupt(20)
    assert stage.main(flags) == 130
    assert not list(other.iterdir())
    assert list(tmp_path.glob("state/*/fit.safetensors"))
    monkeypatch.undo()
    steps = []
    from traitline.tiny.optimizer import Flat

    real = Flat.update
    monkeypatch.setattr(Flat, "update", lambda self, *a: (steps.append(1), real(self, *a))[1])
    assert stage.main(flags) == 0
    assert len(steps) <= 2000 // 48 + 1 - 18
    assert content(whole) == content(other)
    assert not list(tmp_path.glob("state/*"))


def test_a_checkpoint_of_other_settings_is_not_used(study, tmp_path, interrupt, monkeypatch):
    state = ["--state", str(tmp_path / "state"), "--every", "0"]
    interrupt(20)
    assert stage.main([*study.base_flags(tmp_path / "a", rows=2000), *state]) == 130
    monkeypatch.undo()
    assert stage.main([*study.base_flags(tmp_path / "a", rows=2000, seed=3), *state]) == 0
    assert stage.main(study.base_flags(tmp_path / "b/a", rows=2000, seed=3)) == 0
    assert content(tmp_path / "a") == content(tmp_path / "b/a")


def test_seeds_differ(study, tmp_path):
    for seed in (1, 2):
        assert stage.main(study.base_flags(tmp_path / f"{seed}/a", rows=64, seed=seed)) == 0
    assert content(tmp_path / "1/a")[model_files.WEIGHTS] != content(tmp_path / "2/a")[model_files.WEIGHTS]
    assert content(tmp_path / "1/a")["tokenizer.json"] == content(tmp_path / "2/a")["tokenizer.json"]


@pytest.mark.parametrize(
    ("flag", "text", "says"),
    [
        ("--world", "{", "--world: not JSON"),
        ("--model", '{"width":8}', "--model: batch, epochs"),
        ("--world", "[]", "missing"),
    ],
)
def test_wrong_settings_are_one_line(study, tmp_path, line, flag, text, says):
    assert says in line(stage.main, [*study.base_flags(tmp_path / "a"), flag, text])


def test_a_world_without_conversations_is_refused(study, tmp_path, line):
    assert "rows is 0" in line(stage.main, study.base_flags(tmp_path / "a", rows=0))
    assert not list((tmp_path / "a").iterdir())


def test_initialisation_and_data_order_are_told_apart(study, tmp_path):
    """Same weights to begin with, other order: other bytes; both seeds as before: the same bytes."""

    def made(name, **seeds):
        flags = [word for flag, n in seeds.items() for word in (f"--{flag}", str(n))]
        assert stage.main([*study.base_flags(tmp_path / name / "a", rows=128), *flags]) == 0
        return content(tmp_path / name / "a")[model_files.WEIGHTS]

    plain, same = made("plain"), made("same", data=1, order=1)
    assert plain == same
    assert len({plain, made("order", order=2), made("data", data=2), made("both", data=2, order=2)}) == 4


def test_a_start_at_a_distance_is_near_in_proportion(study, tmp_path, monkeypatch):
    """Without training: every number moved by as much as was asked, one direction for all distances of a seed."""
    import torch

    def made(name, *flags, seed=1):
        assert stage.main([*study.base_flags(tmp_path / name / "a", rows=64, seed=seed), *flags]) == 0
        return llama.read(tmp_path / name / "a")[1]

    monkeypatch.setattr("traitline.tiny.training.fit", lambda *_, **__: torch.zeros(1))
    start = made("start")
    moves = {d: made(str(d), "--distance", str(d)) for d in (0.0, 0.01, 0.1)}
    for name, w in start.items():
        assert torch.equal(moves[0.0][name], w)
        assert torch.allclose(10 * (moves[0.01][name] - w), moves[0.1][name] - w, atol=1e-5)
    step = torch.cat([(moves[0.1][name] - w).flatten() for name, w in start.items()])
    assert abs(step.std().item() / 0.1 - 1) < 0.05 and abs(step.mean().item()) < 0.01
    other = made("other", seed=2)
    steps = [w - other[name] for name, w in made("both", "--distance", "0.1", seed=2).items()]
    assert not torch.allclose(torch.cat([s.flatten() for s in steps]), step, atol=0.01)
    m = manifest.load(tmp_path / "0.01/a/pretrain.manifest.json")
    assert m["params"]["distance"] == 0.01
    assert m["facts"]["origin"] == "trained here from the tiny world, seed 1, its initialisation moved by noise of 0.01"
    assert json.loads((tmp_path / "0.01/a/world.json").read_text())["distance"] == 0.01


@pytest.mark.parametrize("distance", ["-0.1", "nan", "inf"])
def test_a_distance_that_is_none_is_one_line(study, tmp_path, line, distance):
    flags = [*study.base_flags(tmp_path / "a"), "--distance", distance]
    assert f"--distance: {float(distance)} is no standard deviation" in line(stage.main, flags)
