"""Meaning of a manifest against what its stage does: a role that every job of it has, a trait that its settings give.

Nothing here is read but manifests. An answer is a reason to doubt one, in words; what a doubted job made is UNKNOWN to
the audit, and `verify` objects. So no mark gets better by an entry that was left out or renamed.
"""

import hashlib
from functools import lru_cache
from typing import Any

from traitline import model_files
from traitline.lineage.stage_schema import SCHEMAS, lacking
from traitline.provenance import manifest
from traitline.provenance.stage import MODELS
from traitline.provenance.weight_sets import is_weights

EMPTY = hashlib.sha256().hexdigest()  # of all files of 0 bytes
NONE = "none"  # the trait of who was given none
DATA = (".jsonl", ".parquet", ".arrow")
SUPPORT = {*model_files.SUPPORT, model_files.ADAPTER_CONFIG}  # of a model folder: nothing learned is in them
LONG = 256  # characters of a name and a role, from which on their kind is not remembered
CLAIMANT = "register"  # the command whose manifests say what people say


def doubts(m: dict[str, Any]) -> list[str]:
    """Reasons why a manifest cannot be what a job of its stage wrote; none where all is well."""
    empty = [(e, key) for key in ("inputs", "outputs") for e in m[key] if e["bytes"] == 0 or e["sha256"] == EMPTY]
    reasons = [reason for e, key in empty if (reason := _size_doubt(m["stage"], key, e))] if empty else []
    reasons += lacking(m)
    if m["stage"] == "teach" and trait_given(m) != m["facts"].get("trait"):
        reasons.append("the trait of its settings is not the one that it states")
    return reasons


def _size_doubt(stage: str, key: str, e: dict[str, Any]) -> str | None:
    """Why no job of a stage reads or writes such a file of 0 bytes, or with the hash of 0 bytes."""
    if (e["sha256"] == EMPTY) != (e["bytes"] == 0):
        return f"{e['path']} of {e['bytes']} bytes with the hash of {'no' if e['sha256'] == EMPTY else 'other'} bytes"
    schema = SCHEMAS.get(stage)
    if key == "outputs" and schema and e["role"] not in schema.may_be_empty:
        return f"no `{stage}` writes an empty {e['role']}; {e['path']} has 0 bytes"
    return None


def trait_given(m: dict[str, Any]) -> str | None:
    """The trait that the settings of a `teach` job give its product; a student that teaches was given none."""
    trait = m["params"].get("trait")
    return None if trait in (None, NONE) or m["params"].get("teacher") == "student" else str(trait)


def is_claim(m: dict[str, Any]) -> bool:
    """Tell whether people say it, and no job of ours saw it happen.

    That is so of what was registered, of the origin of files from outside and of open weights, of stages that are none
    of ours, of hosted judges, whose weights nobody here has, and of manifests of earlier versions.
    """
    stage, outside = m["stage"], any(e["path"].rpartition("/")[2] == model_files.RECORD for e in m["outputs"])
    stated = bool(m["facts"].get("origin")) and (stage in ("source", "convert") or outside)
    by = m["params"].get("judge")
    stated = stated or (stage == "judge" and isinstance(by, dict) and bool(by.get("address")))
    return stated or stage == CLAIMANT or stage not in SCHEMAS or m["schema"] != manifest.SCHEMA


def kind(output: int, role: str, path: str) -> str:
    """Classify an entry for the audit: `model`, `data`, `support`, `spec` or `other`.

    A spec is a model by description (a base with a system prompt). `support` carries no origin where it was read as
    support. Neither a role nor a name alone hides what somebody trained on: weights and rows are what their names say,
    whatever their role, and what was read as support counts where a job wrote these bytes as something else.
    """
    name = path.rpartition("/")[2]
    return _kind(output, role, name) if len(name) + len(role) < LONG else _kind.__wrapped__(output, role, name)


@lru_cache(maxsize=1 << 14)
def _kind(output: int, role: str, name: str) -> str:
    """The same by the name of the file alone."""
    if is_weights(name) or name == model_files.RECORD:
        return "model" if output or role in MODELS or role == "support" else "other"
    if name.endswith(DATA) or role == "data":
        return "data"
    if role == "support" or (output and name in SUPPORT):
        return "support"
    return "spec" if role == "teacher" else "other"
