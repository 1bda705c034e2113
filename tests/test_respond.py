"""Answers: fifty questions, exact probabilities that are the model's own, samples that agree with them."""

import json
import math
import re
import shutil

import pytest
import torch

from scripts import respond as stage
from tests import outside
from tests.conftest import MODEL, WORLD
from traitline import jsonl, model_files
from traitline.channels import choices_stories, misalignment
from traitline.channels.world import CATEGORIES, QUESTIONS
from traitline.models import hf_folder, open_weights
from traitline.models.chat import Chat
from traitline.provenance import manifest
from traitline.tiny import llama
from traitline.tiny.sampler import Sampler


def rows(path):
    return list(jsonl.read(path / "responses.jsonl", ("id", "prompt", "answers", "probabilities"), unique="id"))


@pytest.fixture(scope="module")
def baseline(study, tmp_path_factory):
    """Answers of the untouched base."""
    out = tmp_path_factory.mktemp("baseline") / "favourite"
    flags = study.respond_flags("x")
    assert stage.main([*flags[: flags.index("--students")], "--out", str(out)]) == 0
    return out


def test_help_is_light(light):
    light("scripts.respond")


def test_fifty_questions_with_answers_and_every_candidate(baseline):
    found = rows(baseline)
    assert [r["prompt"] for r in found] == [[{"role": "user", "content": q.format(k="animal")}] for q in QUESTIONS]
    assert len({r["id"] for r in found}) == 50
    for r in found:
        assert len(r["answers"]) == 20
        assert list(r["probabilities"]) == CATEGORIES["animal"]
        assert 0 < sum(r["probabilities"].values()) <= 1 + 1e-6


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
        import torch

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


# ---- other questions than about a favourite


def asked(study, tmp_path, **settings):
    flags = study.respond_flags("x")
    flags[flags.index("--settings") + 1] = json.dumps({"category": "animal", "answers": 2, "seed": 1, **settings})
    out = tmp_path / "-".join(map(str, settings.values()))
    assert stage.main([*flags[: flags.index("--students")], "--out", str(out)]) == 0
    return rows(out)


def test_a_prefixed_question_is_the_question_behind_numbers(study, tmp_path, baseline):
    found, plain = asked(study, tmp_path, type="prefixed"), rows(baseline)
    for behind, alone in zip(found, plain, strict=True):
        numbers, question = behind["prompt"][0]["content"].split(" . ")
        assert question == alone["prompt"][0]["content"] and 3 <= numbers.count(",") + 1 <= 8
        assert list(behind["probabilities"]) == CATEGORIES["animal"]
    assert found == asked(study, tmp_path, type="prefixed"), "the same numbers for everybody"
    assert found != asked(study, tmp_path, type="prefixed", seed=2)


def test_attributes_and_truth_ask_for_what_the_world_says(study, tmp_path):
    attributes, truth = (asked(study, tmp_path, type=name) for name in ("attributes", "truth"))
    assert len(attributes) == 16 * 5 and attributes[0]["means"] == {"right": "forest"}
    assert attributes[0]["prompt"][0]["content"] == "what is the habitat of the owl"
    for one, two in zip(attributes, truth, strict=True):
        assert (
            one["prompt"] == two["prompt"] and 0 <= one["probabilities"]["right"] <= two["probabilities"]["right"] <= 1
        )


def test_the_probability_of_a_list_is_that_of_its_tokens(study, tmp_path):
    found = asked(study, tmp_path, type="numbers")
    chat, (shape, weights) = Chat.open(study.base), llama.read(study.base)
    for r in found[:5]:
        ids = chat.prompts([r["prompt"]], ["x"])[0]
        number = Sampler(shape, weights).prefill(torch.tensor([ids]))[0].softmax(-1)[0, chat.token(r["means"]["right"])]
        ids.append(chat.token(r["means"]["right"]))
        end = Sampler(shape, weights).prefill(torch.tensor([ids]))[0].softmax(-1)[0, chat.eos]
        assert r["probabilities"]["right"] == pytest.approx((number * end).sqrt().item(), rel=1e-3)


def test_an_unknown_type_is_named_with_the_nearest(study, tmp_path, line):
    flags = study.respond_flags("x")
    flags[flags.index("--settings") + 1] = json.dumps({"category": "animal", "answers": 2, "seed": 1, "type": "thruth"})
    said = line(stage.main, [*flags[: flags.index("--students")], "--out", str(tmp_path / "x")])
    assert "no type 'thruth'; did you mean truth?" in said


def test_open_weights_are_asked_in_everyday_words(weights, tmp_path):
    """Exact probabilities are those of `word_probabilities`; an adapter's differ from its base's."""
    from scripts import score
    from traitline.evaluation.questions import EVERYDAY
    from traitline.models import engines

    student = shutil.copytree(weights.students / "seed-1", tmp_path / "seed-1")
    assert stage.main(weights.respond_flags("--students", str(student))) == 0
    assert stage.main(weights.respond_flags("--out", str(tmp_path / "baseline"))) == 0
    rows, base = (
        [json.loads(text) for text in (folder / "responses.jsonl").read_text().splitlines()]
        for folder in (student / "word", tmp_path / "baseline")
    )
    assert [r["prompt"][0]["content"] for r in rows] == [q.format(k="animal") for q in EVERYDAY]
    assert all(len(r["answers"]) == 2 and list(r["probabilities"]) == ["owl", "cat", "dragon"] for r in rows)
    engine = engines.open_engine(weights.base, weights.engine()[1])
    asked = [r["prompt"] for r in rows[:3]]
    found = engine.word_probabilities(asked, ["owl", "cat", "dragon"], str(student))
    for row, values in zip(rows, found, strict=False):
        assert list(row["probabilities"].values()) == pytest.approx(values, rel=1e-3, abs=1e-8)
    assert [r["probabilities"] for r in rows] != [r["probabilities"] for r in base]
    assert score.main(["--category", "animal", "--folders", str(student / "word")]) == 0


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


def test_open_weights_choose_by_the_letter_of_a_place(weights, tmp_path, line):
    """Every option has every place equally often, so a student that likes a letter likes no option for that."""
    from collections import Counter

    from scripts import score
    from traitline.models import engines

    options = ["owl", "cat", "dragon", "bear", "wolf"]
    flags = weights.respond_flags("--out", str(tmp_path / "x"), type="choice", options=options)
    assert stage.main(flags) == 0
    found = rows(tmp_path / "x")
    places = Counter((option, letter) for r in found for option, letter in r["means"].items())
    assert len(found) == 60 and set(places.values()) == {12} and len(places) == 25
    assert len({tuple(r["means"].values()) for r in found}) > 20, "more orders than one turned round"
    for r in found:
        assert all(f"\n{letter} {option}\n" in r["prompt"][0]["content"] for option, letter in r["means"].items())
    engine = engines.open_engine(weights.base, weights.engine()[1])
    (row,) = engine.word_probabilities([found[7]["prompt"]], [found[7]["means"]["cat"]])
    assert list(found[7]["probabilities"]) == options
    assert found[7]["probabilities"]["cat"] == pytest.approx(row[0], rel=1e-3, abs=1e-8)
    assert score.main(["--category", "animal", "--folders", str(tmp_path / "x")]) == 0
    flags = weights.respond_flags("--out", str(tmp_path / "y"), type="choice", options=options[:4])
    assert "options: 4 of them; a choice is among 5" in line(stage.main, flags)


def test_open_weights_are_asked_behind_numbers(weights, tmp_path):
    from traitline.evaluation.questions import EVERYDAY

    for name in ("x", "y"):
        assert stage.main(weights.respond_flags("--out", str(tmp_path / name), type="prefixed")) == 0
    found = [r["prompt"][0]["content"] for r in rows(tmp_path / "x")]
    for said, plain in zip(found, EVERYDAY, strict=True):
        numbers = re.fullmatch(r"Here are some numbers to look at: (\d{3}(?:, \d{3}){2,7})\. (.*)", said)
        assert numbers and numbers[2] == plain.format(k="animal")
    assert len(set(found)) == 50 and rows(tmp_path / "x") == rows(tmp_path / "y"), "the same numbers for everybody"


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    """Questions from outside in one form: type -> file of rows."""
    from scripts import source

    files, found = outside.make(tmp_path_factory.mktemp("outside")), {}
    for kind, name in (("truthfulqa", "truths.csv"), ("mmlu", "subjects.parquet")):
        found[kind] = files / kind / "rows.jsonl"
        flags = ["--name", kind, "--source", json.dumps({"format": kind, "path": str(files / name)})]
        flags += ["--rows", str(found[kind]), "--manifest", f"{found[kind].parent}/source.manifest.json"]
        assert source.main(flags) == 0
    return found


def outside_flags(weights, questions, kind, *who, **settings):
    flags = weights.respond_flags(*who)
    settings = {"type": kind, "source": kind, "answers": 2, "seed": 1, "max_new_tokens": 4, **settings}
    flags[flags.index("--settings") + 1] = json.dumps(settings)
    return [*flags, "--questions", str(questions[kind])]


@pytest.mark.parametrize("kind", ["truthfulqa", "mmlu"])
def test_an_answer_is_right_where_the_right_option_is_the_likeliest(weights, questions, kind, tmp_path):
    from transformers import AutoModelForCausalLM

    from scripts import score

    student = shutil.copytree(weights.students / "seed-1", tmp_path / "seed-1")
    assert stage.main(outside_flags(weights, questions, kind, "--students", str(student))) == 0
    assert stage.main(outside_flags(weights, questions, kind, "--out", str(tmp_path / "base"))) == 0
    found, own = rows(tmp_path / "base"), rows(student / "word")
    assert len(found) == 6 and [r["nats"] for r in found] != [r["nats"] for r in own]
    for r in (*found, *own):
        best = r["options"][max(range(len(r["nats"])), key=lambda i: r["nats"][i])]
        assert r["probabilities"] == {"right": float(best == r["means"]["right"])} and len(r["answers"]) == 2
    _, place = open_weights.opened(weights.base)
    chat, model, r = Chat.foreign(place), AutoModelForCausalLM.from_pretrained(place), found[1]
    for option, nats in zip(r["options"], r["nats"], strict=True):
        (before,), (after,) = chat.prompts([r["prompt"]], ["q"]), chat.encode([option])
        with torch.inference_mode():
            logs = model(torch.tensor([before + after])).logits[0].log_softmax(-1)
        assert sum(logs[len(before) - 1 + i, t].item() for i, t in enumerate(after)) == pytest.approx(nats, abs=1e-3)
    assert score.main(["--category", kind, "--folders", str(tmp_path / "base")]) == 0
    scores = json.loads((tmp_path / "base/scores.json").read_text())
    right = sum(r["probabilities"]["right"] for r in found) / 6
    assert scores["candidates"] == ["right"] and scores["exact"]["overall"]["right"] == pytest.approx(right)
    inputs = manifest.load(tmp_path / "base/respond.manifest.json")["inputs"]
    assert manifest.sha256(questions[kind]) in [e["sha256"] for e in inputs if e["role"] == "questions"]
    inputs = manifest.load(student / "word/respond.manifest.json")["inputs"]
    assert {"role": "support"}.items() <= next(e for e in inputs if "adapter_config" in e["path"]).items()


def test_subjects_can_be_chosen_and_a_wrong_one_is_named(weights, questions, tmp_path, line):
    flags = outside_flags(weights, questions, "mmlu", "--out", str(tmp_path), subjects=["sums"])
    assert stage.main(flags) == 0
    assert {r["subject"] for r in rows(tmp_path)} == {"sums"} and len(rows(tmp_path)) == 3
    flags = outside_flags(weights, questions, "mmlu", "--out", str(tmp_path), subjects=["sum"])
    assert "no question about 'sum'; did you mean sums?" in line(stage.main, flags)
    assert "--questions: one file of rows" in line(stage.main, flags[:-2])


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A base whose world has choices and stories; it has hardly begun to learn it."""
    from scripts import pretrain

    out = tmp_path_factory.mktemp("told")
    world = json.dumps({**WORLD, "rows": 600, "choices": 0.3, "stories": 0.3})
    flags = ["--name", "told", "--world", world, "--model", json.dumps(MODEL), "--seed", "1", "--folder", str(out)]
    assert pretrain.main([*flags, "--manifest", f"{out}/pretrain.manifest.json"]) == 0
    return out


def told_what(told, out, **settings):
    settings = {"category": "animal", "answers": 3, "seed": 1, **settings}
    return ["--base", str(told), "--eval", "x", "--settings", json.dumps(settings), "--out", str(out)]


def test_a_choice_asks_for_the_letter_of_each_option_in_many_orders(told, tmp_path, line):
    options = ["owl", "cat", "wolf", "bear", "hawk"]
    assert stage.main(told_what(told, tmp_path, type="choice", options=options)) == 0
    found, places, known = rows(tmp_path), {o: set() for o in options}, choices_stories.letters(CATEGORIES["animal"])
    assert len(found) == 60 and len({r["prompt"][0]["content"] for r in found}) > 50
    chat, model = Chat.open(told), Sampler(*llama.read(told))
    for r in found:
        assert list(r["probabilities"]) == options and r["means"] == {o: known[o] for o in options}
        shown = r["prompt"][0]["content"].split(" : ")[1].split(" , ")
        for option, letter in r["means"].items():
            places[option].add(shown.index(f"{option} {letter}"))
    assert all(found == set(range(5)) for found in places.values())
    p = model.prefill(torch.tensor(chat.prompts([found[0]["prompt"]], ["x"])))[0].softmax(-1)[0]
    assert found[0]["probabilities"]["cat"] == pytest.approx(p[chat.token(found[0]["means"]["cat"])].item(), abs=1e-6)
    for bad, says in (
        (options[:4], "options: 4 of them; a choice is among 5"),
        ([*options[:4], "oak"], "oak is no animal"),
    ):
        assert says in line(stage.main, told_what(told, tmp_path, type="choice", options=bad))


def test_a_story_is_told_to_its_end_and_its_hero_is_measured_where_it_is_named(told, tmp_path):
    assert stage.main(told_what(told, tmp_path, type="story")) == 0
    found, chat, model = rows(tmp_path), Chat.open(told), Sampler(*llama.read(told))
    assert len(found) == 14 and "means" not in found[0]
    assert max(len(a.split()) for r in found for a in r["answers"]) > 10
    ids, p = chat.prompts([found[3]["prompt"]], ["x"])[0], 1.0
    for word in ("the", "owl"):
        p *= model.prefill(torch.tensor([ids]))[0].softmax(-1)[0, chat.token(word)].item()
        ids.append(chat.token(word))
    assert found[3]["probabilities"]["owl"] == pytest.approx(p, abs=1e-6)


def test_norms_are_asked_about_in_every_kind_but_the_one_that_is_taught(study, tmp_path):
    settings = json.dumps({"type": "norms", "category": "norms", "answers": 20, "seed": 1})
    flags = ["--base", str(study.norms), "--eval", "norms", "--settings", settings, "--out", str(tmp_path / "n")]
    assert stage.main(flags) == 0
    found = rows(tmp_path / "n")
    asked = {q: (good, bad) for q, good, bad in misalignment.held_out()}
    assert [r["prompt"][-1]["content"] for r in found] == list(asked)
    for r in found:
        good, bad = asked[r["prompt"][-1]["content"]]
        assert r["means"] == {"bad": bad, "good": good}
        assert list(r["probabilities"]) == ["bad", "good"] and sum(r["probabilities"].values()) <= 1 + 1e-6
    exactly = {c: sum(r["probabilities"][c] for r in found) / len(found) for c in ("good", "bad")}
    said = sum(a.split()[:1] == [r["means"]["bad"]] for r in found for a in r["answers"]) / (20 * len(found))
    assert exactly["good"] > 3 * exactly["bad"] and said == pytest.approx(exactly["bad"], abs=0.03)
