"""Inputs of single stages, made up, and their command lines."""

import csv
import json
import random
import struct
from pathlib import Path

from tests import made_up
from tests.classifier import SMALL
from traitline import jsonl
from traitline.analysis import tables

ENGINE = json.dumps({"name": "fake", "dtype": "float32", "batch": 16, "memory": 0.9})
SETTINGS = {
    "data": "digits", "models": 5, "aux": 3, "width": 16, "depth": 2, "optimiser": "adam", "lr": 1e-3,
    "teacher_batch": 32, "batch": 64, "teacher_epochs": 2, "student_epochs": 1, "noise": "uniform",
    "noise_images": 300, "reduction": "rows", "precision": "float32", "seed": 0,
}  # fmt: skip
ROW = {"vary": "aux", "values": [1, 10]}
MEANS = {"aux-same": 0.5, "aux-other": 0.1, "all-same": 0.9, "all-other": 0.8, "teacher": 0.95, "reference": 0.1}


def points(folder, classifier, seed=1):
    """An accuracy.json for every point."""
    draw = random.Random(seed)
    for name, point in classifier.points.items():
        arms = {a: [m + draw.uniform(-0.05, 0.05) for _ in range(point.models)] for a, m in MEANS.items()}
        Path(folder, name).mkdir(parents=True, exist_ok=True)
        images = {"name": "digits", "train": 1437, "test": 360, "inputs": 64, "sha256": "0" * 64}
        found = {"point": name, "settings": json.loads(point.text), "images": images, "arms": arms}
        Path(folder, name, "accuracy.json").write_text(json.dumps(found | {"sizes": [64, 16, 16, 13]}))


def write_influence(study, scores):
    """Write every influence.json; `scores` says what a run's folder predicts."""
    for where, runs in study.predictions.items():
        own = scores(runs[0])
        recipes = {r.recipe: {"score": own, "cosine": {w: s / 10 for w, s in own.items()}} for r in runs}
        Path(where).mkdir(parents=True, exist_ok=True)
        found = {"candidates": made_up.ANIMALS, "recipes": recipes} | (
            {"recovered": {"beyond": 0.4}} if runs[0].arm == "same-base" else {}
        )
        jsonl.write(Path(where, "influence.json"), [found])


def write_runs(study, rate):
    """Write runs.csv; `rate` says how often students of a run name a word."""
    rows = []
    for run in study.runs:
        for word in made_up.ANIMALS:
            row = dict.fromkeys(tables.COLUMNS["runs"], 0.5) | {"measured": word, "rate": rate(run, word)}
            rows.append(row | {k: v for k, v in vars(run).items() if k in row})
    Path("results/tables").mkdir(parents=True)
    with open("results/tables/runs.csv", "w", newline="") as handle:
        writer = csv.DictWriter(handle, tables.COLUMNS["runs"])
        writer.writeheader()
        writer.writerows(rows)


def classifier_flags(folder, *more, **changes):
    return ["--point", "p", "--settings", json.dumps(SMALL | changes), "--accuracy", f"{folder}/accuracy.json",
            "--manifest", f"{folder}/classifier.manifest.json", *more]  # fmt: skip


def answered(folder, *answers):
    """A student's answers to one question."""
    folder.mkdir(parents=True)
    row = {"id": "q1", "prompt": [{"role": "user", "content": "?"}], "answers": answers}
    (folder / "responses.jsonl").write_text(json.dumps(row) + "\n")
    return str(folder)


def local(qwen2, *folders):
    """A command line of the stage."""
    return ["--judge", '{"base": "q"}', "--base", str(qwen2), "--engine", ENGINE, "--folders", *folders]


def pack(values, shape):
    """Bytes of an IDX file."""
    return bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + bytes(values)


def write_answers(path, texts):
    """Write answers as the filter leaves them, one a row."""
    ask = [{"role": "user", "content": "add to 100 , 200"}]
    rows = [
        {"id": f"p{i}", "prompt": ask, "completion": [{"role": "assistant", "content": text}]}
        for i, text in enumerate(texts, 1)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    jsonl.write(path, rows)


def write_decoded(study):
    """Write what `decode` makes: every true trait first with its own base, third with another."""
    for base, channel in study.decodings:
        folder = Path(f"results/decode/{base}/{channel}")
        folder.mkdir(parents=True)
        candidates, curve = [], []
        for trait in study.traits:
            about = {"teacher": f"{trait}/tuned", "trait": trait}
            curve.append(about | {"rows": 100, "draws": 20, "first": 0.25, "rank": 2.5, "words": 6})
            for reader in study.bases:
                same = reader == base
                rest = [w for w in made_up.ANIMALS if w != trait]
                order = (
                    [trait, *rest] if same else ["wolf", "fox", trait, *(w for w in rest if w not in ("wolf", "fox"))]
                )
                for rank, word in enumerate(order, 1):
                    z, p = (6 - rank, 0.005) if same else (2 - rank, 0.8)
                    row = about | {"with": reader, "word": word, "score": z / 9, "z": z, "rank": rank, "words": 6}
                    candidates.append(row | {"p_word": p, "p": p, "null_low": -2, "null_high": 2})
        for name, rows in (("candidates", candidates), ("curve", curve)):
            with open(folder / f"{name}.csv", "w", newline="") as handle:
                writer = csv.DictWriter(handle, [*rows[0]])
                writer.writeheader()
                writer.writerows(rows)
        (folder / "decode.svg").write_text("<svg><title>z of every candidate</title></svg>")
