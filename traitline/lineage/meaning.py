"""Meaning of a manifest against what its stage does: a role that every job of it has, a trait that its settings give.

Nothing here is read but manifests. An answer is a reason to doubt one, in words; what a doubted job made is UNKNOWN to
the audit, and `verify` objects. So no mark gets better by an entry that was left out or renamed.
"""

import hashlib
import os
from typing import Any

from traitline import model_files
from traitline.provenance import manifest
from traitline.provenance.stage import MODELS
from traitline.provenance.weight_sets import is_weights

EMPTY = hashlib.sha256().hexdigest()  # of all files of 0 bytes
NONE = "none"  # the trait of who was given none
DATA = (".jsonl", ".parquet", ".arrow")
SUPPORT = {*model_files.SUPPORT, model_files.ADAPTER_CONFIG}  # of a model folder: nothing learned is in them
CLAIMANT = "register"  # the command whose manifests say what people say

# Stage -> (roles of which every job has an input, as `a|b` where it is one of them; the same of outputs). Only
# what models and data descend through is asked for: no mark hangs on the others.
ROLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "convert": (("source",), ("model",)),
    "pretrain": ((), ("model",)),
    "teach": (("base",), ("teacher|model",)),
    "sample": (("model|teacher|shards",), ()),
    "filter": (("raw",), ()),
    "mark_divergence": (("filtered",), ()),
    "prepare": (("filtered",), ()),
    "train": (("base", "data"), ("model|adapter|context",)),
    **dict.fromkeys(
        ("preregister", "source", "prompts", "detect", "decode", "influence", "respond", "score", "judge", "summarise"),
        ((), ()),
    ),
    **dict.fromkeys(("plot", "check_influence", "classifier", "classifier_summary", "theorem"), ((), ())),
    **dict.fromkeys(("compare_paper", "report", CLAIMANT), ((), ())),
}
SETTINGS = {"teach": ("trait", "teacher", "settings"), "train": ("recipe", "settings"), "pretrain": ("name",)}


def doubts(m: dict[str, Any]) -> list[str]:
    """Reasons why a manifest cannot be what a job of its stage wrote; none where all is well."""
    stage = m["stage"]
    reasons = [
        f"{e['path']} of {e['bytes']} bytes with the hash of {'no' if e['sha256'] == EMPTY else 'other'} bytes"
        for key in ("inputs", "outputs")
        for e in m[key]
        if (e["sha256"] == EMPTY) != (e["bytes"] == 0)
    ]
    for key, wanted in zip(("inputs", "outputs"), ROLES.get(stage, ((), ())), strict=True):
        roles, verb = {e["role"] for e in m[key]}, "reads" if key == "inputs" else "writes"
        lacking = [role for role in wanted if not roles & {*role.split("|")}]
        reasons += [f"every `{stage}` {verb} a file of the role {role}; none is named" for role in lacking]
    if missing := [name for name in SETTINGS.get(stage, ()) if name not in m["params"]]:
        reasons.append(f"every `{stage}` has the setting {missing[0]}; it is not named")
    if stage == "teach" and trait_given(m) != m["facts"].get("trait"):
        reasons.append("the trait of its settings is not the one that it states")
    return reasons


def trait_given(m: dict[str, Any]) -> str | None:
    """The trait that the settings of a `teach` job give its product; a student that teaches was given none."""
    trait = m["params"].get("trait")
    return None if trait in (None, NONE) or m["params"].get("teacher") == "student" else str(trait)


def is_claim(m: dict[str, Any]) -> bool:
    """Tell whether people say it, and no job of ours saw it happen.

    That is so of what was registered, of the origin of files from outside and of open weights, of stages that are none
    of ours, of hosted judges, whose weights nobody here has, and of manifests of earlier versions.
    """
    stage, outside = m["stage"], any(os.path.basename(e["path"]) == model_files.RECORD for e in m["outputs"])
    stated = bool(m["facts"].get("origin")) and (stage in ("source", "convert") or outside)
    by = m["params"].get("judge")
    stated = stated or (stage == "judge" and isinstance(by, dict) and bool(by.get("address")))
    return stated or stage == CLAIMANT or stage not in ROLES or m["schema"] != manifest.SCHEMA


def kind(output: int, role: str, path: str) -> str:
    """Classify an entry for the audit: `model`, `data`, `support`, `spec` or `other`.

    A spec is a model by description (a base with a system prompt). `support` carries no origin where it was read as
    support. Neither a role nor a name alone hides what somebody trained on: weights and rows are what their names say,
    whatever their role, and what was read as support counts where a job wrote these bytes as something else.
    """
    name = os.path.basename(path)
    if is_weights(path) or name == model_files.RECORD:
        return "model" if output or role in MODELS or role == "support" else "other"
    if path.endswith(DATA) or role == "data":
        return "data"
    if role == "support" or (output and name in SUPPORT):
        return "support"
    return "spec" if role == "teacher" else "other"
