"""The lock of a launch: settings and code that decide results, fixed when Snakemake starts.

Jobs get the lock through the environment. A job whose settings or code differ from the launch ends with one line,
so two versions never mix.
"""

import hashlib
import json
import os
from collections.abc import Mapping

from traitline.errors import InputError
from traitline.provenance.digest import digest

LOCK = "TRAITLINE_LOCK"  # in the environment of jobs
CHANGED = "changed after this study was launched"


def lock(folder: str, settings: str, stages: Mapping[str, str]) -> str:
    """Summarise what decides the results of a launch, as text for the environment of its jobs.

    Args:
        folder: of the study.
        settings: the study's own text of them.
        stages: stage -> digest of its code.
    """
    summary = hashlib.sha256(f"{folder} {settings}".encode()).hexdigest()[:12]
    return json.dumps({"settings": summary, "code": dict(stages)}, sort_keys=True)


def require_same(launched: str, now: str) -> None:
    """Refuse to go on under other settings or code than at launch.

    Raises:
        InputError: something was edited meanwhile.
    """
    if launched == now:
        return
    before, after = json.loads(launched), json.loads(now)
    edited = sorted(s for s in after["code"] if before["code"].get(s) != after["code"][s])
    what = f"the code of {', '.join(edited)}" if edited else "the configuration"
    raise InputError(f"{what} {CHANGED}; the job was not run, launch again")


def require_same_code(stage: str) -> None:
    """Refuse to run a stage whose code was edited after the launch; its program asks.

    Raises:
        InputError: its code was edited after the launch.
    """
    launched = json.loads(os.environ.get(LOCK, "{}")).get("code", {}).get(stage)
    if launched and launched != digest(stage):
        raise InputError(f"the code of {stage} {CHANGED}; nothing was made, launch again")
