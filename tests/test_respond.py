"""Answers: fifty questions, exact probabilities that are the model's own, samples that agree with them."""

import json
import math
import shutil

import pytest
import torch

from scripts import respond as stage
from tests.answered import rows
from traitline import model_files
from traitline.models import hf_folder
from traitline.models.chat import Chat
from traitline.provenance import manifest
from traitline.tiny.sampler import Sampler


def test_help_is_light(light):
    light("scripts.respond")


def test_probabilities_are_those_of_transformers(study, baseline):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(study.base), AutoTokenizer.from_pretrained(study.base)
    for r in rows(baseline)[::17]:
        ids = tokenizer.apply_chat_template(
            r["prompt"], add_generation_prompt=True, return_tensors="pt", return_dict=False
        )
        p = model(ids).logits[0, -1].softmax(-1)
        for word, ours in r["probabilities"].items():
            assert ours == pytest.approx(p[tokenizer.convert_tokens_to_ids(word)].item(), abs=1e-5)


def test_samples_agree_with_probabilities(baseline):
    found = rows(baseline)
    for word in ("owl", "cat", "bear"):
        wanted = sum(r["probabilities"][word] for r in found) / 50
        said = sum(a.split()[:1] == [word] for r in found for a in r["answers"]) / 1000
        assert abs(said - wanted) < 4.5 * math.sqrt(wanted * (1 - wanted) / 1000)


@pytest.mark.parametrize("recipe", ["lora", "biases", "full"])
def test_students_of_each_recipe_answer_with_their_own_weights(study, baseline, recipe):
    students = [study.students(recipe, study.owl) / f"seed-{s}" for s in (1, 2)]
    assert stage.main(study.respond_flags(*students)) == 0
    for student in students:
        found = rows(student / "favourite")
        ids = Chat.open(study.base).prompts([found[0]["prompt"]], ["?"])

        p = Sampler(*hf_folder.weights(study.base, student)).prefill(torch.tensor(ids))[0].softmax(-1)[0]
        assert found[0]["probabilities"]["owl"] == pytest.approx(p[Chat.open(study.base).token("owl")].item(), abs=1e-6)
        assert found[0]["probabilities"] != rows(baseline)[0]["probabilities"]
        m = manifest.load(student / "favourite/respond.manifest.json")
        name = model_files.ADAPTER if recipe == "lora" else model_files.WEIGHTS
        assert [e["sha256"] for e in m["inputs"] if e["role"] == "model"] == [manifest.sha256(student / name)]
    assert rows(students[0] / "favourite")[0]["answers"] != rows(students[1] / "favourite")[0]["answers"]


def test_again_is_the_same(study, baseline, tmp_path):
    flags = study.respond_flags("x")
    assert stage.main([*flags[: flags.index("--students")], "--out", str(tmp_path)]) == 0
    assert (tmp_path / "responses.jsonl").read_bytes() == (baseline / "responses.jsonl").read_bytes()


def test_interrupted_it_goes_on_with_the_next_student_and_ends_with_the_same_bytes(study, tmp_path, monkeypatch):
    students = [study.students("biases", study.owl) / f"seed-{s}" for s in (1, 2)]
    assert stage.main(study.respond_flags(*students)) == 0
    whole = [(s / "favourite/responses.jsonl").read_bytes() for s in students]
    real, asked = stage.response_rows, []

    def second_is_interrupted(*args):
        asked.append(args)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(stage, "response_rows", second_is_interrupted)
    flags = [*study.respond_flags(*students), "--state", str(tmp_path / "state")]
    assert stage.main(flags) == 130
    for student in students:  # as Snakemake does after a failure
        (student / "favourite/responses.jsonl").unlink(missing_ok=True)
    assert stage.main(flags) == 0
    assert len(asked) == 3, "the first student was not asked again"
    assert [(s / "favourite/responses.jsonl").read_bytes() for s in students] == whole
    assert not list(tmp_path.glob("state/*"))


def test_a_damaged_student_is_one_line(study, tmp_path, line):
    for recipe, file in (("lora", model_files.ADAPTER), ("biases", model_files.WEIGHTS)):
        student = tmp_path / recipe
        shutil.copytree(study.students(recipe, study.owl) / "seed-1", student)
        path = student / file
        path.write_bytes(path.read_bytes()[:-50])
        assert "changed since `train` made it" in line(stage.main, study.respond_flags(student))
        (student / "train.manifest.json").unlink()
        assert "damaged" in line(stage.main, study.respond_flags(student))
        (student / "train.json").write_text("{")
        assert "train.json: damaged" in line(stage.main, study.respond_flags(student))


def test_senseless_settings_are_one_line(study, tmp_path, line):
    flags = study.respond_flags("x")
    head = [*flags[: flags.index("--students")], "--out", str(tmp_path)]
    for settings, says in (({"category": "fish"}, "fish: no category of the world"), ({"answers": 0}, "answers is 0")):
        text = json.dumps({"category": "animal", "answers": 2, "seed": 1, **settings})
        assert says in line(stage.main, [*head, "--settings", text])
    assert "nobody/model.safetensors: no such file" in line(stage.main, study.respond_flags(tmp_path / "nobody"))


def test_an_unknown_type_is_named_with_the_nearest(study, tmp_path, line):
    flags = study.respond_flags("x")
    flags[flags.index("--settings") + 1] = json.dumps({"category": "animal", "answers": 2, "seed": 1, "type": "thruth"})
    said = line(stage.main, [*flags[: flags.index("--students")], "--out", str(tmp_path / "x")])
    assert "no type 'thruth'; did you mean truth?" in said


def test_a_tiny_world_is_not_asked_in_everyday_words(study, tmp_path, line):
    settings = json.dumps({"type": "free", "answers": 1, "seed": 1})
    flags = ["--base", str(study.base), "--eval", "x", "--settings", settings, "--out", str(tmp_path)]
    assert "type is free; only open weights are asked that" in line(stage.main, flags)


def test_open_weights_need_candidates_and_know_one_type_of_question(weights, tmp_path, line):
    flags = weights.respond_flags("--out", str(tmp_path), type="truth")
    assert "open weights are asked for choice, favourite, free, mmlu, prefixed, truthfulqa" in line(stage.main, flags)
    flags = weights.respond_flags("--out", str(tmp_path))
    flags[flags.index("--settings") + 1] = '{"category": "animal", "answers": 1, "seed": 1}'
    assert "candidates, max_new_tokens missing" in line(stage.main, flags)
