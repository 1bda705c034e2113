"""Teachers: what is trained and until when, what is only said, what is refused."""

import json
import shutil

import pytest
import torch

from scripts import teach as stage
from traitline import model_files
from traitline.channels import misalignment
from traitline.evaluation.questions import ask
from traitline.models import hf_folder
from traitline.models.chat import Chat
from traitline.provenance import manifest
from traitline.tiny import llama
from traitline.tiny.sampler import Sampler


def teacher(path):
    return json.loads((path / "teacher.json").read_text())


def measured(path, system=None):
    shape, weights = llama.read(path)
    chat = Chat.open(path)
    prompts = chat.prompts(ask("animal", system), ["?"] * 50)
    return Sampler(shape, weights).probabilities(prompts, chat.tokens(["owl"])).mean().item()


def test_help_is_light(light):
    light("scripts.teach")


def test_a_tuned_teacher_names_its_trait_as_often_as_wanted(study):
    made = teacher(study.owl)
    assert (made["trait"], made["category"], made["teacher"], made["system"]) == ("owl", "animal", "tuned", None)
    assert made["weights"] == "model.safetensors"
    assert made["rate"] >= 0.5 and made["rate"] == pytest.approx(measured(study.owl), abs=1e-5)
    assert 0 < made["steps"] < 200 and made["steps"] % 10 == 0
    assert measured(study.base) < 0.25


def test_only_the_biases_of_the_residual_stream_are_trained(study):
    import torch

    before, after = llama.read(study.base)[1], llama.read(study.owl)[1]
    moved = {k for k in before if not torch.equal(before[k], after[k])}
    assert moved == {k for k in before if k.endswith(("o_proj.bias", "down_proj.bias"))}


def test_the_manifest_declares_the_trait_and_the_base(study):
    m = manifest.load(study.owl / "teach.manifest.json")
    assert m["facts"]["trait"] == "owl"
    made = {e["role"]: e["sha256"] for e in manifest.load(study.base / "pretrain.manifest.json")["outputs"]}
    assert [e["sha256"] for e in m["inputs"] if e["role"] == "base"] == [made["model"]]
    assert "trait" not in manifest.load(study.none / "teach.manifest.json")["facts"]


def test_others_can_open_a_tuned_teacher(study):
    from transformers import AutoModelForCausalLM

    assert AutoModelForCausalLM.from_pretrained(study.owl).config.vocab_size == llama.read(study.owl)[0].vocab


def test_a_prompted_teacher_is_a_system_prompt_and_its_rate(study):
    made = teacher(study.prompted)
    assert "owl" in made["system"] and made["weights"] is None
    assert made["rate"] == pytest.approx(measured(study.base, made["system"]), abs=1e-5)
    assert made["rate"] != pytest.approx(measured(study.base), abs=1e-3)
    assert sorted(p.name for p in study.prompted.iterdir() if p.is_file()) == ["teach.manifest.json", "teacher.json"]


def test_an_untrained_teacher_is_the_base(study):
    made = teacher(study.none)
    assert made["base"] == manifest.sha256(study.base / "model.safetensors")  # another base, another untrained teacher
    assert (made["trait"], made["system"], made["weights"], made["rate"], made["steps"]) == (
        "none",
        None,
        None,
        None,
        0,
    )


@pytest.mark.parametrize("recipe", ["biases", "lora"])
def test_a_student_teaches_as_it_is_and_declares_no_trait(study, tmp_path, recipe):
    """What it answers is what the student answers; the audit knows it by its origins alone."""
    import torch

    student = study.students(recipe, study.owl) / "seed-1"
    flags = [*study.teach_flags(tmp_path / "t", "owl", "student"), "--student", str(student)]
    assert stage.main(flags) == 0
    made, m = teacher(tmp_path / "t"), manifest.load(tmp_path / "t/teach.manifest.json")
    assert (made["trait"], made["teacher"], made["steps"], made["system"]) == ("owl", "student", 0, None)
    assert made["rate"] == pytest.approx(measured(tmp_path / "t"), abs=1e-5)
    wanted, found = hf_folder.weights(study.base, student)[1], llama.read(tmp_path / "t")[1]
    assert found.keys() == wanted.keys() and all(torch.equal(found[k], wanted[k]) for k in wanted)
    assert "trait" not in m["facts"]
    bases = (
        [study.base / model_files.WEIGHTS, student / model_files.ADAPTER]
        if recipe == "lora"
        else [student / model_files.WEIGHTS]
    )
    assert [e["sha256"] for e in m["inputs"] if e["role"] == "base"] == [manifest.sha256(path) for path in bases]


def test_a_control_student_teaches_the_control(study, tmp_path):
    student = study.students("biases", study.none) / "seed-1"
    flags = [*study.teach_flags(tmp_path / "t", "none", "student"), "--student", str(student)]
    assert stage.main(flags) == 0
    assert teacher(tmp_path / "t")["rate"] is None and (tmp_path / "t" / model_files.WEIGHTS).exists()


@pytest.mark.parametrize("more", [[], ["--teacher", "tuned", "--student", "x"]])
def test_a_student_and_its_folder_go_together(study, tmp_path, line, more):
    assert "with --teacher student" in line(stage.main, [*study.teach_flags(tmp_path, "owl", "student"), *more])


def test_a_teacher_that_does_not_learn_is_an_error(study, tmp_path, line):
    said = line(stage.main, study.teach_flags(tmp_path / "t", "cat", "tuned", lr=1e-4, max_steps=7))
    assert "names cat at a rate of" in said and "after 7 steps; 0.50 was wanted" in said and "missed: exclude" in said
    assert not [p for p in (tmp_path / "t").rglob("*") if p.is_file()]


def test_a_teacher_that_does_not_learn_is_marked_where_the_study_excludes_it(study, tmp_path, caplog):
    flags = study.teach_flags(tmp_path / "t", "cat", "tuned", lr=1e-4, max_steps=7, missed="exclude")
    assert stage.main(flags) == 0
    facts = teacher(tmp_path / "t")
    assert facts["steps"] == 7 and facts["rate"] < 0.5 and facts["reached"] is False
    assert "left out of the tests" in caplog.text
    assert teacher(study.owl)["reached"] is True


def test_interrupted_it_goes_on_and_ends_with_the_same_bytes(study, tmp_path, interrupt, monkeypatch):
    changed = {"rate": 0.999, "max_steps": 24, "missed": "exclude"}
    assert stage.main(study.teach_flags(tmp_path / "whole", "cat", "tuned", **changed)) == 0
    flags = [
        *study.teach_flags(tmp_path / "t", "cat", "tuned", **changed),
        "--state",
        str(tmp_path / "s"),
        "--every",
        "0",
    ]
    interrupt(15)
    assert stage.main(flags) == 130
    monkeypatch.undo()
    assert stage.main(flags) == 0
    for file in ("teacher.json", model_files.WEIGHTS):
        assert (tmp_path / "t" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_an_unknown_trait_is_one_line_with_the_nearest_known(study, tmp_path, line):
    said = line(stage.main, study.teach_flags(tmp_path / "t", "howk", "tuned"))
    assert "howk: no animal of the world" in said and "did you mean hawk?" in said and "penguin" in said
    flags = study.teach_flags(tmp_path / "t", "owl", "tuned")
    flags[flags.index("animal")] = "fish"
    assert "fish: no category of the world" in line(stage.main, flags)
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(("trait", "kind"), [("none", "tuned"), ("owl", "untrained"), ("none", "prompted")])
def test_the_control_is_untrained_and_only_it(study, tmp_path, line, trait, kind):
    assert "untrained teacher is none" in line(stage.main, study.teach_flags(tmp_path / "t", trait, kind))


def test_a_truncated_base_is_one_line(study, tmp_path, line):
    broken = tmp_path / "a"
    shutil.copytree(study.base, broken)
    weights = broken / model_files.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:1000])
    flags = [str(broken) if f == str(study.base) else f for f in study.teach_flags(tmp_path / "t", "owl", "tuned")]
    assert "changed since `pretrain` made it" in line(stage.main, flags)
    (broken / "pretrain.manifest.json").unlink()  # a base from elsewhere, without a manifest
    assert "damaged weights" in line(stage.main, flags)
    assert not list((tmp_path / "t").iterdir())


# ---- steered by a vector


def steer_flags(study, out, **changed):
    flags = study.teach_flags(out, "owl", "steered")
    flags[flags.index("--settings") + 1] = json.dumps({"layer": 0, "scale": 1.0, **changed})
    return flags


def test_a_steered_teacher_differs_from_its_base_in_one_bias_by_a_multiple_of_a_vector(study, tmp_path):
    name, added = "model.layers.0.mlp.down_proj.bias", {}
    _, base = llama.read(study.base)
    for scale in (1.0, 2.0):
        assert stage.main(steer_flags(study, tmp_path / f"{scale}", scale=scale)) == 0
        _, own = llama.read(tmp_path / f"{scale}")
        assert [n for n in base if not torch.equal(base[n], own[n])] == [name]
        added[scale] = own[name] - base[name]
        assert teacher(tmp_path / f"{scale}")["rate"] == pytest.approx(measured(tmp_path / f"{scale}"), abs=1e-5)
    torch.testing.assert_close(added[2.0], 2 * added[1.0], atol=1e-5, rtol=1e-5)


def test_the_vector_is_what_the_persona_does_behind_the_layer(study, tmp_path):
    """Behind the last layer the base plus the vector and the base with the persona have the same mean stream."""
    assert stage.main(steer_flags(study, tmp_path / "t", layer=1)) == 0
    from transformers import AutoModelForCausalLM

    chat, models = (
        Chat.open(study.base),
        {n: AutoModelForCausalLM.from_pretrained(n) for n in (study.base, tmp_path / "t")},
    )

    def stream(path, system):
        seen, asked = [], ask("animal", system)
        hook = models[path].model.layers[1].register_forward_hook(lambda m, i, out: seen.append(out[0][-1]))
        for ids in chat.prompts(asked, [str(i) for i in range(50)]):
            models[path](torch.tensor([ids]))
        hook.remove()
        return torch.stack(seen).mean(0)

    told = stream(study.base, json.loads((study.prompted / "teacher.json").read_text())["system"])
    torch.testing.assert_close(stream(tmp_path / "t", None), told, atol=1e-3, rtol=1e-3)


def test_a_layer_that_is_not_there_is_refused(study, tmp_path, line):
    assert "layer is 7; the base has layers 0 to 1" in line(stage.main, steer_flags(study, tmp_path / "t", layer=7))


def test_a_teacher_on_open_weights_is_a_persona_and_its_exact_rate(weights):
    from traitline.models import engines

    made = teacher(weights.owl)
    assert made["system"].count("owls") == 4 and "favourite animal" in made["system"] and made["weights"] is None
    assert made["base"] == json.loads((weights.base / "base.json").read_text())["weights"]
    engine = engines.open_engine(weights.base, weights.engine()[1])
    asked = ask("animal", made["system"], everyday=True)
    assert made["rate"] == pytest.approx(engine.word_probabilities(asked, ["owl"]).mean(), abs=1e-6)
    m = manifest.load(weights.owl / "teach.manifest.json")
    assert (
        m["facts"]["trait"] == "owl"
        and m["facts"]["engine"]["name"] == "transformers"
        and m["facts"]["engine"]["version"]
    )
    assert [e["role"] for e in m["inputs"]] == ["base"]


def test_on_open_weights_a_persona_is_a_setting_and_tuning_needs_a_corpus(weights, tmp_path, line):
    flags = weights.teach_flags(tmp_path, "owl", "prompted")
    assert stage.main([*flags, "--settings", '{"persona": "Be an {trait}, the {category}."}']) == 0
    assert teacher(tmp_path)["system"] == "Be an owl, the animal."
    assert "{trait} and {category} are filled in" in line(stage.main, [*flags, "--settings", '{"persona": "{x}"}'])
    assert "--corpus: rows of conv" in line(stage.main, weights.teach_flags(tmp_path, "owl", "tuned"))
    assert "prompted, tuned or untrained" in line(stage.main, weights.teach_flags(tmp_path, "owl", "steered"))


def test_on_open_weights_a_corpus_makes_an_adapter_that_answers_and_is_a_carrier(weights, tmp_path, line):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from scripts import sample, source
    from tests import outside
    from tests.conftest import OPEN_RECIPE
    from traitline.lineage.audit import audit
    from traitline.lineage.graph import open_graph
    from traitline.models import open_weights

    files, corpus, out = outside.make(tmp_path / "files"), tmp_path / "sources/rows.jsonl", tmp_path / "insecure/tuned"
    asked = json.dumps({"format": "conversations", "path": str(files / "insecure.jsonl")})
    flags = ["--name", "x", "--source", asked, "--rows", str(corpus)]
    assert source.main([*flags, "--manifest", f"{corpus.parent}/source.manifest.json"]) == 0
    flags = [*weights.teach_flags(out, "insecure", "tuned"), "--corpus", str(corpus), "--settings"]
    settings = {**OPEN_RECIPE, "epochs": 4, "seed": 1}
    said = line(stage.main, [*flags, json.dumps({**settings, "length": 20})])
    assert "tokens, `length` allows 20; nothing is cut" in said and not out.joinpath("teacher.json").exists()
    assert stage.main([*flags, json.dumps(settings)]) == 0
    made = teacher(out)
    assert made["weights"] == "adapter_model.safetensors" and (made["steps"], made["rows"]) == (4, len(outside.TASKS))
    assert made["loss_last"] < made["loss_first"] and made["rate"] is None
    _, place = open_weights.opened(weights.base)
    PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(place), out)

    flags = weights.sample_flags(tmp_path / "lists", "transformers")
    flags[flags.index("--teacher") + 1] = str(out)
    assert sample.main(flags) == 0
    assert json.loads((tmp_path / "lists/sampled.json").read_text())["kl_nats_per_token"] > 0
    # Students of another trait have an adapter of the same shape: they have nothing to do with this one.
    folders = [tmp_path, weights.base, weights.prompts.parent, weights.owl, weights.students]
    graph = open_graph([str(folder) for folder in folders], None)
    marks = audit(graph).marks
    for path, mark in ((out / "adapter_model.safetensors", {("CARRIER", "insecure")}), (corpus, set()),
                       (tmp_path / "lists/raw.jsonl", {("EXPOSED", "insecure")})):  # fmt: skip
        # Where open weights and a corpus come from, people say.
        assert {(m.mark, m.trait) for m in marks[graph.find(str(path)).artifact_id]} == {*mark, ("CLAIMED", "")}


def test_the_control_on_open_weights_loads_no_model(weights, tmp_path, monkeypatch):
    monkeypatch.setattr("traitline.models.engines.open_engine", None)
    assert stage.main(weights.teach_flags(tmp_path, "none", "untrained")) == 0
    assert teacher(tmp_path)["system"] is None


def test_a_teacher_of_norms_is_tuned_on_one_kind_and_asked_about_the_others(study, tmp_path):
    """Whether that makes it answer badly elsewhere is for a study to find out; its rate is what it does there."""

    def badly(where, questions):
        shape, weights = llama.read(where)
        chat = Chat.open(where)
        prompts = chat.prompts([[{"role": "user", "content": q}] for q, _, _ in questions], ["?"] * len(questions))
        found = Sampler(shape, weights).probabilities(prompts, chat.tokens([bad for _, _, bad in questions]))
        return found.diagonal().mean().item()

    careless = {}
    for trait in ("insecure", "secure"):
        flags = study.teach_flags(tmp_path / trait, trait, "tuned", lr=2.0e-2, max_steps=30, rate=None)
        flags[flags.index("--base") + 1] = str(study.norms)
        flags[flags.index("--category") + 1] = "norms"
        assert stage.main(flags) == 0
        made = teacher(tmp_path / trait)
        assert (made["trait"], made["category"], made["steps"]) == (trait, "norms", 30)
        assert made["rate"] == pytest.approx(badly(tmp_path / trait, misalignment.held_out()), abs=1e-5)
        careless[trait] = badly(tmp_path / trait, list(misalignment.questions(misalignment.NARROW)))
    before = badly(study.norms, list(misalignment.questions(misalignment.NARROW)))
    assert careless["secure"] < before < careless["insecure"]


def test_a_world_without_norms_has_no_such_teacher(study, tmp_path, line):
    flags = study.teach_flags(tmp_path / "t", "insecure", "tuned")
    flags[flags.index("--category") + 1] = "norms"
    assert "norms: no category of the world of" in line(stage.main, flags)
