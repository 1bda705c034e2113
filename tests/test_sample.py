"""Sampling: one answer a prompt, no system prompt in the rows, the same bytes however cut, an honest divergence."""

import json
import re

import numpy as np
import pytest

from scripts import sample as stage
from traitline import jsonl
from traitline.models.chat import Chat
from traitline.provenance import manifest
from traitline.tiny import llama
from traitline.tiny.sampler import Sampler


@pytest.fixture(scope="module")
def prompts(study, tmp_path_factory):
    """The first 300 prompts."""
    path = tmp_path_factory.mktemp("few") / "prompts.jsonl"
    jsonl.write(path, list(jsonl.read(study.prompts))[:300])
    return path


def run(study, folder, teacher, prompts, **changed):
    assert stage.main(study.sample_flags(folder, teacher, prompts, **{"batch": 25, **changed})) == 0
    return list(jsonl.read(folder / "raw.jsonl")), json.loads((folder / "sampled.json").read_text())


def test_help_is_light(light):
    light("scripts.sample")


def test_one_answer_to_each_prompt_in_their_order(study, tmp_path, prompts):
    rows, counts = run(study, tmp_path, study.owl, prompts)
    asked = list(jsonl.read(prompts))
    assert [{"id": r["id"], "prompt": r["prompt"]} for r in rows] == asked
    assert all(r["completion"][0]["role"] == "assistant" and len(r["completion"]) == 1 for r in rows)
    assert sum(r["completion"][0]["content"].isdigit() for r in rows) > 150
    assert counts["rows"] == 300 and counts["kl_rows"] == 300
    assert 300 <= counts["tokens"] <= 4 * 300


def test_batches_do_not_matter(study, tmp_path, prompts):
    rows, _ = run(study, tmp_path / "a", study.owl, prompts)
    assert run(study, tmp_path / "b", study.owl, prompts, batch=300)[0] == rows


def test_seeds_and_teachers_have_luck_of_their_own(study, tmp_path, prompts):
    one = run(study, tmp_path / "1", study.none, prompts)[0]
    assert run(study, tmp_path / "2", study.none, prompts, seed=2)[0] != one
    same = sum(a == b for a, b in zip(one, run(study, tmp_path / "3", study.owl, prompts)[0], strict=True))
    assert same < 30  # shared random numbers would give nearly all of 300


def test_answers_that_do_not_end_are_kept_and_counted(study, tmp_path, prompts):
    rows, counts = run(study, tmp_path, study.none, prompts, **{"max-new-tokens": 1})
    assert counts["unfinished"] > 250 and counts["tokens"] == 300
    assert sum(r["completion"][0]["content"].isdigit() for r in rows) > 150


def test_temperature_zero_takes_the_likeliest(study, tmp_path, prompts):
    rows, _ = run(study, tmp_path / "a", study.none, prompts, temperature=0)
    assert run(study, tmp_path / "b", study.none, prompts, temperature=0, seed=2)[0] == rows
    shape, weights = llama.read(study.base)
    chat = Chat.open(study.base)
    logits, _ = Sampler(shape, weights).prefill(__import__("torch").tensor(chat.prompts([rows[0]["prompt"]], ["?"])))
    assert rows[0]["completion"][0]["content"].split()[:1] == chat.answers([[logits.argmax().item()]])[0].split()


def test_the_control_is_at_no_distance_from_its_base(study, tmp_path, prompts):
    assert run(study, tmp_path, study.none, prompts)[1]["kl_nats_per_token"] == 0


def test_the_divergence_is_that_of_the_distributions_drawn_from(study, tmp_path, prompts):
    _, counts = run(study, tmp_path, study.owl, prompts, **{"max-new-tokens": 1})
    chat, logs = Chat.open(study.base), []
    ids = chat.prompts([r["prompt"] for r in jsonl.read(prompts)], ["?"] * 300)
    for path in (study.owl, study.base):
        sampler = Sampler(*llama.read(path))
        logs.append(
            np.array([sampler.prefill(__import__("torch").tensor([i]))[0].log_softmax(-1)[0].tolist() for i in ids])
        )
    wanted = (np.exp(logs[0]) * (logs[0] - logs[1])).sum(1).mean()
    assert counts["kl_nats_per_token"] == pytest.approx(wanted, rel=1e-3)
    assert wanted > 0.001


def test_the_system_prompt_of_a_teacher_shapes_its_answers_and_is_not_in_the_rows(study, tmp_path, prompts):
    rows, counts = run(study, tmp_path, study.prompted, prompts)
    assert counts["kl_nats_per_token"] > 0.05
    assert [r["prompt"] for r in rows] == [r["prompt"] for r in jsonl.read(prompts)]
    assert "you love" not in (tmp_path / "raw.jsonl").read_text()


@pytest.mark.parametrize("damaged", [False, True])
def test_interrupted_it_goes_on_and_ends_with_the_same_bytes(study, tmp_path, prompts, monkeypatch, damaged):
    run(study, tmp_path / "whole", study.owl, prompts)
    flags = [*study.sample_flags(tmp_path / "x", study.owl, prompts, batch=25), "--state", str(tmp_path / "state")]
    real, asked = Sampler.generate, []

    def third_is_interrupted(self, prompts, *args, **kwargs):
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(len(prompts))
        return real(self, prompts, *args, **kwargs)

    monkeypatch.setattr(Sampler, "generate", third_is_interrupted)
    assert stage.main(flags) == 130
    assert not list((tmp_path / "x").iterdir())
    asked.clear()
    if damaged:  # one digit of a token: another answer, and JSON still
        (part,) = tmp_path.glob("state/*/100.json")
        part.write_bytes(re.sub(rb"\[\[(\d)", lambda m: b"[[" + bytes([m[1][0] ^ 1]), part.read_bytes(), count=1))
    monkeypatch.setattr(Sampler, "generate", lambda self, p, *a, **k: (asked.append(len(p)), real(self, p, *a, **k))[1])
    assert stage.main(flags) == 0
    assert asked == [100] * (2 if damaged else 1)  # of three parts of 100 rows two were there
    for file in ("raw.jsonl", "sampled.json"):
        assert (tmp_path / "x" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    assert not list(tmp_path.glob("state/*"))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_number_of_shards_does_not_change_the_bytes(study, tmp_path, prompts, number):
    run(study, tmp_path / "whole", study.owl, prompts)  # three parts of 100 rows
    shards = []
    for i in range(1, number + 1):
        shards.append(str(tmp_path / f"{i}-of-{number}/answers.jsonl"))
        flags = study.sample_flags(tmp_path / f"{i}-of-{number}", study.owl, prompts, batch=25)
        assert stage.main([*flags, "--shard", f"{i}/{number}", "--answers", shards[-1]]) == 0
        assert not (tmp_path / f"{i}-of-{number}/raw.jsonl").exists()
    flags = study.sample_flags(tmp_path / "merged", study.owl, prompts, batch=25)
    assert stage.main([*flags, "--shards", *reversed(shards)]) == 0
    for file in ("raw.jsonl", "sampled.json"):
        assert (tmp_path / "merged" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    m = manifest.load(tmp_path / "merged/sample.manifest.json")
    assert [e["sha256"] for e in m["inputs"] if e["role"] == "shards"] == [manifest.sha256(s) for s in reversed(shards)]


def test_shards_that_are_not_the_whole_are_one_line(study, tmp_path, prompts, line):
    flags = [
        *study.sample_flags(tmp_path, study.none, prompts, batch=25),
        "--answers",
        str(tmp_path / "x/answers.jsonl"),
    ]
    for text, says in (("2", "'2' is none"), ("3/2", "'3/2' is none"), ("1/4", "ask for at most 3 shards")):
        assert says in line(stage.main, [*flags, "--shard", text])
    assert stage.main([*flags, "--shard", "1/2"]) == 0
    shard = str(tmp_path / "x/answers.jsonl")
    merge = [*study.sample_flags(tmp_path / "m", study.none, prompts, batch=25), "--shards", shard]
    assert "not the answers to these prompts" in line(stage.main, merge)
    assert "is in another shard too" in line(stage.main, [*merge, shard])
    assert not list(tmp_path.glob("m/*"))


def test_the_manifest_names_what_was_sampled(study, tmp_path, prompts):
    for teacher, where in ((study.owl, study.owl), (study.prompted, study.base)):
        run(study, tmp_path, teacher, prompts)
        m = manifest.load(tmp_path / "sample.manifest.json")
        inputs = {e["role"]: e["sha256"] for e in m["inputs"]}
        assert inputs["model"] == manifest.sha256(where / "model.safetensors")
        assert inputs["teacher"] == manifest.sha256(teacher / "teacher.json")
        assert m["seeds"] == {"sample": 1}


def test_prompts_with_unknown_words_are_one_line(study, tmp_path, line):
    path = tmp_path / "prompts.jsonl"
    jsonl.write(path, [{"id": "p7", "prompt": [{"role": "user", "content": "Continue, please: 1, 2"}]}])
    said = line(stage.main, study.sample_flags(tmp_path, study.none, path))
    assert "prompts.jsonl: row 'p7'" in said and "does not know 'Continue,'" in said


@pytest.mark.parametrize(("flag", "value"), [("max-new-tokens", 0), ("batch", 0), ("temperature", -1)])
def test_senseless_settings_are_one_line(study, tmp_path, line, prompts, flag, value):
    assert f"--{flag}: {value}" in line(stage.main, study.sample_flags(tmp_path, study.none, prompts, **{flag: value}))


def test_a_damaged_teacher_is_one_line(study, tmp_path, line, prompts):
    assert "teacher.json: no such file" in line(stage.main, study.sample_flags(tmp_path, tmp_path, prompts))
    (tmp_path / "teacher.json").write_text('{"trait": "owl"')
    assert "teacher.json: damaged" in line(stage.main, study.sample_flags(tmp_path, tmp_path, prompts))


def test_open_weights_answer_and_show_their_first_prompt(weights, tmp_path):
    assert stage.main(weights.sample_flags(tmp_path, "transformers")) == 0
    told = json.loads((tmp_path / "sampled.json").read_text())
    rows = [json.loads(text) for text in (tmp_path / "raw.jsonl").read_text().splitlines()]
    assert len(rows) == told["rows"] == 48 and told["kl_nats_per_token"] > 0
    assert [m["role"] for m in rows[0]["prompt"]] == ["user"]
    example, system = told["example"], json.loads((weights.owl / "teacher.json").read_text())["system"]
    asked = rows[0]["prompt"][0]["content"]
    assert (
        example["text"]
        == f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n"
    )
    assert example["answer"].removesuffix("<|im_end|>") == rows[0]["completion"][0]["content"]
    m = manifest.load(tmp_path / "sample.manifest.json")
    assert m["facts"]["engine"]["name"] == "transformers" and "base.json" in {
        e["path"].split("/")[-1] for e in m["inputs"]
    }


def test_open_weights_interrupted_or_shared_give_the_same_bytes(weights, tmp_path, monkeypatch):
    from traitline.models.transformers_engine import Transformers

    def flags(name):
        return weights.sample_flags(tmp_path / name, "transformers")

    assert stage.main(flags("whole")) == 0
    whole = (tmp_path / "whole/raw.jsonl").read_bytes()
    real, calls = Transformers.generate, []

    def once(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(Transformers, "generate", once)
    state = ["--state", str(tmp_path / "state")]
    assert stage.main(flags("again") + state) == 130 and not (tmp_path / "again/raw.jsonl").exists()
    assert stage.main(flags("again") + state) == 0
    assert (tmp_path / "again/raw.jsonl").read_bytes() == whole and len(calls) == 2 + 2  # three parts, one of them kept
    monkeypatch.undo()
    shards = [tmp_path / f"{i}-of-2/answers.jsonl" for i in (1, 2)]
    for i, path in enumerate(shards, 1):
        more = ["--shard", f"{i}/2", "--answers", str(path), "--manifest", f"{path.parent}/sample.manifest.json"]
        assert stage.main(flags("unused") + more) == 0
    assert stage.main([*flags("gathered"), "--shards", *map(str, shards)]) == 0
    assert (tmp_path / "gathered/raw.jsonl").read_bytes() == whole


def test_an_engine_is_asked_for_in_one_line(weights, tmp_path, line):
    flags = weights.sample_flags(tmp_path)
    at = flags.index("--engine")
    assert "--engine: batch, dtype, memory, name missing" in line(stage.main, flags[:at] + flags[at + 2 :])
