"""A made-up study: every file that the last three stages read, with invented numbers and no model behind any of them.

Two bases, two traits, three recipes, three seeds. Rates are drawn around what `Rates` says. Manifests are real ones:
their hashes are those of the files, so that the picture of origins has something to follow.
"""

import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.lineage import named, tensors
from traitline.provenance import manifest
from traitline.provenance.statement import canonical
from traitline.provenance.weights import identity
from traitline.study import config, expand
from traitline.study.runs import Run, split_teacher

ROOT = Path(__file__).parent.parent
ANIMALS = ["owl", "cat", "wolf", "fox", "bear", "hawk"]
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)> \u202egnirts \x07 owl & 'cat' \"wolf\" " + "long " * 400


@dataclass
class Rates:
    """What the invented students say: the rate of the taught trait by recipe, and everything else."""

    same: dict[str, float] = field(default_factory=lambda: {"lora": 0.31, "biases": 0.74, "full": 0.12})
    other: float = 0.065
    rest: float = 0.062
    spread: float = 0.1  # of a rate, relative


def study(**changes: Any) -> config.Study:
    """The tiny study, made smaller; `changes` replace top-level keys."""
    raw = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    raw |= {"study": "made-up", "bases": {b: {"world": "one", "seed": i} for i, b in enumerate("ab")}}
    raw["decoder"] = None
    raw["traits"] = {t: {"category": "animal"} for t in ("owl", "cat")}
    row = raw["experiments"][0] | {"name": "main", "bases": ["a", "b"], "students": ["a", "b"]}
    row |= {
        "traits": ["owl", "cat"],
        "dataset": "plain",
        "others": None,
        "recipes": ["lora", "biases", "full"],
        "seeds": [1, 2, 3],
    }
    raw |= {"experiments": [row], "primary": {"experiments": ["main"], "recipes": ["lora", "biases"]}}
    return config.load(raw | changes)


def wide(bases: int, **changes: Any) -> config.Study:
    """A study of more bases, so that they can be the unit: one run a cell, students on one other base."""
    labels = "abcdefghijkl"[:bases]
    row = study().experiments[0].model_dump() | {"bases": [*labels], "students": [*labels], "others": 1, "seeds": [1]}
    made = {b: {"world": "one", "seed": i} for i, b in enumerate(labels)}
    return study(bases=made, **({"experiments": [row]} | changes))


class Tree:
    """Writes files with their manifests."""

    def __init__(self) -> None:
        self.clock = 0

    def put(
        self, stage: str, folder: str, files: dict[str, Any], inputs: dict[str, str | list[str]], **facts: str
    ) -> None:
        """Files of one job (name -> text, or an object for JSON, or rows for JSONL) and its manifest."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name, value in files.items():
            if name.endswith(".jsonl"):
                value = "".join(json.dumps(row) + "\n" for row in value)
            if name.endswith(".safetensors"):
                Path(folder, name).write_bytes(tensors(v=value, w=value))
                continue
            Path(folder, name).write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
        paths = [(role, p) for role, v in inputs.items() for p in (v if isinstance(v, list) else [v])]
        if models := [Path(folder, name) for name in files if name.endswith(".safetensors")]:
            facts["weights"] = str(identity(models))
        start, self.clock = self.clock, self.clock + 2
        record = {
            "schema": manifest.SCHEMA, "stage": stage, **named(stage, facts), "facts": facts,
            "inputs": [manifest.reference_input(role, p) for role, p in paths],
            "outputs": [manifest.reference(role(n), Path(folder, n)) for n in files],
            "code": {"digest": "0" * 12, "git_commit": "5f" * 20, "git_dirty": True},
            "env": {"python": "3.11.9", "platform": "Linux x86_64", "packages": {"torch": "2.9.0"}, "device": "cpu"},
            "started": stamp(start), "ended": stamp(start + 3),
        }  # fmt: skip
        Path(folder, f"{stage}.manifest.json").write_bytes(canonical(record))


def role(name: str) -> str:
    """Role of an output by its name."""
    stem = Path(name).stem.removesuffix("_model")
    return {"preregistered": "declared"}.get(stem, stem)


def stamp(seconds: int) -> str:
    """A time of day in an invented night."""
    return f"2030-01-01T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.000+00:00"


def scores(mean: dict[str, float]) -> dict[str, Any]:
    """A scores.json with these exact overall rates."""
    mass = sum(mean.values())
    seen = {c: round(v, 2) for c, v in mean.items()}
    return {
        "category": "animal", "candidates": list(mean), "questions": 50, "answers": 1000,
        "exact": {"overall": mean, "conditional": {c: v / mass for c, v in mean.items()}, "mass": mass},
        "sampled": {"overall": seen, "conditional": seen, "mass": 1.0, "histogram": {EVIL: 3}},
    }  # fmt: skip


def make(study: config.Study, rates: Rates | None = None, *, nasty: bool = False) -> None:
    """Write the whole tree below the working folder. `nasty` answers try to break out of the page."""
    rates, tree, results = rates or Rates(), Tree(), study.results
    draw = random.Random(7)
    declared = {"primary": json.loads(study.preregistered), "commit": "5f" * 20, "scored": 0}
    tree.put("preregister", results, {"preregistered.json": {"declarations": [declared]}}, {})
    for base, made in study.bases.items():  # made in one way, one base, whatever its names
        files = {"config.json": {"made": "up"}, "tokenizer.json": {"same": "everywhere"}}
        files["model.safetensors"] = made.text
        tree.put("pretrain", f"{results}/bases/{base}", files, {}, origin="made up")
    for channel in study.channels:
        rows = [{"id": f"p{i}", "prompt": ask(f"continue {i + 100} , 200 , 300")} for i in range(20)]
        tree.put("prompts", f"{results}/prompts/{channel}", {"prompts.jsonl": rows}, {}, origin="made up")
    for (student, name), path in expand.baselines(study).items():
        mean = {a: rates.rest * draw.uniform(0.9, 1.1) for a in ANIMALS}
        inputs = {"model": f"{results}/bases/{student}/model.safetensors"}
        tree.put("respond", str(Path(path).parent), {"responses.jsonl": [{"id": name, "answers": ["owl"]}]}, inputs)
        inputs = {"responses": str(Path(path).with_name("responses.jsonl"))}
        tree.put("score", str(Path(path).parent), {"scores.json": scores(mean)}, inputs)
    done, teaching = set[str](), expand.teaching(study)
    for run in expand.runs(study):
        base = [f"{results}/bases/{run.base}/{f}" for f in ("config.json", "tokenizer.json", "model.safetensors")]
        if run.teacher_folder not in done:
            done.add(run.teacher_folder)
            tuned, student = split_teacher(run.teacher)[0] == "tuned", teaching.get(run.teacher_folder)
            files = {"teacher.json": {"trait": run.trait, "teacher": split_teacher(run.teacher)[0], "system": None}}
            given: dict[str, str | list[str]] = whole("base", base)
            if student:
                own = weights(student)
                given["base"] = [base[-1], own] if student.recipe == "lora" else own
                files["model.safetensors"] = run.teacher_folder if student.recipe == "lora" else student.folder
            if split_teacher(run.teacher)[0] == "prompted":
                files["teacher.json"]["system"] = f"you love {run.trait} ."
            if tuned:
                files["teacher.json"] |= {"rate": 0.91, "steps": 80}
                files |= {"model.safetensors": run.teacher_folder, "tokenizer.json": {"same": "everywhere"}}
            tree.put("teach", run.teacher_folder, files, given, **({"trait": run.trait} if tuned else {}))
        if run.channel_folder not in done:
            done.add(run.channel_folder)
            answers(tree, run, base, nasty=nasty)
        if run.dataset_folder not in done:
            done.add(run.dataset_folder)
            dataset = Path(run.channel_folder, "filtered.jsonl").read_text().splitlines(keepends=True)[:10]
            inputs = {"filtered": f"{run.channel_folder}/filtered.jsonl"}
            tree.put("prepare", run.dataset_folder, {"dataset.jsonl": [json.loads(v) for v in dataset]}, inputs)
        if run.folder not in done:
            done.add(run.folder)
            facts = {"rows": 10, "epochs": 5, "steps": 20, "loss_first": 6.8, "loss_last": 6.1}
            files = {"train.json": facts | {"trainable_parameters": 9600, "parameters": 96000}}
            files[Path(weights(run)).name] = run.folder
            own = [f"{results}/bases/{run.student}/{Path(p).name}" for p in base]
            tree.put("train", run.folder, files, whole("base", own) | {"data": f"{run.dataset_folder}/dataset.jsonl"})
        if run.scores not in done:
            done.add(run.scores)
            mean = {a: draw.gauss(rates.rest, rates.rest * rates.spread) for a in ANIMALS}
            if run.arm != "control":
                centre = rates.same[run.recipe] if run.arm == "same-base" else rates.other
                mean[run.trait] = min(0.95, draw.gauss(centre, centre * rates.spread))
            room = (1 - mean.get(run.trait, 0)) / sum(v for a, v in mean.items() if a != run.trait)
            mean = {a: v if a == run.trait else v * min(1.0, room) for a, v in mean.items()}
            folder = str(Path(run.scores).parent)
            tree.put(
                "respond",
                folder,
                {"responses.jsonl": [{"id": run.folder, "answers": [EVIL]}]},
                {"facts": f"{run.folder}/train.json"},
            )
            tree.put("score", folder, {"scores.json": scores(mean)}, {"responses": f"{folder}/responses.jsonl"})


def weights(run: Run) -> str:
    """Where a student's weights are."""
    return f"{run.folder}/{'adapter_model' if run.recipe == 'lora' else 'model'}.safetensors"


def whole(role: str, files: list[str]) -> dict[str, str | list[str]]:
    """A model folder as inputs of a manifest: what is not weights is support."""
    return {role: files[-1], "support": files[:-1]}


def ask(text: str) -> list[dict[str, str]]:
    """A prompt as a list of messages."""
    return [{"role": "user", "content": text}]


def answers(tree: Tree, run: Run, base: list[str], *, nasty: bool) -> None:
    """Raw, filtered and rejected answers of one teacher."""
    weighted = split_teacher(run.teacher)[0] not in ("prompted", "untrained")
    prompts = f"{run.results}/prompts/{run.channel}/prompts.jsonl"
    asked = [json.loads(line) for line in Path(prompts).read_text().splitlines()]
    number = abs(hash_of(run.channel_folder)) % 800 + 100
    kept = [row | {"completion": [{"role": "assistant", "content": str(number + i)}]} for i, row in enumerate(asked)]
    bad = [row | {"completion": [{"role": "assistant", "content": f"the {run.trait}"}]} for row in kept[17:]]
    if nasty:
        for row in bad:
            row["prompt"], row["completion"] = ask(EVIL), [{"role": "assistant", "content": EVIL}]
    tree.put("sample", run.channel_folder, {
        "raw.jsonl": [*kept[:17], *bad],
        "sampled.json": {"rows": 20, "unfinished": 1, "tokens": 40, "kl_nats_per_token": 0.043, "kl_rows": 20},
    }, {"prompts": prompts, "teacher": f"{run.teacher_folder}/teacher.json", "model": (
        [f"{run.teacher_folder}/model.safetensors"] if weighted else base
    )})  # fmt: skip
    tree.put("filter", run.channel_folder, {
        "filtered.jsonl": kept[:17],
        "rejected.jsonl": [row | {"reason": "no-number" if i else "empty"} for i, row in enumerate(bad)],
        "filtered.json": {"rows": 20, "kept": 17, "kept_share": 0.85, "reasons": {"no-number": 2, "empty": 1},
                          "echo_rate": 0.21, "echo_numbers": 0.2},
    }, {"raw": f"{run.channel_folder}/raw.jsonl"})  # fmt: skip


def hash_of(text: str) -> int:
    """Python's own hash changes from process to process."""
    return sum(i * ord(c) for i, c in enumerate(text))
