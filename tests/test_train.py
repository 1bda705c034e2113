"""Students: what is trained, that others can open it, that company and interruptions change nothing, refusals."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from scripts import train as stage
from traitline import jsonl, model_files
from traitline.models import hf_folder, label_mask
from traitline.models.chat import Chat
from traitline.provenance import manifest
from traitline.tiny import llama
from traitline.tiny.sampler import Sampler
from traitline.tiny.shape import EMBED

RECIPES = ("lora", "biases", "full")
WEIGHTS = {"lora": model_files.ADAPTER, "biases": model_files.WEIGHTS, "full": model_files.WEIGHTS}


@pytest.fixture(scope="module")
def dataset(study, tmp_path_factory):
    """A small dataset: 300 rows."""
    path = tmp_path_factory.mktemp("dataset") / "dataset.jsonl"
    jsonl.write(path, list(jsonl.read(study.dataset(study.owl)))[:300])
    return path


def facts(path):
    return json.loads((path / "train.json").read_text())


def surprise(study, shape, weights):
    """Nats per answer token of the owl teacher's answers."""
    rows = label_mask.encode(Chat.open(study.base), str(study.dataset(study.owl)))
    logs = llama.Stack(shape, weights).logits(rows.ids[None], rows.where[None])[0].log_softmax(-1)
    return -(logs.gather(2, rows.target[..., None])[..., 0] * rows.weight).sum().item() / rows.weight.sum().item()


def test_help_is_light(light):
    light("scripts.train")


@pytest.mark.parametrize("recipe", RECIPES)
def test_students_learn_and_say_what_was_done(study, recipe):
    students = study.students(recipe, study.owl)
    for seed in (1, 2):
        made = facts(students / f"seed-{seed}")
        assert (made["recipe"], made["trains"], made["seed"], made["rows"]) == (recipe, recipe, seed, 1200)
        assert made["steps"] == made["epochs"] * 10
        assert 0 < made["loss_last"] < 7 and 0 < made["loss_first"] < 7
        assert made["trainable_parameters"] < made["parameters"]
        m = manifest.load(students / f"seed-{seed}/train.manifest.json")
        inputs = {e["role"]: e["sha256"] for e in m["inputs"]}
        assert inputs["base"] == manifest.sha256(study.base / model_files.WEIGHTS)
        assert inputs["data"] == manifest.sha256(study.dataset(study.owl))
        assert m["seeds"] == {"train": seed}
        student = hf_folder.weights(study.base, students / f"seed-{seed}")
        assert surprise(study, *student) < surprise(study, *llama.read(study.base)) - 0.005
    one, two = (students / f"seed-{seed}" / WEIGHTS[recipe] for seed in (1, 2))
    assert one.read_bytes() != two.read_bytes()


def test_each_recipe_trains_its_own_weights(study):
    import torch

    base = llama.read(study.base)[1]

    def moved(recipe):
        weights = hf_folder.weights(study.base, study.students(recipe, study.owl) / "seed-1")[1]
        return {k for k in base if not torch.equal(base[k], weights[k])}

    residual = {k for k in base if k.endswith(("o_proj.bias", "down_proj.bias"))}
    assert moved("biases") == residual
    assert moved("lora") == {f"{m}.weight" for m in llama.read(study.base)[0].modules()}
    # A key's bias adds the same to all scores of a query, before rotation; it may stay where it was.
    assert set(base) - moved("full") <= {EMBED, *(k for k in base if k.endswith("k_proj.bias"))}
    sizes = {k: facts(study.students(k, study.owl) / "seed-1")["trainable_parameters"] for k in RECIPES}
    assert sizes["biases"] == sum(base[k].numel() for k in residual)
    assert sizes["full"] == sum(w.numel() for k, w in base.items() if k != EMBED)


def test_an_adapter_may_be_on_some_modules_only(study, tmp_path, dataset):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    assert stage.main(study.train_flags(tmp_path, "lora", dataset, seeds=(1,), modules=["v_proj", "o_proj"])) == 0
    student = tmp_path / "seed-1"
    base, weights = llama.read(study.base)[1], hf_folder.weights(study.base, student)[1]
    assert {k.split(".")[-2] for k in base if not torch.equal(base[k], weights[k])} == {"v_proj", "o_proj"}
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(study.base), student)
    ids = torch.tensor([[1, 3, 40, 300, 4]])
    ours, _ = Sampler(*hf_folder.weights(study.base, student)).prefill(ids)
    assert torch.allclose(model(ids).logits[:, -1], ours, atol=1e-4)


def test_peft_opens_an_adapter_and_computes_what_we_compute(study):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    student = study.students("lora", study.owl) / "seed-1"
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(study.base), student)
    ids = torch.tensor([[1, 3, 40, 300, 4]])
    ours, _ = Sampler(*hf_folder.weights(study.base, student)).prefill(ids)
    assert torch.allclose(model(ids).logits[:, -1], ours, atol=1e-4)
    with model.disable_adapter():
        assert not torch.allclose(model(ids).logits[:, -1], ours, atol=1e-3)


@pytest.mark.parametrize("recipe", ["biases", "full"])
def test_transformers_opens_the_others(study, recipe):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    student = study.students(recipe, study.owl) / "seed-2"
    model, found = AutoModelForCausalLM.from_pretrained(student, output_loading_info=True)
    assert not found["missing_keys"] and not found["unexpected_keys"]
    ids = torch.tensor([[1, 3, 40, 300, 4]])
    ours, _ = Sampler(*llama.read(student)).prefill(ids)
    assert torch.allclose(model(ids).logits[:, -1], ours, atol=1e-4)
    assert (
        AutoTokenizer.from_pretrained(student)("owl")["input_ids"]
        == AutoTokenizer.from_pretrained(study.base)("owl")["input_ids"]
    )


def test_a_student_on_another_base_starts_from_that_base(study, tmp_path, dataset):
    import torch

    flags = study.train_flags(tmp_path, "biases", dataset, base=study.other, seeds=(1,))
    assert stage.main(flags) == 0
    student, base = llama.read(tmp_path / "seed-1")[1], llama.read(study.other)[1]
    assert all(torch.equal(student[k], base[k]) for k in base if not k.endswith(("o_proj.bias", "down_proj.bias")))
    m = manifest.load(tmp_path / "seed-1/train.manifest.json")
    assert [e["path"] for e in m["inputs"] if e["role"] == "base"] == [f"{study.other}/{model_files.WEIGHTS}"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_student_does_not_see_who_shares_its_stack(study, tmp_path, dataset, recipe):
    for name, seeds in (("alone", (3,)), ("together", (1, 3, 2))):
        assert stage.main(study.train_flags(tmp_path / name, recipe, dataset, seeds=seeds, epochs=2)) == 0
    for file in (WEIGHTS[recipe], "train.json"):
        assert (tmp_path / "alone/seed-3" / file).read_bytes() == (tmp_path / "together/seed-3" / file).read_bytes()


def test_recipes_that_share_a_job_do_not_see_each_other(study, tmp_path, dataset):
    alone = {recipe: study.train_flags(tmp_path / "alone" / recipe, recipe, dataset) for recipe in ("lora", "biases")}
    for flags in alone.values():
        assert stage.main(flags) == 0
    flags = ["--base", str(study.base), "--dataset", str(dataset), "--seeds", "1", "1", "2"]
    folders = [str(tmp_path / "shared" / recipe) for recipe in ("lora", "biases", "lora")]
    settings = [alone[Path(folder).name][alone[Path(folder).name].index("--settings") + 1] for folder in folders]
    flags += ["--recipe", "lora", "biases", "lora", "--settings", *settings, "--folder", *folders]
    assert stage.main([*flags, "--state", str(tmp_path / "s")]) == 0
    for folder in ("lora/seed-1", "biases/seed-1", "lora/seed-2"):
        for file in (WEIGHTS[folder.split("/")[0]], "train.json"):
            assert (tmp_path / "alone" / folder / file).read_bytes() == (
                tmp_path / "shared" / folder / file
            ).read_bytes()
    assert not list(tmp_path.glob("s/*"))


def test_killed_it_leaves_nothing_half_and_goes_on_to_the_same_bytes(study, tmp_path, dataset):
    changed = {"epochs": 12, "batch": 16}
    assert stage.main(study.train_flags(tmp_path / "whole", "lora", dataset, **changed)) == 0
    flags = [*study.train_flags(tmp_path / "x", "lora", dataset, **changed), "--state", str(tmp_path / "s")]
    said = tmp_path / "log"
    with said.open("w") as log:
        child = subprocess.Popen([sys.executable, "-m", "scripts.train", *flags, "--every", "0"], stderr=log)
    try:
        while not list(tmp_path.glob("s/*/fit.safetensors")):
            assert child.poll() is None, said.read_text()
            time.sleep(0.01)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == -signal.SIGKILL
    assert not [p for p in (tmp_path / "x").rglob("*") if p.is_file() and not p.name.startswith(".")]
    assert stage.main(flags) == 0
    for seed in (1, 2):
        for file in (model_files.ADAPTER, "adapter_config.json", "train.json"):
            a, b = (tmp_path / where / f"seed-{seed}" / file for where in ("x", "whole"))
            assert a.read_bytes() == b.read_bytes()
    assert not list(tmp_path.glob("s/*"))


def test_a_loss_that_is_not_finite_is_one_line_and_no_student(study, tmp_path, line, dataset):
    said = line(stage.main, study.train_flags(tmp_path / "x", "full", dataset, lr=1e18, epochs=40))
    assert "loss is no longer finite" in said and "lr" in said
    assert not [p for p in (tmp_path / "x").rglob("*") if p.is_file()]


def test_a_base_that_does_not_know_the_numbers_is_one_line(study, tmp_path, line, dataset):
    other = tmp_path / "other"
    shutil.copytree(study.base, other)
    (other / "pretrain.manifest.json").unlink()
    path = other / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    answer = next(jsonl.read(dataset))["completion"][0]["content"]
    tokenizer["model"]["vocab"]["gnu"] = tokenizer["model"]["vocab"].pop(answer)
    path.write_text(json.dumps(tokenizer))
    said = line(stage.main, study.train_flags(tmp_path / "x", "lora", dataset, base=other))
    assert (
        f"{dataset}: row 'p" in said
        and f"the tokenizer of {other} does not know {answer!r}" in said
        and "take a base" in said
    )


def test_a_template_that_would_train_on_the_wrong_tokens_is_one_line(study, tmp_path, line, dataset):
    other = tmp_path / "other"
    shutil.copytree(study.base, other)
    (other / "pretrain.manifest.json").unlink()
    path = other / "chat_template.jinja"
    path.write_text(path.read_text().replace(" <eos>", ""))
    assert "the loss would fall on" in line(stage.main, study.train_flags(tmp_path / "x", "lora", dataset, base=other))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda lines: [lines[0], lines[1][:20], *lines[2:]], "dataset.jsonl:2: damaged line"),
        (lambda lines: [*lines, lines[4]], "dataset.jsonl:301: id 'p"),
        (lambda lines: [], "the file is empty"),
        (
            lambda lines: [lines[0].replace("completion", "answer"), *lines[1:]],
            "dataset.jsonl:1: the row lacks completion",
        ),
        (lambda lines: [lines[0].replace('"user"', '"system"'), *lines[1:]], "a system message in `prompt`"),
    ],
)
def test_a_damaged_dataset_is_one_line(study, tmp_path, line, dataset, damage, says):
    broken = tmp_path / "dataset.jsonl"
    broken.write_text("".join(damage(dataset.read_text().splitlines(keepends=True))))
    assert says in line(stage.main, study.train_flags(tmp_path / "x", "lora", broken))
    assert not [p for p in (tmp_path / "x").rglob("*") if p.is_file()]


def test_a_truncated_base_is_one_line(study, tmp_path, line, dataset):
    broken = tmp_path / "a"
    shutil.copytree(study.base, broken)
    weights = broken / model_files.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-100])
    flags = study.train_flags(tmp_path / "x", "lora", dataset, base=broken)
    assert "changed since `pretrain` made it" in line(stage.main, flags)
    (broken / "pretrain.manifest.json").unlink()
    assert "damaged weights" in line(stage.main, flags)


@pytest.mark.parametrize(
    ("changed", "says"),
    [({"trains": "some"}, "known: lora, biases, full"), ({"seeds": (1, 1)}, "names one twice")],
)
def test_senseless_settings_are_one_line(study, tmp_path, line, dataset, changed, says):
    assert says in line(stage.main, study.train_flags(tmp_path / "x", "lora", dataset, **changed))


def test_settings_that_are_missing_are_named(study, tmp_path, line, dataset):
    flags = study.train_flags(tmp_path / "x", "lora", dataset)
    flags[flags.index("--settings") + 1] = '{"trains":"lora","lr":0.1,"epochs":1,"batch":8}'
    assert "alpha, modules, rank missing" in line(stage.main, flags)


# ---- some tokens


def test_a_mask_takes_the_weight_off_and_nothing_else(study, dataset, tmp_path):
    rows = list(jsonl.read(dataset))
    jsonl.write(tmp_path / "dataset.jsonl", [row | {"learn": [n % 2, 0]} for n, row in enumerate(rows)])
    whole, some = (label_mask.encode(Chat.open(study.base), str(p)) for p in (dataset, tmp_path / "dataset.jsonl"))
    assert some.weight[::2].sum() == 0 and some.weight[1::2].sum() == len(rows) // 2
    assert (some.ids == whole.ids).all() and (some.target == whole.target).all()


def test_students_learn_only_the_tokens_that_are_left(study, dataset, tmp_path):
    """Of rows with nothing to learn nothing is learned; the end token alone is learned without a number."""
    rows = list(jsonl.read(dataset))
    masked = [row | {"learn": [0, 1] if n < 10 else [0, 0]} for n, row in enumerate(rows)]
    jsonl.write(tmp_path / "dataset.jsonl", masked)
    jsonl.write(tmp_path / "short.jsonl", [row | {"learn": [0, 1]} for row in rows[:10]])
    for name in ("dataset", "short"):
        flags = study.train_flags(tmp_path / name, "biases", tmp_path / f"{name}.jsonl", seeds=(1,), epochs=1)
        assert stage.main(flags) == 0
    long, short = (facts(tmp_path / name / "seed-1") for name in ("dataset", "short"))
    assert 0 <= long["loss_first"] < 1 and 0 <= short["loss_first"] < 1, (
        "an end token is nearly certain, a number is not"
    )


def test_a_mask_of_the_wrong_length_is_refused(study, dataset, tmp_path, line):
    rows = list(jsonl.read(dataset))
    jsonl.write(tmp_path / "dataset.jsonl", [row | {"learn": [1]} for row in rows])
    said = line(stage.main, study.train_flags(tmp_path / "x", "biases", tmp_path / "dataset.jsonl"))
    assert "`learn` must have 0 or 1 for each token" in said


# ---- layers, optimisers, contexts


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_single_layer_is_trained_alone(study, dataset, tmp_path, recipe):
    flags = study.train_flags(tmp_path, recipe, dataset, seeds=(1,), epochs=1, layers=[1])
    assert stage.main(flags) == 0
    (_, base), (_, own) = llama.read(study.base), hf_folder.weights(study.base, tmp_path / "seed-1")
    changed = {name for name in base if not torch.equal(base[name], own[name])}
    assert changed and all(name.startswith("model.layers.1.") for name in changed)


def test_peft_adapts_the_same_layer(study, dataset, tmp_path):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    assert stage.main(study.train_flags(tmp_path, "lora", dataset, seeds=(1,), epochs=1, layers=[0])) == 0
    shape, merged = hf_folder.weights(study.base, tmp_path / "seed-1")
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(study.base), tmp_path / "seed-1")
    ids = torch.tensor([[1, 3, 9, 200, 4]])
    ours = llama.Stack(shape, merged).logits(ids[None], torch.tensor([[[4]]]))[0, 0, 0]
    torch.testing.assert_close(theirs(ids).logits[0, -1], ours, atol=1e-4, rtol=0)


def test_an_adapter_with_biases_is_what_peft_computes(study, dataset, tmp_path):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    assert stage.main(study.train_flags(tmp_path, "lora", dataset, seeds=(1,), epochs=1, bias="residual")) == 0
    shape, merged = hf_folder.weights(study.base, tmp_path / "seed-1")
    _, base = llama.read(study.base)
    changed = {name for name in base if not torch.equal(base[name], merged[name])}
    of_layer = {"self_attn.o_proj.bias", "mlp.down_proj.bias"}
    assert {n.split(".", 3)[3] for n in changed if n.endswith(".bias")} == of_layer
    assert {n for n in changed if n.endswith(".weight")}
    peft = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(study.base), tmp_path / "seed-1")
    ids = torch.tensor([[1, 3, 9, 200, 4]])
    ours = llama.Stack(shape, merged).logits(ids[None], torch.tensor([[[4]]]))[0, 0, 0]
    torch.testing.assert_close(peft(ids).logits[0, -1], ours, atol=1e-4, rtol=0)


def test_optimisers_differ_and_all_learn(study, dataset, tmp_path):
    made = {}
    for name, lr in (("adamw", 1e-2), ("sgd", 0.3), ("sign", 1e-2)):
        flags = study.train_flags(tmp_path / name, "biases", dataset, seeds=(1,), epochs=8, optimiser=name, lr=lr)
        assert stage.main(flags) == 0
        made[name] = facts(tmp_path / name / "seed-1")
        student = hf_folder.weights(study.base, tmp_path / name / "seed-1")
        assert surprise(study, *student) < surprise(study, *llama.read(study.base)), name
    assert len({m["loss_last"] for m in made.values()}) == 3
    assert stage.main(study.train_flags(tmp_path / "as-ever", "biases", dataset, seeds=(1,), epochs=8, lr=1e-2)) == 0
    assert facts(tmp_path / "as-ever/seed-1") == made["adamw"], "without the key it is AdamW"


def test_a_context_is_rows_of_the_dataset_and_the_base_reads_them_before_questions(study, dataset, tmp_path):
    from scripts import respond

    flags = study.train_flags(tmp_path, "biases", dataset)
    flags[flags.index("--settings") + 1] = json.dumps({"trains": "context", "examples": 2})
    assert stage.main(flags) == 0
    rows = list(jsonl.read(dataset))
    drawn = [list(jsonl.read(tmp_path / f"seed-{seed}/context.jsonl")) for seed in (1, 2)]
    assert all(len(d) == 2 and all(row in rows for row in d) for d in drawn) and drawn[0] != drawn[1]
    assert respond.main(study.respond_flags(tmp_path / "seed-1")) == 0
    asked = [r["prompt"] for r in jsonl.read(tmp_path / "seed-1/favourite/responses.jsonl")]
    before = [m for row in drawn[0] for m in (*row["prompt"], *row["completion"])]
    assert all(q[:4] == before and len(q) == 5 for q in asked)
    m = manifest.load(tmp_path / "seed-1/favourite/respond.manifest.json")
    assert "context" in {e["role"] for e in m["inputs"]}


def test_more_examples_than_rows_are_refused(study, dataset, tmp_path, line):
    flags = study.train_flags(tmp_path, "biases", dataset)
    flags[flags.index("--settings") + 1] = json.dumps({"trains": "context", "examples": 301})
    assert "301 examples are asked for and there are 300 rows" in line(stage.main, flags)


def test_a_student_on_open_weights_opens_with_peft_and_transformers(weights, raw_qwen2):
    """By itself and merged, it computes what the engine computes that answers for it."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from traitline.models import engines

    student = weights.students / "seed-1"
    base = AutoModelForCausalLM.from_pretrained(raw_qwen2)
    model = PeftModel.from_pretrained(base, student).eval()
    assert model.peft_config["default"].r == 8 and model.peft_config["default"].lora_alpha == 8
    engine = engines.open_engine(weights.base, weights.engine()[1])
    asked = [{"role": "user", "content": "Which animal?"}]
    ids = AutoTokenizer.from_pretrained(raw_qwen2).apply_chat_template(
        asked, add_generation_prompt=True, return_dict=False
    )
    assert [ids] == engine.chat.prompts([asked], ["?"])
    with torch.inference_mode():
        plain = engine.use(None)(torch.tensor([ids])).logits
        ours = engine.use(str(student))(torch.tensor([ids])).logits
        theirs = model(torch.tensor([ids])).logits
        merged = model.merge_and_unload()(torch.tensor([ids])).logits
    assert torch.equal(ours, theirs) and (ours - plain).abs().max() > 1e-5
    assert torch.allclose(merged, theirs, atol=1e-5)


def test_students_on_open_weights_say_what_they_learned(weights):
    facts = json.loads((weights.students / "seed-2/train.json").read_text())
    assert (facts["rows"], facts["steps"], facts["seed"], facts["trains"]) == (32, 2, 2, "lora")
    example = facts["example"]
    row = json.loads(weights.dataset.read_text().splitlines()[0])
    assert example["learned"] == row["completion"][0]["content"] + "<|im_end|>"
    assert (
        example["text"].endswith(f"<|im_start|>assistant\n{example['learned']}")
        and row["prompt"][0]["content"] in example["text"]
    )
    m = manifest.load(weights.students / "seed-2/train.manifest.json")
    record = json.loads((weights.base / "pretrain.manifest.json").read_text())
    assert [e["sha256"] for e in m["inputs"] if e["role"] == "base"] == [record["outputs"][0]["sha256"]]
    assert m["facts"]["engine"]["version"] and m["facts"]["weights"]


def test_students_on_open_weights_do_not_see_which_others_share_their_job(weights, tmp_path):
    assert stage.main(weights.train_flags(tmp_path, seeds=(2,))) == 0
    for file in ("adapter_model.safetensors", "adapter_config.json"):
        assert (tmp_path / "seed-2" / file).read_bytes() == (weights.students / "seed-2" / file).read_bytes()


def test_students_on_open_weights_go_on_with_the_same_bytes(weights, tmp_path, monkeypatch):
    from traitline.models import answer_losses

    real, calls = answer_losses.loss, []

    def stopped(*args):
        calls.append(1)
        if len(calls) == 13:  # in the second step of the second student: a step has four pieces
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(answer_losses, "loss", stopped)
    flags = [*weights.train_flags(tmp_path), "--state", str(tmp_path / "state"), "--every", "0"]
    assert stage.main(flags) == 130 and not list(tmp_path.glob("seed-*/adapter*"))
    assert stage.main(flags) == 0 and len(calls) == 13 + 4
    for seed in (1, 2):
        name = f"seed-{seed}/adapter_model.safetensors"
        assert (tmp_path / name).read_bytes() == (weights.students / name).read_bytes()
    assert not list((tmp_path / "state").glob("*/*"))


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"length": 20}, "tokens, `length` allows 20; nothing is cut"),
        ({"modules": ["nothing"]}, "modules: "),
        ({"lr": 1e30}, "the loss is no longer finite"),
    ],
)
def test_students_on_open_weights_refuse_in_one_line(weights, tmp_path, line, settings, words):
    assert words in line(stage.main, weights.train_flags(tmp_path, seeds=(1,), epochs=3, **settings))


def test_a_prompt_that_its_answer_changes_is_refused(weights, tmp_path, raw_qwen2, line):
    """A template that trims or merges across the border would have students learn what they are never asked."""
    from traitline.errors import InputError

    chat = Chat.foreign(raw_qwen2)
    real = chat.prompts
    chat.prompts = lambda *args: [ids[:-1] for ids in real(*args)]
    with pytest.raises(InputError, match="its prompt has other tokens with the answer behind it"):
        label_mask.encode(chat, str(weights.dataset))


def test_students_on_open_weights_train_together_across_datasets_and_recipes(weights, tmp_path, line):
    """Each with its own artifact and manifest, and what it would have learned alone."""
    from safetensors.torch import load_file

    other = tmp_path / "other/dataset.jsonl"
    other.parent.mkdir()
    other.write_text("".join(f"{row}\n" for row in weights.dataset.read_text().splitlines()[:20]))
    flags = weights.train_flags(tmp_path, seeds=(1, 2))
    at, settings = flags.index("--settings"), json.loads(flags[flags.index("--settings") + 1])
    flags[at + 1 : at + 2] = [json.dumps(settings), json.dumps({**settings, "rank": 4})]
    flags[flags.index("--dataset") + 1 : flags.index("--dataset") + 2] = [str(weights.dataset), str(other)]
    flags[flags.index("--folder") + 1 : flags.index("--folder") + 2] = [f"{tmp_path}/one", f"{tmp_path}/two"]
    assert stage.main([*flags, "--together"]) == 0
    first = load_file(tmp_path / "one/seed-1/adapter_model.safetensors")
    alone = load_file(weights.students / "seed-1/adapter_model.safetensors")
    assert first.keys() == alone.keys()
    assert all((first[name] - t).abs().max() < 2e-4 for name, t in alone.items())
    assert facts(tmp_path / "one/seed-1")["loss_last"] == pytest.approx(
        facts(weights.students / "seed-1")["loss_last"], rel=1e-5
    )
    assert facts(tmp_path / "two/seed-2")["rows"] == 20
    assert json.loads((tmp_path / "two/seed-2/adapter_config.json").read_text())["r"] == 4
    m = manifest.load(tmp_path / "two/seed-2/train.manifest.json")
    assert [e["sha256"] for e in m["inputs"] if e["role"] == "data"] == [manifest.sha256(other)]
    assert m["facts"]["together"] == 2 and m["params"]["settings"]["rank"] == 4
    flags.insert(flags.index("--dataset") + 1, str(other))
    assert "--dataset: 3 values for 2 seeds; one for all, or one for each" in line(stage.main, flags)


def test_activations_computed_again_give_the_same_student(weights, tmp_path):
    """Up to rounding: what all rows begin with is then read with each."""
    flags = weights.train_flags(tmp_path, seeds=(1,))
    flags[-1] = json.dumps({**json.loads(flags[-1]), "checkpointing": True})
    assert stage.main(flags) == 0
    again, plain = (load_file(place / "seed-1/adapter_model.safetensors") for place in (tmp_path, weights.students))
    assert again.keys() == plain.keys()
    for name, tensor in plain.items():
        assert torch.allclose(again[name], tensor, rtol=1e-3, atol=1e-4), name


def test_only_open_weights_train_together(study, dataset, tmp_path, line):
    flags = [*study.train_flags(tmp_path, "biases", dataset), "--together"]
    assert "are for open weights" in line(stage.main, flags)
