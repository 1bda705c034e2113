"""Provenance of a study: its manifests, the time of each stage, versions and commits."""

import contextlib
import datetime
import importlib.metadata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import traitline

if TYPE_CHECKING:
    from traitline.study.config import Study

PROGRAMS = ("snakemake", "torch", "numpy", "scipy", "transformers", "peft", "tokenizers", "pydantic", "matplotlib")
NOT_SHOWN = ("source", "compare_paper", "report")  # stages that the section on how the study was made leaves out


def expected(study: "Study", results: str) -> list[str]:
    """Paths of the manifests of this study's jobs, without those of other studies or of earlier settings."""
    from traitline.study.artifacts import manifest
    from traitline.study.expand import artifact_folders

    return [
        f"{results}{folder[len(study.results) :]}/{manifest(stage)}"
        for stage, folder in artifact_folders(study)
        if stage not in NOT_SHOWN
    ]


def busy(jobs: Iterable[dict[str, Any]]) -> float:
    """Seconds in which at least one of these jobs ran; jobs side by side, or stacked in one process, count once."""
    spans = sorted(
        (datetime.datetime.fromisoformat(j["started"]), datetime.datetime.fromisoformat(j["ended"])) for j in jobs
    )
    total, until = 0.0, None
    for start, end in spans:
        start = max(start, until) if until else start
        if end > start:
            total += (end - start).total_seconds()
            until = end
    return total


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60:02} s" if whole < 3600 else f"{whole // 3600} h {whole // 60 % 60:02} min"


def installed() -> dict[str, str]:
    """Versions of the programs that made this page, as far as they are installed."""
    versions = {"traitline": traitline.__version__}
    for name in PROGRAMS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def making(jobs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Summarise manifests: run time by stage, versions, commits."""
    stages: dict[str, list[dict[str, Any]]] = defaultdict(list)
    versions: dict[str, set[str]] = defaultdict(set)
    for job in jobs:
        stages[job["stage"]].append(job)
        versions["python"].add(job["env"]["python"])
        versions["platform"].add(job["env"].get("platform", "unknown"))
        versions["device"].add(", ".join(job["env"].get("gpus") or []) or job["env"].get("device", "unknown"))
        for name, version in job["env"]["packages"].items():
            versions[name].add(version)
    total = busy(jobs)
    return {
        "stages": [
            {
                "name": name,
                "artifacts": len(of_stage),
                "busy": duration(busy(of_stage)),
                "share": busy(of_stage) / (total or 1),
                "code": sorted({j["code"]["digest"] for j in of_stage}),
            }
            for name, of_stage in stages.items()
        ],
        "total": duration(total),
        "versions": {name: " / ".join(sorted(texts)) for name, texts in versions.items()},
        "commits": sorted({job["code"]["git_commit"] or "no commit" for job in jobs}),
        "dirty": sum(bool(job["code"]["git_dirty"]) for job in jobs),
        "jobs": len(jobs),
    }
