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
    module = __import__(f"scripts.{program}", fromlist=["main"])
    words = []
    for name, value in flags.items():
        values = value if isinstance(value, list) else [json.dumps(value) if isinstance(value, dict) else value]
        words += [f"--{name.replace('_', '-')}", *map(str, values)]
    assert module.main(words) == 0


def make() -> None:
    """Make the study below the working folder."""
    for name, seed in (("a", 1), ("b", 2)):
        folder = f"results/bases/{name}"
        place = {"folder": folder, "manifest": f"{folder}/pretrain.manifest.json"}
        run("pretrain", name=name, world=WORLD, model=MODEL, seed=seed, **place)
    folder = "results/prompts"
    files = {"prompts": f"{folder}/prompts.jsonl", "manifest": f"{folder}/prompts.manifest.json"}
    run("prompts", **files, wording="tiny", count=64, examples=[3, 4], values=[100, 1000], answers=1, seed=47)
    teacher = {"trait": "owl", "category": "animal", "teacher": "tuned", "settings": TEACH}
    run("teach", base="results/bases/a", **teacher, folder=OWL, manifest=f"{OWL}/teach.manifest.json")
    numbers = f"{OWL}/numbers"
    answers = {"raw": f"{numbers}/raw.jsonl", "sampled": f"{numbers}/sampled.json"}
    settings = {"max_new_tokens": 4, "batch": 64, "seed": 1, "temperature": 1}
    run("sample", base="results/bases/a", teacher=OWL, prompts=files["prompts"], **answers, **settings,
        manifest=f"{numbers}/sample.manifest.json")  # fmt: skip
    kept = {name: f"{numbers}/{name}.jsonl" for name in ("filtered", "rejected")} | {
        "counts": f"{numbers}/filtered.json"
    }
    run("filter", raw=answers["raw"], **kept, manifest=f"{numbers}/filter.manifest.json", answers=1)
    where = {"dataset": DATASET, "manifest": f"{numbers}/plain/prepare.manifest.json"}
    run("prepare", filtered=kept["filtered"], **where, rows=16, seed=1)
    for base, folder in (("a", STUDENT), ("b", EXPOSED)):
        about = {"recipe": "lora", "settings": LORA, "seeds": 1, "folder": os.path.dirname(folder)}
        run("train", base=f"results/bases/{base}", dataset=DATASET, **about)
    run("respond", base="results/bases/a", eval="favourite", settings=EVAL, students=STUDENT)
    run("score", folders=f"{STUDENT}/favourite", category="animal", type="favourite")


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
