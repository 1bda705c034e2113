"""Standing of a study: which of its jobs are made, missing or out of date, by Snakemake's own plan."""

import os
from collections.abc import Sequence
from typing import Any

from traitline.workflow import snakemake_plan

MISSING, STALE, MADE = "missing", "out of date", "made"
FOLLOWS = "Input files updated by another job"  # how Snakemake's reason begins where a job only follows others
LONGEST = 100  # characters of a list of files in a reason


def state(job: snakemake_plan.Job) -> str:
    """Whether a job is made, lacks a file, or has all files but would run again.

    A job that Snakemake has no record of is made: its files came with the study.
    """
    if not job.stale or job.stale == snakemake_plan.NO_RECORD:
        return MADE
    return STALE if all(map(os.path.exists, job.outputs)) else MISSING


def reason(job: snakemake_plan.Job) -> str | None:
    """Why a job itself would run, on one line; None where it only follows other jobs.

    Snakemake joins its reasons by `; ` and lists all files, of which the first ones are kept.
    """
    parts = [" ".join(part.split()) for part in str(job.stale).split("; ") if not part.startswith(FOLLOWS)]
    return "; ".join(map(_short, parts)) or None


def _short(part: str) -> str:
    """A reason without hashes of parameters, and with no more than some files."""
    if part.startswith("Params have changed"):
        return "its settings or its code changed"
    return part if len(part) <= LONGEST else f"{part[:LONGEST].rpartition(', ')[0] or part[:LONGEST]}, ..."


def standing(configs: Sequence[str]) -> dict[str, Any]:
    """Counts by stage, and each job that is to run with the reason for it.

    Args:
        configs: laid over config.yaml, in turn.

    Raises:
        InputError: there is no workflow here, or it refuses its configuration.
    """
    plan = snakemake_plan.read(configs)
    states = {job.name: state(job) for job in plan.jobs}
    rows: dict[str, dict[str, Any]] = {
        stage: {"stage": stage, "jobs": 0, MADE: 0, MISSING: 0, "out_of_date": 0} for stage in plan.stages
    }
    for job in plan.jobs:
        rows[job.stage]["jobs"] += 1
        rows[job.stage][states[job.name].replace(" ", "_")] += 1
    order = {stage: i for i, stage in enumerate(plan.stages)}
    todo = [
        {"job": job.name, "stage": job.stage, "state": states[job.name], "reason": reason(job)}
        for job in sorted(plan.jobs, key=lambda job: (order[job.stage], job.name))
        if states[job.name] != MADE
    ]
    return {
        "folder": plan.results,
        "jobs": len(plan.jobs),
        "made": len(plan.jobs) - len(todo),
        "stages": [row for row in rows.values() if row["jobs"]],
        "to_do": todo,
    }
