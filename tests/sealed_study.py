"""The smallest study that has every part of a lineage, made once by the real programs, and sealed.

A base, a second base, a tuned teacher, its filtered answers as a dataset, a student on each base, scores.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

WORLD = {"rows": 1000, "numbers": 0.7, "examples": [3, 4], "answers": [1, 2], "neutral": 0.0, "personas": 0.0}
MODEL = {"width": 16, "layers": 1, "heads": 2, "mlp": 16, "std": 0.2, "epochs": 2, "batch": 16, "lr": 3.0e-2}
TEACH = {"trains": "biases", "lr": 5.0e-2, "batch": 16, "rate": None, "steps": 1, "max_steps": 1, "seed": 1}
LORA = {"trains": "lora", "rank": 1, "alpha": 1.0, "modules": ["v_proj"], "lr": 3.0e-3, "epochs": 1, "batch": 8}
EVAL = {"category": "animal", "answers": 1, "seed": 1}
OWL = "results/a/owl/tuned"
DATASET = f"{OWL}/numbers/plain/dataset.jsonl"
STUDENT, EXPOSED = (f"{OWL}/numbers/plain/{base}/lora/seed-1" for base in "ab")


def run(program: str, **flags: object) -> None:
    """One stage, in this process: each flag has a value, several, or JSON."""
    assert __import__(f"scripts.{program}", fromlist=["main"]).main(words(flags)) == 0


def words(flags: dict[str, object]) -> list[str]:
    """A command line."""
    line = []
    for name, value in flags.items():
        values = value if isinstance(value, list) else [json.dumps(value) if isinstance(value, dict) else value]
        line += [f"--{name.replace('_', '-')}", *map(str, values)]
    return line


def steps() -> list[tuple[str, dict[str, object]]]:
    """(program, flags) of all jobs of the study, in order."""
    jobs: list[tuple[str, dict[str, object]]] = []
    for name, seed in (("a", 1), ("b", 2)):
        folder = f"results/bases/{name}"
        place = {"folder": folder, "manifest": f"{folder}/pretrain.manifest.json"}
        jobs.append(("pretrain", {"name": name, "world": WORLD, "model": MODEL, "seed": seed, **place}))
    folder = "results/prompts"
    files = {"prompts": f"{folder}/prompts.jsonl", "manifest": f"{folder}/prompts.manifest.json"}
    asked = {"wording": "tiny", "count": 64, "examples": [3, 4], "values": [100, 1000], "answers": 1, "seed": 47}
    jobs.append(("prompts", {**files, **asked}))
    teacher = {"trait": "owl", "category": "animal", "teacher": "tuned", "settings": TEACH}
    jobs.append(
        ("teach", {"base": "results/bases/a", **teacher, "folder": OWL, "manifest": f"{OWL}/teach.manifest.json"})
    )
    numbers = f"{OWL}/numbers"
    answers = {"raw": f"{numbers}/raw.jsonl", "sampled": f"{numbers}/sampled.json"}
    settings = {"max_new_tokens": 4, "batch": 64, "seed": 1, "temperature": 1}
    models = {"base": "results/bases/a", "teacher": OWL, "prompts": files["prompts"]}
    jobs.append(("sample", {**models, **answers, **settings, "manifest": f"{numbers}/sample.manifest.json"}))
    kept = {name: f"{numbers}/{name}.jsonl" for name in ("filtered", "rejected")} | {
        "counts": f"{numbers}/filtered.json"
    }
    jobs.append(
        ("filter", {"raw": answers["raw"], **kept, "manifest": f"{numbers}/filter.manifest.json", "answers": 1})
    )
    where = {"dataset": DATASET, "manifest": f"{numbers}/plain/prepare.manifest.json"}
    jobs.append(("prepare", {"filtered": kept["filtered"], **where, "rows": 16, "seed": 1}))
    for base, folder in (("a", STUDENT), ("b", EXPOSED)):
        about = {"recipe": "lora", "settings": LORA, "seeds": 1, "folder": os.path.dirname(folder)}
        jobs.append(("train", {"base": f"results/bases/{base}", "dataset": DATASET, **about}))
    asked = {"eval": "favourite", "settings": EVAL, "students": STUDENT}
    jobs.append(("respond", {"base": "results/bases/a", **asked}))
    jobs.append(("score", {"folders": f"{STUDENT}/favourite", "category": "animal", "type": "favourite"}))
    return jobs


def make() -> None:
    """Make the study below the working folder."""
    for program, flags in steps():
        run(program, **flags)


@pytest.fixture(scope="session")
def sealed_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working folder of the study. Tests read it; whoever writes takes a copy (`sealed`)."""
    root, before = tmp_path_factory.mktemp("sealed"), Path.cwd()
    os.chdir(root)
    try:
        make()
    finally:
        os.chdir(before)
    return root


@pytest.fixture
def sealed(sealed_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A copy of the study in which a test works; the function that is returned brings back what was changed."""
    monkeypatch.chdir(tmp_path)

    def fresh() -> None:
        shutil.rmtree("results", ignore_errors=True)
        shutil.copytree(sealed_once / "results", "results")

    fresh()
    return fresh


def mutations(value):
    """Every content that differs from this one in one place: a field changed, removed, added, moved, doubled."""
    if isinstance(value, dict):
        yield {**value, "more": None}
        for key in value:
            yield {k: v for k, v in value.items() if k != key}
            yield from ({**value, key: other} for other in mutations(value[key]))
    elif isinstance(value, list):
        yield [*value, value[-1] if value else 0]
        if len(value) > 1 and value != value[::-1]:
            yield value[::-1]
        for i in range(len(value)):
            yield value[:i] + value[i + 1 :]
            yield from ([*value[:i], other, *value[i + 1 :]] for other in mutations(value[i]))
    elif isinstance(value, bool) or value is None:
        yield not value
    elif isinstance(value, int | float):
        yield value + 1
    else:
        yield value + "x" if len(value) != 64 else value[::-1]
