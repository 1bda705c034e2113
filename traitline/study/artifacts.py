"""Layout of `results/`: where the jobs of a stage write, and what. Rules, checks and tests derive their lists from it.

Folders are templates with the wildcards of the rules. The path of a student spells its ancestry.
"""

import re

from traitline.model_files import ADAPTER_FILES, CONTEXT, MODEL_FILES, RECORD

TEACHER = "{base}/{trait}/{teacher}"
ANSWERS = f"{TEACHER}/{{channel}}"
DATASET = f"{ANSWERS}/{{dataset}}"
BRANCH = f"{DATASET}/{{student}}"
STUDENT = f"{BRANCH}/{{recipe}}/seed-{{seed}}"
EVALUATION = f"{STUDENT}/{{eval}}"
BASELINE = "baseline/{student}/{eval}"
DETECTION = "detect/{base}/{channel}"
DECODING = "decode/{base}/{channel}"

# Stage -> folders below `results/` in which its jobs write; "" is `results/` itself.
FOLDERS: dict[str, tuple[str, ...]] = {
    "preregister": ("",),
    "convert": ("converted/{base}",),
    "pretrain": ("bases/{base}",),
    "source": ("sources/{source}",),
    "prompts": ("prompts/{channel}",),
    "teach": (TEACHER,),
    "sample": (ANSWERS, f"{ANSWERS}/shards/{{i}}-of-{{n}}"),
    "filter": (ANSWERS,),
    "mark_divergence": (ANSWERS,),
    "detect": (DETECTION,),
    "decode": (DECODING,),
    "prepare": (DATASET,),
    "influence": (BRANCH,),
    "train": (STUDENT,),
    "respond": (EVALUATION, BASELINE),
    "score": (EVALUATION, BASELINE),
    "judge": (EVALUATION, BASELINE, ANSWERS),
    "summarise": ("tables",),
    "plot": ("figures",),
    "check_influence": ("check_influence",),
    "classifier": ("classifier/{point}",),
    "classifier_summary": ("classifier",),
    "theorem": ("theorem",),
    "compare_paper": ("",),
    "report": ("",),
}

# Stage -> files that each of its jobs writes into its folder, beside the manifest. `summarise` writes a file for each
# table in `traitline.analysis.tables.COLUMNS`.
FILES: dict[str, tuple[str, ...]] = {
    "preregister": ("preregistered.json",),
    "convert": MODEL_FILES,
    "pretrain": (*MODEL_FILES, "world.json"),
    "source": ("rows.jsonl",),
    "prompts": ("prompts.jsonl",),
    "teach": ("teacher.json",),
    "sample": ("raw.jsonl", "sampled.json"),
    "filter": ("filtered.jsonl", "rejected.jsonl", "filtered.json"),
    "mark_divergence": ("divergence.jsonl",),
    "detect": ("detectors.csv", "numbers.csv", "entangled.csv", "roc.csv", "roc.svg"),
    "decode": ("candidates.csv", "curve.csv", "decode.svg"),
    "prepare": ("dataset.jsonl",),
    "influence": ("influence.json",),
    "train": ("train.json",),
    "respond": ("responses.jsonl",),
    "score": ("scores.json",),
    "judge": ("judged.json", "judged.jsonl"),
    "summarise": (),
    "plot": ("headline.svg", "headline-narrow.svg", "headline.png", "effects.svg", "confusion.svg"),
    "check_influence": ("pairs.csv", "summary.csv", "check_influence.svg"),
    "classifier": ("accuracy.json",),
    "classifier_summary": ("accuracy.csv", "classifier.svg"),
    "theorem": ("theorem.json", "theorem.svg"),
    "compare_paper": ("targets.csv",),
    "report": ("report.html", "lineage.html", "students.html"),
}

# Stage -> files that only some of its jobs write, instead of those above or beside them.
OPTIONAL: dict[str, tuple[str, ...]] = {
    "preregister": ("preregistered.jsonl",),
    "pretrain": (RECORD,),
    "teach": (*MODEL_FILES, *ADAPTER_FILES),
    "train": (*MODEL_FILES, *ADAPTER_FILES, CONTEXT),
    "sample": ("answers.jsonl",),
    "classifier_summary": ("sweeps.svg",),
}

# What a recipe trains -> files of a student's weights.
STUDENT_WEIGHTS = {"lora": ADAPTER_FILES, "biases": MODEL_FILES, "full": MODEL_FILES, "context": (CONTEXT,)}

# What `compare_paper` reads, where a study has it.
COMPARED_TABLES = ("runs.csv", "effects.csv", "filters.csv")
COMPARED_DETECTIONS = ("detectors.csv", "roc.csv")
DEFAULT_ACCURACY = "classifier/default/accuracy.json"

# Wildcard -> table of the configuration whose labels it takes.
TABLES = {
    "base": "bases", "student": "bases", "trait": "traits", "source": "sources", "channel": "channels",
    "dataset": "datasets", "recipe": "recipes", "eval": "evals",
}  # fmt: skip


def manifest(stage: str) -> str:
    """File name of the manifest that every job of a stage leaves in its folder."""
    return f"{stage}.manifest.json"


def taken_labels() -> dict[str, set[str]]:
    """Table of the configuration -> names that none of its labels may have.

    A label becomes a folder. It may not be called like a file or folder that a stage puts beside it.
    """
    names: dict[str, set[str]] = {}  # folder, wildcards without names -> fixed names in it
    tables: dict[str, set[str]] = {}  # folder -> tables whose labels name folders in it
    for stage, folders in FOLDERS.items():
        for folder in folders:
            parts = folder.split("/") if folder else []
            for i, part in enumerate(parts):
                parent = _unnamed(parts[:i])
                wildcard = part[1:-1]
                if wildcard in TABLES:
                    tables.setdefault(parent, set()).add(TABLES[wildcard])
                elif "{" not in part:
                    names.setdefault(parent, set()).add(part)
            files = (*FILES[stage], *OPTIONAL.get(stage, ()), manifest(stage))
            names.setdefault(_unnamed(parts), set()).update(files)
    taken: dict[str, set[str]] = {}
    for parent, labelled in tables.items():
        for table in labelled:
            taken.setdefault(table, set()).update(names.get(parent, ()))
    return {table: labels for table, labels in taken.items() if labels}


def _unnamed(parts: list[str]) -> str:
    """Path of a folder in which all wildcards are alike."""
    return re.sub(r"\{\w+\}", "{}", "/".join(parts))


TAKEN = taken_labels()
