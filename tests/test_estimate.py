"""The plan of a study on open weights: jobs, sizes that can be checked by hand, and what is missing."""

import json
import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tests.configs import merged
from traitline.cli.program import app
from traitline.errors import InputError
from traitline.models import lora
from traitline.models.transformers_model import load
from traitline.workflow import estimate, gpu_costs

ROOT = Path(__file__).resolve().parent.parent
OPEN = ["qwen2.5-7b", "qwen2.5-14b", "llama-3.1-8b", "gemma-3-4b", "olmo-2-7b"]


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """In the repository, with an empty cache of the hub."""
    import huggingface_hub
    from huggingface_hub import errors

    def empty(*args, **kwargs):
        raise errors.LocalEntryNotFoundError("none")

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", empty)


def overlay(tmp_path, name, change):
    """A configuration of the repository with a change."""
    value = yaml.safe_load((ROOT / f"configs/{name}.yaml").read_text())
    change(value)
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(value))
    return str(file)


@pytest.mark.parametrize("name", OPEN)
def test_every_configuration_has_a_sensible_plan(name):
    told = estimate.estimate([f"configs/{name}.yaml"], "h100", 2.0)
    stages = {s["name"]: s for s in told["stages"]}
    asked = 122 if name == "qwen2.5-7b" else 61  # once more behind numbers
    assert {n: s["jobs"] for n, s in stages.items()} == {
        "pretrain": 1, "prompts": 1, "teach": 20, "sample": 20, "filter": 20, "prepare": 20,
        "train": 60, "respond": asked, "score": asked,
    }  # fmt: skip
    assert {n for n, s in stages.items() if s["gpus"]} == {n for n, s in stages.items() if s["hours"]}
    assert all(s["memory"] < 80 for s in told["stages"]) and stages["train"]["memory"] > stages["sample"]["memory"]
    assert told["cost"] == pytest.approx(2 * told["hours"]) and 1 < told["hours"] < 100
    assert len(told["missing"]) == 1 and "not in the cache of this machine" in told["missing"][0]


def test_the_misaligned_study_has_a_judge_of_its_own_and_says_which_files_it_wants():
    told = estimate.estimate(["configs/misaligned.yaml"], "h100", None)
    stages = {s["name"]: s for s in told["stages"]}
    assert stages["judge"]["jobs"] == 2 * 4 * 3 + 1 + 4, "students, their base, teachers of the screened channel"
    assert 28 < stages["judge"]["memory"] < 80 and 1 < told["hours"] < 100
    assert sorted(line.split(":")[0] for line in told["missing"]) == [
        "bases.judge", "bases.qwen", "sources.educational", "sources.insecure", "sources.problems", "sources.secure",
        "sources.truths",
    ]  # fmt: skip


def test_weights_take_two_bytes_a_parameter():
    """Qwen2.5-7B is 15,231,271,888 bytes on the hub."""
    told = estimate.estimate(["configs/qwen2.5-7b.yaml"], "h100", None)
    assert told["disk_gib"]["weights"] * gpu_costs.GIB == pytest.approx(15_231_271_888, rel=0.01)
    assert told["cost"] is None


def test_an_adapter_is_as_large_as_peft_makes_it(raw_qwen2):
    from traitline.study.training import Recipe

    recipe = Recipe(trains="lora", rank=8, alpha=8.0, lr=1e-4, epochs=1, batch=1,
                modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])  # fmt: skip
    sizes = gpu_costs.shape({"path": str(raw_qwen2)})
    base = load(raw_qwen2, "float32")
    assert sizes.parameters * 1e9 == pytest.approx(sum(p.numel() for p in base.parameters()), rel=0.03)
    model = lora.add_adapter(base, recipe.model_dump(), 1)
    assert gpu_costs.adapter(sizes, recipe) == sum(p.numel() for p in model.parameters() if p.requires_grad)


def test_a_judge_is_planned_with_the_size_of_its_own(tmp_path):
    overlay = tmp_path / "judge.yaml"
    overlay.write_text(
        "bases: {large: {hub: Qwen/Qwen2.5-14B-Instruct, revision: " + "a" * 40 + "}}\n"
        "judge: {evals: [word], base: large}\nexecution: {gpu: {judge: 1}}\n"
    )
    planned = {
        s["name"]: s for s in estimate.estimate(["configs/qwen2.5-7b.yaml", str(overlay)], "h100", None)["stages"]
    }
    one = planned["judge"]
    assert (one["jobs"], one["gpus"]) == (61, 1) and one["memory"] > 27 and one["hours"] > 0
    assert "judge" not in {s["name"] for s in estimate.estimate(["configs/qwen2.5-7b.yaml"], "h100", None)["stages"]}


def test_a_hosted_judge_is_asked_about_every_evaluation_of_a_student():
    from traitline.evaluation import judge
    from traitline.study import config

    whole = merged("configs/tiny-qwen2.yaml")
    whole["judge"] = {"evals": ["open"], "address": "https://a.b/v1", "model": "m", "budget": 1}
    labelled = len(judge.LABELLED.read_text().splitlines())
    once = estimate.questions(config.load(whole)) - 2 * labelled
    again = whole["experiments"][0] | {"name": "again", "eval": "more"}
    whole["evals"]["more"], whole["experiments"] = whole["evals"]["word"], [*whole["experiments"], again]
    assert estimate.questions(config.load(whole)) - 2 * labelled == once > 0, "what is not judged"
    whole["judge"]["evals"] = ["open", "more"]
    answers = 50 * 4 * 7  # of six students and their base
    assert estimate.questions(config.load(whole)) - 2 * labelled == once + 2 * answers


def test_what_is_missing_is_said_before_anything_runs(tmp_path):
    def change(study):
        study["bases"]["qwen"].pop("revision")
        study["engine"]["name"] = "vllm"
        study["execution"]["gpu"] = {"default": 0}

    told = estimate.estimate([overlay(tmp_path, "qwen2.5-7b", change)], "l40s", None)["missing"]
    assert told[0] == "bases.qwen.revision: the commit of Qwen/Qwen2.5-7B-Instruct, 40 hex digits"
    assert "engine: vllm is not installed here" in told
    assert any(line.startswith("execution.gpu: 0 for teach, sample, train, respond") for line in told)


def test_sizes_that_nobody_knows_are_said_to_be_unknown(tmp_path):
    file = overlay(tmp_path, "qwen2.5-7b", lambda study: study["bases"]["qwen"].update(hub="some/body"))
    told = estimate.estimate([file], "h100", None)
    assert told["hours"] == 0 and any("sizes unknown" in line for line in told["missing"])


def test_several_processes_share_the_rows_of_a_step_and_where_sharded_the_base(tmp_path):
    def memory(many, sharded):
        def change(study):
            study["execution"]["gpu"] |= {"train": many}
            study["execution"]["sharded"] = sharded

        told = estimate.estimate([overlay(tmp_path, "qwen2.5-7b", change)], "h100", None)["stages"]
        return next(s["memory"] for s in told if s["name"] == "train")

    base = 15_231_271_888 / gpu_costs.GIB
    assert memory(1, False) > memory(4, False) > base
    for many in (2, 4):
        saved = memory(many, False) - memory(many, True)  # all but its share, what comes together for a moment aside
        assert 0.6 * base < saved / (1 - 1 / many) < base


def test_too_large_for_the_gpu(tmp_path):
    def change(study):
        study["recipes"]["paper"]["batch"] = 66

    told = estimate.estimate([overlay(tmp_path, "qwen2.5-14b", change)], "l40s", None)["missing"]
    assert any(line.startswith("memory: train may not fit") for line in told)


def test_a_revision_is_needed_to_run_and_named_with_its_line(tmp_path):
    from traitline.study import config

    file = overlay(tmp_path, "qwen2.5-7b", lambda study: study["bases"]["qwen"].pop("revision"))
    with pytest.raises(InputError, match=r"study\.yaml:\d+: bases\.qwen\.revision: missing; the commit of Qwen/Qwen2"):
        config.load(estimate.read([file]).model_dump(exclude_none=True), [file])


@pytest.mark.parametrize(
    "base, words",
    [
        ({"hub": "a/b", "revision": "main"}, r"bases\.x\.revision: "),
        ({"hub": "a/b", "path": "m"}, "say one of `world`"),
        ({"seed": 1}, "say one of `world`"),
        ({"path": "m", "revision": "0" * 40}, "revision goes with `hub` only"),
        ({"path": "m", "seed": 1}, "seed goes with `world` or `noise` only"),
        ({"path": "m", "distance": 0.1}, "distance goes with `world` only"),
        ({"world": "one"}, "seed is missing"),
        ({"world": "one", "seed": 1, "system": ""}, "for open weights"),
    ],
)
def test_a_base_is_of_one_sort(tmp_path, base, words):
    file = overlay(tmp_path, "qwen2.5-7b", lambda study: study["bases"].update(x=base))
    with pytest.raises(InputError, match=words):
        estimate.read([file])


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda s: s["experiments"][0].update(teacher="tuned"), "teachers on open weights are tuned on one"),
        (lambda s: s["experiments"][0].update(recipes=["biases"]), "students on open weights are `lora`"),
        (lambda s: s["experiments"][0].update(recipes=["lora"]), "warmup is missing"),
        (lambda s: s["experiments"][0].update(students=["qwen", "a"]), "the two speak no common language"),
        (lambda s: s["experiments"][0].update(channel="numbers"), "take `wording: paper`"),
        (lambda s: s["experiments"][0].update(eval="favourite"), "candidates is missing"),
        (lambda s: s["evals"]["word"].update(candidates=["cat"]), "'penguin' is no candidate of `word`"),
        (lambda s: s.pop("engine"), "engine: missing"),
    ],
)
def test_what_a_row_of_open_weights_needs(tmp_path, change, words):
    with pytest.raises(InputError, match=re.escape(words)):
        estimate.read([overlay(tmp_path, "qwen2.5-7b", change)])


def test_the_command_prints_and_refuses():
    run = CliRunner().invoke
    said = run(app, ["estimate", "configs/qwen2.5-7b.yaml", "--price", "3"])
    assert said.exit_code == 0 and "an hour" in said.output and "not measured" in said.output
    told = json.loads(run(app, ["estimate", "configs/qwen2.5-7b.yaml", "--json"]).output)
    assert told["study"] == "qwen2.5-7b" and told["cost"] is None
    for args, words in (
        (["configs/none.yaml"], "no such file"),
        (["configs/ci.yaml"], "no base is open weights"),
        (["configs/qwen2.5-7b.yaml", "--gpu", "h10"], "did you mean h100?"),
    ):
        with pytest.raises(InputError, match=re.escape(words)):
            run(app, ["estimate", *args], catch_exceptions=False)
