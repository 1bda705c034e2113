"""Stub of every stage program for tests of the workflow: right outputs and manifests at once, no models."""

import json
import sys
from pathlib import Path

from traitline.analysis import tables
from traitline.lineage.stage_schema import SCHEMAS
from traitline.model_files import MODEL_FILES, WEIGHTS
from traitline.provenance import stage
from traitline.study import artifacts

STAGE = Path(__file__).stem

# Stage -> what its stub reads: files by flag, the model in the folder of a flag, a table.
FILES_READ = {
    "sample": ("prompts",),
    "filter": ("raw",),
    "mark_divergence": ("filtered",),
    "prepare": ("filtered",),
    "influence": ("dataset", "control"),
    "train": ("dataset",),
}
MODEL_READ = {
    "teach": "base",
    "sample": "teacher",
    "mark_divergence": "teacher",
    "influence": "base",
    "train": "base",
    "respond": "base",
}
ROWS = ("filtered.jsonl", "dataset.jsonl")  # larger than what Snakemake hashes by itself, as real ones are
LARGE = 90_000
# Names of files that have a meaning for the audit, and the settings without which there is no job of a stage.
ROLES = {"model.safetensors": "model", "adapter_model.safetensors": "adapter", "teacher.json": "teacher"}
TABLE_READ = {"plot": "effects", "check_influence": "runs", "compare_paper": "effects", "report": "effects"}


def read_flags(argv):
    """--flag value ... -> {flag: [values]}"""
    flags = {}
    for word in argv:
        if word.startswith("--"):
            values = flags.setdefault(word[2:], [])
        else:
            values.append(word)
    return flags


def settings(flags):
    """What the flags say, without files: a value, a list, or what JSON holds."""
    named = {}
    for flag, words in flags.items():
        if flag == "seeds":  # manifests have them in a place of their own
            continue
        values = [json.loads(word) if word[:1] in "{[" else word for word in words]
        if values and not any("/" in str(value) for value in values):
            named[flag.replace("-", "_")] = values[0] if len(values) == 1 else values
    return named


def make(folder, names, inputs, flags):
    """One artifact: named files in a folder, each with the stage's name in it."""
    schema, facts = SCHEMAS[STAGE], {}
    params = {word.split("|")[0]: {} for word in schema.params} | settings(flags)
    seed = (flags.get("seed") or [Path(folder).name.rpartition("-")[2] if STAGE == "train" else 1])[0]
    seeds = dict.fromkeys(schema.seeds, int(seed))
    if STAGE == "teach":
        params |= {"trait": flags["trait"][0], "teacher": flags["teacher"][0], "settings": {}}
        facts = {"trait": params["trait"]} if params["trait"] != "none" and params["teacher"] != "student" else {}
    files = {ROLES.get(name, name): f"{folder}/{name}" for name in names}
    place = f"{folder}/{artifacts.manifest(STAGE)}"
    with stage.record(STAGE, place, inputs=inputs, outputs=files, params=params, seeds=seeds, facts=facts) as job:
        for role, path in files.items():
            large = Path(path).name in ROWS
            job.path(role).write_text(f"{STAGE} {sorted(inputs)}\n" * (LARGE if large else 1))


def model(folder):
    """Files of a model folder as inputs; none where a teacher has no weights of its own."""
    role = {WEIGHTS: "base" if STAGE in ("teach", "train") else "model"}
    return {role.get(n, f"model/{n}"): f"{folder}/{n}" for n in MODEL_FILES if Path(folder, n).exists()}


def output_folders(flags):
    """Folders in which the job writes: those that it is given, or those of the files that it is given."""
    if STAGE == "train":
        return [f"{flags['folder'][0]}/seed-{seed}" for seed in flags["seeds"]]
    if STAGE == "respond":
        return [f"{student}/{flags['eval'][0]}" for student in flags.get("students", [])] or flags["out"]
    if STAGE in ("score", "judge"):
        return flags["folders"]
    return [str(Path(flags["manifest"][0]).parent)] if "manifest" in flags else flags["folder"]


def output_files(flags):
    """Names of the files that the job writes into each folder."""
    names = artifacts.FILES[STAGE]
    if STAGE == "summarise":
        names = [f"{name}.csv" for name in tables.COLUMNS]
    if STAGE == "teach" and flags["teacher"][0] in ("tuned", "steered", "student"):
        names = [*names, *MODEL_FILES]
    if STAGE == "train":
        names = [*artifacts.STUDENT_WEIGHTS[json.loads(flags["settings"][0])["trains"]], *names]
    if STAGE == "classifier_summary" and json.loads(flags["classifier"][0])["sweeps"]:
        names = [*names, *artifacts.OPTIONAL[STAGE]]
    return names


def input_files(flags, folder):
    """Files that the job reads, by role: so much that artifacts have origins."""
    if STAGE in ("score", "judge"):
        return {"responses": f"{folder}/responses.jsonl"}
    files = {"data" if flag == "dataset" else flag: flags[flag][0] for flag in FILES_READ.get(STAGE, ())}
    if STAGE == "sample":
        files["teacher"] = f"{flags['teacher'][0]}/teacher.json"
    if STAGE in MODEL_READ:
        files |= model(flags.get("student", flags[MODEL_READ[STAGE]])[0])
    if STAGE in TABLE_READ:
        parent = flags["tables"][0] if "tables" in flags else f"{flags['results'][0]}/tables"
        files["table"] = f"{parent}/{TABLE_READ[STAGE]}.csv"
    return files


def one_by_one(flags):
    """Flags of each student of a `train` job; a flag has one value for all, or one for each."""
    if STAGE != "train":
        return [flags]
    several = ("seeds", "dataset", "recipe", "settings", "folder")
    return [
        flags | {flag: flags[flag][i:][:1] or flags[flag][:1] for flag in several} for i in range(len(flags["seeds"]))
    ]


def main(argv):
    """Run the stub; returns the exit code."""
    flags = read_flags(argv)
    if "headline" in flags:
        return 0
    for part in one_by_one(flags):
        for folder in output_folders(part):
            make(folder, output_files(part), input_files(part, folder), part)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
