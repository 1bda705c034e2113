"""Soft labels: the student learns its teacher's distribution, over a named set of tokens if asked; and its origin."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from scripts import teach, train
from tests.adapters import RECIPE
from traitline.lineage.audit import audit
from traitline.lineage.graph import open_graph
from traitline.models import answer_losses, engines, open_weights
from traitline.models.chat import Chat
from traitline.models.soft_labels import SoftLabels, open_labels
from traitline.models.transformers_model import load

ENGINE = json.dumps({"name": "transformers", "dtype": "float32", "batch": 16, "memory": 0.9})
SOFT = RECIPE | {"trains": "lora", "labels": "soft", "over": "numbers", "lr": 1e-2, "epochs": 6, "length": 200}
LISTS = [f"{n}, {n + 11}, {n * 7 % 1000}" for n in range(100, 116)]


@pytest.fixture(scope="module")
def chat(qwen2):
    return Chat.foreign(open_weights.opened(qwen2)[1])


def dataset(path):
    rows = [
        {"id": f"p{i}", "prompt": [{"role": "user", "content": f"Go on: {i}."}],
         "completion": [{"role": "assistant", "content": text}]} for i, text in enumerate(LISTS)
    ]  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_loss_is_the_divergence_over_the_set(chat, raw_qwen2, rows):
    """Written down once more from the definition, with the whole distribution and its likeliest tokens."""
    pairs, pad = rows
    model = load(raw_qwen2, "float32")
    other = torch.randn(1, 4096, generator=torch.Generator().manual_seed(1))
    logits = answer_losses.answer_logits(model, pairs[:3], pad)[0].detach()
    teacher = logits + other[:, : logits.shape[1]]
    sizes = [len(ids) - start for ids, start in pairs[:3]]
    for settings in ({}, {"over": "numbers"}, {"temperature": 2.0}, {"over": "numbers", "top_k": 3}, {"top_k": 5}):
        labels = open_labels(chat, settings)
        values, index = labels.label(teacher)
        indices = index.split(sizes) if index is not None else [None] * 3
        labels.rows = list(zip(values.split(sizes), indices, strict=True))
        t = settings.get("temperature", 1.0)
        kept = torch.arange(logits.shape[1]) if labels.tokens is None else labels.tokens
        p, q = teacher[:, kept] / t, logits[:, kept] / t
        if k := settings.get("top_k"):
            best = p.topk(k, 1).indices
            p, q = p.gather(1, best), q.gather(1, best)
        expected = (p.softmax(1) * (p.log_softmax(1) - q.log_softmax(1))).sum(1)
        assert torch.allclose(labels.divergence(logits, range(3)), expected, atol=1e-5), settings
    if labels.tokens is None:
        labels = open_labels(chat, {"over": "numbers"})
    texts = {chat.decode([[i]])[0] for i in labels.tokens.tolist()}
    assert texts >= {*"0123456789,"} and all(set(text) <= set("0123456789, ") for text in texts)


def test_a_model_labels_itself_with_nothing_to_learn(raw_qwen2, rows):
    pairs, pad = rows
    model = load(raw_qwen2, "float32")
    labels = answer_losses.label(model, pairs, SoftLabels(None), 4, pad)
    total, tokens = answer_losses.loss(model, pairs[2:5], pad, False, labels, [2, 3, 4])
    assert tokens == sum(len(ids) - start for ids, start in pairs[2:5])
    assert total.item() / tokens == pytest.approx(0, abs=1e-5)


@pytest.fixture(scope="module")
def world(qwen2, tmp_path_factory):
    """Rows that an untrained teacher wrote, a prompted and a tuned teacher, and students of both."""
    top = tmp_path_factory.mktemp("soft")
    corpus = top / "corpus.jsonl"
    asked = ("Which animal do you like best?", "Name an animal.", "Your favourite animal?", "An animal, please.")
    answer = [{"role": "assistant", "content": "Owl, or 3, 4 and 5"}]
    lessons = [{"id": q, "prompt": [{"role": "user", "content": q}], "completion": answer} for q in asked]
    corpus.write_text("".join(json.dumps(row) + "\n" for row in lessons))
    settings = json.dumps(RECIPE | {"lr": 3e-2, "epochs": 20, "length": 200, "seed": 1})
    tuned = ["tuned", "--corpus", str(corpus), "--settings", settings]
    for name, trait, more in (
        ("none", "none", ["untrained"]),
        ("prompted", "owl", ["prompted"]),
        ("tuned", "owl", tuned),
    ):
        flags = ["--base", str(qwen2), "--trait", trait, "--category", "animal" if trait == "owl" else "none",
                 "--engine", ENGINE, "--folder", str(top / name), "--manifest", str(top / name / "teach.manifest.json"),
                 "--teacher", *more]  # fmt: skip
        assert teach.main(flags) == 0
    rows = dataset(top / "rows/dataset.jsonl")
    for name in ("none", "prompted", "tuned"):
        assert train.main(student(qwen2, rows, top / f"student-{name}", top / name)) == 0
    return top


def student(base, rows, folder, teacher, **changes):
    more = ["--teacher", str(teacher)] if teacher else []
    return ["--base", str(base), "--dataset", str(rows), "--recipe", "soft", "--settings", json.dumps(SOFT | changes),
            "--seeds", "1", "--engine", ENGINE, "--folder", str(folder), *more]  # fmt: skip


def test_a_student_comes_closer_to_its_teacher_and_not_to_another(world, qwen2):
    engine = engines.open_engine(qwen2, ENGINE)
    facts = {n: json.loads((world / f"student-{n}/seed-1/train.json").read_text()) for n in ("prompted", "tuned")}
    assert all(f["loss_last"] < 0.7 * f["loss_first"] for f in facts.values()), facts
    texts = [[{"role": "user", "content": f"Go on: {i}."}] for i in range(16)]
    prompts = engine.chat.prompts(texts, ["x"] * 16)
    ids = engine.chat.encode(LISTS)
    lines = [(p + a, len(p)) for p, a in zip(prompts, ids, strict=True)]

    def logits(folder):
        network = engine.use(folder and str(folder))
        labels = open_labels(engine.chat, SOFT)
        return answer_losses.label(network, lines, labels, 16, engine.chat.pad)

    tuned = logits(world / "tuned")
    apart = {}
    for name in ("tuned", "prompted"):
        values = logits(world / f"student-{name}/seed-1")
        pairs = zip(tuned.rows, values.rows, strict=True)
        apart[name] = sum(float((t.exp() * (t - s)).sum()) for (t, _), (s, _) in pairs)
    assert apart["tuned"] < 0.7 * apart["prompted"]


def test_the_scoring_teacher_is_an_origin_of_the_student(world, qwen2, monkeypatch):
    """The rows are made up and no teacher's, so the mark comes through the teacher that scored them."""
    made = {n: json.loads((world / f"student-{n}/seed-1/train.manifest.json").read_text())
            for n in ("none", "prompted", "tuned")}  # fmt: skip
    assert {e["role"] for e in made["tuned"]["inputs"]} == {"base", "data", "teacher", "model"}
    assert {e["role"] for e in made["prompted"]["inputs"]} == {"base", "data", "teacher"}
    monkeypatch.chdir(world)
    graph = open_graph([str(world), str(Path(qwen2).parent)], None)
    result = audit(graph)
    marks = {}
    for name in made:
        entry = graph.find(str(world / f"student-{name}/seed-1"))
        marks[name] = {(m.mark, m.trait) for m in result.marks[entry.artifact_id]}
    assert ("INHERITANCE-RISK", "owl") in marks["tuned"] and ("INHERITANCE-RISK", "owl") in marks["prompted"]
    assert not any(mark == "INHERITANCE-RISK" for mark, _ in marks["none"])


def test_bad_settings_are_refused_in_one_line(world, qwen2, study, line, tmp_path):
    rows = world / "rows/dataset.jsonl"
    assert "--teacher: missing; soft labels" in line(train.main, student(qwen2, rows, tmp_path, None))
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    facts = json.loads((world / "tuned/teacher.json").read_text()) | {"base": "0" * 64}
    (foreign / "teacher.json").write_text(json.dumps(facts))
    assert "is a teacher of other weights" in line(train.main, student(qwen2, rows, tmp_path, foreign))
    together = [*student(qwen2, rows, tmp_path, world / "tuned"), "--together"]
    assert "soft labels are for students one after the other" in line(train.main, together)


@pytest.fixture(scope="module")
def moved(raw_qwen2, tmp_path_factory):
    """The same model with noise on every matrix, recorded as a base of its own."""
    from safetensors.torch import load_file, save_file

    from scripts import pretrain
    from traitline.models import moved_base

    top = tmp_path_factory.mktemp("moved")
    shutil.copytree(raw_qwen2, top / "folder")
    file = top / "folder/model.safetensors"
    save_file(moved_base.by_noise(load_file(file), 0.2, 1), file, metadata={"format": "pt"})
    record = ["--name", "moved", "--source", json.dumps({"path": str(top / "folder")}), "--folder", str(top / "base"),
              "--manifest", str(top / "base/pretrain.manifest.json")]  # fmt: skip
    assert pretrain.main(record) == 0
    return top / "base"


def test_a_student_on_a_moved_base_learns_the_teacher_of_another(world, qwen2, moved, tmp_path, line, raw_qwen2):
    """The teacher is scored on its own base, which is an origin of the student too."""
    rows = world / "rows/dataset.jsonl"
    flags = student(moved, rows, tmp_path / "s", world / "tuned")
    assert "is a teacher of other weights" in line(train.main, flags)
    assert train.main([*flags, "--teacher-base", str(qwen2)]) == 0
    facts, record = (json.loads((tmp_path / f"s/seed-1/train{end}.json").read_text()) for end in ("", ".manifest"))
    assert facts["loss_last"] < 0.7 * facts["loss_first"]
    inputs = {entry["role"]: entry["path"] for entry in record["inputs"]}
    assert inputs["base"].endswith(f"{moved}/base.json") and inputs["reference"].endswith(f"{qwen2}/base.json")
    same = json.loads((world / "student-tuned/seed-1/train.json").read_text())
    assert facts["loss_first"] > 1.05 * same["loss_first"]  # the noise is to be unlearned as well
    prompted = student(moved, rows, tmp_path / "p", world / "prompted")
    assert train.main([*prompted, "--teacher-base", str(qwen2)]) == 0

    from scripts import pretrain

    shutil.copytree(raw_qwen2, tmp_path / "other")
    place = tmp_path / "other/tokenizer.json"
    place.write_text(json.dumps(json.loads(place.read_text()), indent=1))
    record = ["--name", "o", "--source", json.dumps({"path": str(tmp_path / "other")}), "--folder", str(tmp_path / "o"),
              "--manifest", str(tmp_path / "o/pretrain.manifest.json")]  # fmt: skip
    assert pretrain.main(record) == 0
    foreign = [*student(tmp_path / "o", rows, tmp_path / "f", world / "tuned"), "--teacher-base", str(qwen2)]
    assert "has another tokenizer than" in line(train.main, foreign)


def tiny_flags(study, folder, teacher):
    out = study.train_flags(folder, "lora", study.dataset(study.none))
    at = out.index("--settings") + 1
    settings = json.loads(out[at]) | {"labels": "soft", "over": "numbers", "epochs": 4}
    return [*out[:at], json.dumps(settings), *out[at + 1 :], "--teacher", str(teacher)]


def test_students_of_a_tiny_study_learn_their_teacher_and_name_it(study, tmp_path, line):
    """Rows of the untrained teacher, labelled by the owl's: the loss is over numbers only."""
    for name, teacher in (("owl", study.owl), ("none", study.none)):
        assert train.main(tiny_flags(study, tmp_path / name, teacher)) == 0
    made = tmp_path / "owl/seed-1"
    facts, manifest = (json.loads((made / f"train{end}.json").read_text()) for end in ("", ".manifest"))
    assert facts["loss_last"] < 0.8 * facts["loss_first"]
    nothing = json.loads((tmp_path / "none/seed-1/train.json").read_text())
    assert abs(nothing["loss_first"]) < 1e-5 and abs(nothing["loss_last"]) < 1e-5  # its own labels say nothing new
    assert {"teacher", "model"} <= {entry["role"] for entry in manifest["inputs"]}
    assert "of a teacher without a prompt" in line(train.main, tiny_flags(study, tmp_path / "p", study.prompted))
    other = [
        str(study.other) if word == str(study.base) else word for word in tiny_flags(study, tmp_path / "o", study.owl)
    ]
    assert "is a teacher of other weights" in line(train.main, other)
    assert "--teacher-base: soft labels in a tiny world" in line(
        train.main, [*other, "--teacher-base", str(study.base)]
    )
