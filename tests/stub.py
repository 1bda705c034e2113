"""Stands in for every stage program in tests of the workflow: right outputs and manifests at once, no models."""

import json
import sys
from pathlib import Path

from traitline.provenance import manifest, stage

MODEL = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
MODEL += ["chat_template.jinja"]
STAGE = Path(__file__).stem


def flags(argv):
    """--flag value ... -> {flag: [values]}"""
    found = {}
    for word in argv:
        if word.startswith("--"):
            values = found.setdefault(word[2:], [])
        else:
            values.append(word)
    return found


def make(path, names, inputs):
    """One artifact: named files in a folder, each with the stage's name in it."""
    files = {name: f"{path}/{name}" for name in names}
    with stage.record(STAGE, f"{path}/{STAGE}.manifest.json", inputs=inputs, outputs=files) as job:
        for name in names:
            job.path(name).write_text(f"{STAGE} {sorted(inputs)}\n")


def model(folder):
    return {f"model/{name}": f"{folder}/{name}" for name in MODEL if Path(folder, name).exists()}


def main(argv):
    f = {k: v[0] if len(v) == 1 else v for k, v in flags(argv).items()}
    if STAGE == "pretrain":
        make(f["folder"], [*MODEL, "world.json"], {})
    elif STAGE == "preregister":
        make(f["results"], ["preregistered.json"], {})
    elif STAGE == "prompts":
        make(Path(f["prompts"]).parent, ["prompts.jsonl"], {})
    elif STAGE == "teach":
        weights = MODEL if f["teacher"] in ("tuned", "steered", "student") else []
        make(f["folder"], ["teacher.json", *weights], model(f.get("student", f["base"])))
    elif STAGE == "sample":
        make(Path(f["raw"]).parent, ["raw.jsonl", "sampled.json"], {"prompts": f["prompts"], **model(f["teacher"])})
    elif STAGE == "filter":
        make(Path(f["raw"]).parent, ["filtered.jsonl", "rejected.jsonl", "filtered.json"], {"raw": f["raw"]})
    elif STAGE == "mark_divergence":
        make(Path(f["marks"]).parent, ["divergence.jsonl"], {"filtered": f["filtered"], **model(f["teacher"])})
    elif STAGE == "detect":
        make(f["folder"], ["detectors.csv", "numbers.csv", "entangled.csv", "roc.csv", "roc.svg"], {})
    elif STAGE == "prepare":
        make(Path(f["dataset"]).parent, ["dataset.jsonl"], {"filtered": f["filtered"]})
    elif STAGE == "influence":
        make(
            Path(f["influence"]).parent,
            ["influence.json"],
            {"dataset": f["dataset"], "control": f["control"], **model(f["base"])},
        )
    elif STAGE == "train":
        special = {"lora": ["adapter_config.json", "adapter_model.safetensors"], "context": ["context.jsonl"]}
        weights = special.get(json.loads(f["settings"])["trains"], MODEL)
        for seed in flags(argv)["seeds"]:
            make(f"{f['folder']}/seed-{seed}", [*weights, "train.json"], {"data": f["dataset"], **model(f["base"])})
    elif STAGE == "respond":
        folders = [f"{s}/{f['eval']}" for s in flags(argv).get("students", [])] or [f["out"]]
        for folder in folders:
            make(folder, ["responses.jsonl"], model(f["base"]))
    elif STAGE == "score":
        for folder in flags(argv)["folders"]:
            make(folder, ["scores.json"], {"responses": f"{folder}/responses.jsonl"})
    elif STAGE == "judge":
        for folder in flags(argv)["folders"]:
            make(folder, ["judged.json", "judged.jsonl"], {"responses": f"{folder}/responses.jsonl"})
    elif STAGE == "summarise":
        from traitline.analysis import tables

        make(f["tables"], [f"{name}.csv" for name in tables.COLUMNS], {})
    elif STAGE == "plot":
        make(
            f["figures"],
            ["headline.svg", "headline-narrow.svg", "headline.png", "effects.svg", "confusion.svg"],
            {"effects": f"{f['tables']}/effects.csv"},
        )
    elif STAGE == "check_influence":
        make(f["folder"], ["pairs.csv", "summary.csv", "check_influence.svg"], {"runs": f"{f['tables']}/runs.csv"})
    elif STAGE == "classifier":
        make(Path(f["accuracy"]).parent, ["accuracy.json"], {})
    elif STAGE == "classifier_summary":
        figures = ["classifier", *(["sweeps"] if json.loads(f["classifier"])["sweeps"] else [])]
        make(f["folder"], ["accuracy.csv", *(f"{name}.svg" for name in figures)], {})
    elif STAGE == "theorem":
        make(f["folder"], ["theorem.json", "theorem.svg"], {})
    elif STAGE == "compare_paper":
        make(f["results"], ["targets.csv"], {"effects": f"{f['results']}/tables/effects.csv"})
    elif STAGE == "report" and "report" in f:
        make(Path(f["report"]).parent, ["report.html", "lineage.html"], {"effects": f"{f['tables']}/effects.csv"})
    return manifest.SCHEMA and 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
