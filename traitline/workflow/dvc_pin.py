"""Pinning a study with DVC, and going on from there in a clone.

`pin` vouches, so it may refuse: a job is pinned only if Snakemake would not run it again, has a record of it, and every
file is what the job's manifests say. `restore` is its counterpart after `git clone` and `dvc pull`.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from traitline.atomic import put
from traitline.errors import InputError
from traitline.lineage import seal
from traitline.plurals import counted
from traitline.provenance import manifest
from traitline.provenance.known_hashes import KnownHashes
from traitline.workflow import agreement, metrics, snakemake_plan
from traitline.workflow.dvc_stages import RECORDS, StudyStages, dump, locked_stages

STALE = "Snakemake would run it again"
OLD = 1_000_000_000  # the one time of modification that `restore` gives to all files: 2001-09-09
SEALED = "manifests.sha256"  # the list whose hash is the root of what was pinned, for git to keep
SEEN = Path(".traitline/pinned.json")


def problem(job: snakemake_plan.Job, sha: KnownHashes) -> str | None:
    """State why a job cannot be pinned; None where it can."""
    if job.stale:
        return f"{STALE}: {job.stale}"
    if not job.manifests:
        return "it has no manifest"
    manifests = [manifest.load(file) for file in job.manifests]
    recorded: dict[str, str] = {}
    for m in manifests:
        for e in (*m["inputs"], *m["outputs"]):
            if recorded.setdefault(e["path"], e["sha256"]) != e["sha256"]:
                return f"its manifests do not agree on {e['path']}"
    settings = next((reason for m in manifests if (reason := agreement.disagreement(job.params, m))), None)
    return settings or changed(job, recorded, sha)


def changed(job: snakemake_plan.Job, recorded: Mapping[str, str], sha: KnownHashes) -> str | None:
    """A file of a job that is not as its manifests have it; None where there is none. `recorded`: path -> sha256."""
    for path in (*job.inputs, *job.outputs):
        if path in job.manifests:
            continue
        if path in recorded:
            if sha(path) != recorded[path]:
                return f"{path} is not what the job read or wrote"
        elif path in job.outputs:
            return f"no manifest of it names {path}"
    return None


def pin(configfiles: Sequence[str] = (), *, partial: bool = False) -> tuple[int, dict[str, str]]:
    """Write dvc.yaml, dvc.lock, pins.json, metrics.json and manifests.sha256, and put every artifact into DVC's cache.

    Args:
        configfiles: as for Snakemake.
        partial: leave stale jobs out instead of refusing. A wrong hash is never left out.

    Returns:
        (jobs pinned, job -> why it was left out).

    Raises:
        InputError: a job cannot be vouched for, or this is no DVC repository.
    """
    repository()
    study_stages = StudyStages(snakemake_plan.read(configfiles), configfiles)
    jobs, sha = study_stages.plan.jobs, KnownHashes(SEEN)
    bad = {job.name: why for job in jobs if (why := problem(job, sha))}
    sha.save()
    fatal = [f"{name}: {why}" for name, why in bad.items() if not (partial and why.startswith(STALE))]
    if fatal:
        more = f" (and {len(fatal) - 1} more)" if len(fatal) > 1 else ""
        remedy = "run snakemake first, or say --partial" if STALE in fatal[0] else "delete the file to have it rebuilt"
        raise InputError(f"nothing was pinned: {_short(fatal[0])}{more}; {remedy}")
    good = [job for job in jobs if job.name not in bad]
    if not good:
        raise InputError("nothing was pinned: no job is finished; run snakemake first")
    put(Path(study_stages.records), snakemake_plan.records(good))
    put(study_stages.path("pins.json"), study_stages.params())
    table = metrics.table_of(study_stages.plan.results)
    if any(table in job.outputs for job in good):
        put(study_stages.path(metrics.NAME), metrics.text(study_stages.plan.results))
    write_lock(study_stages, good)
    sealed = {
        os.fsencode(os.path.relpath(file, study_stages.plan.results)): sha(file)
        for job in good
        for file in job.manifests
    }
    put(study_stages.path(SEALED), seal.text(sealed))
    return len(good), bad


def write_lock(study_stages: StudyStages, good: Sequence[snakemake_plan.Job]) -> None:
    """Hash with DVC's code, cache what was made, and write dvc.yaml and dvc.lock."""
    from dvc.repo import Repo

    with Repo() as repo, repo.lock:
        store, stages = Store(repo), dict[str, Any]()
        for path in [*(p for job in good for p in job.outputs), study_stages.records]:
            store.entry(path, keep=True)  # before it is met as a dependency
        for job in sorted(good, key=lambda job: study_stages.names[job.name]):
            entry: dict[str, Any] = {"cmd": study_stages.command(job.outputs[0])}
            if job.inputs:
                entry["deps"] = [store.entry(path) for path in job.inputs]
            if job.params:
                entry["params"] = {study_stages.pins: {job.name: job.params}}
            stages[study_stages.names[job.name]] = entry | {"outs": [store.entry(path) for path in job.outputs]}
        recording = study_stages.recording()
        stages[RECORDS] = {
            "cmd": recording["cmd"],
            "deps": [store.entry(path) for path in recording["deps"]],
            "outs": [store.entry(study_stages.records)],
        }
        store.save()
        put(study_stages.path("dvc.yaml"), study_stages.yaml())
        put(study_stages.path("dvc.lock"), dump({"schema": "2.0", "stages": json.loads(json.dumps(stages))}))


class Store:
    """DVC's hashing (with its memory of hashes) and its cache."""

    def __init__(self, repo: Any) -> None:
        from dvc.fs import LocalFileSystem

        self.repo, self.cache, self.files = repo, repo.cache.local, LocalFileSystem()
        self.staging: Any = None  # the first file's, which takes in all others
        self.seen: dict[str, dict[str, Any]] = {}
        self.kept: set[Any] = set()

    def entry(self, path: str, *, keep: bool = False) -> dict[str, Any]:
        """A file as dvc.lock names it; `keep` has it cached by `save`."""
        from dvc_data.hashfile.build import build

        if path not in self.seen:
            result: Any = build(self.cache, os.path.abspath(path), self.files, "md5", ignore=self.repo.dvcignore)
            stage, meta, obj = result
            if keep:
                if self.staging is None:
                    self.staging = stage
                else:  # one staging area, so that one transfer moves everything
                    self.staging._obj_cache.update(stage._obj_cache)
                self.kept.add(obj.hash_info)
            self.seen[path] = {"path": path, "hash": "md5", **obj.hash_info.to_dict(), **meta.to_dict()}
        return self.seen[path]

    def save(self) -> None:
        """Put what was kept into the cache."""
        from dvc_data.hashfile.transfer import transfer

        if self.kept and (failed := transfer(self.staging, self.cache, self.kept, shallow=False).failed):
            raise InputError(
                f"{counted(len(failed), 'file')} could not be cached; look at the disk of .dvc/cache and pin again"
            )


def restore(folder: str = ".") -> tuple[int, list[str], list[str]]:
    """After `dvc pull`: an equal old time for every file that is as pinned, and Snakemake's records back.

    Returns:
        (files as pinned, files that are something else and stay new, files that are missing).

    Raises:
        InputError: there is no dvc.lock, or it or the records are damaged.
    """
    from dvc.repo import Repo

    repository()
    file = Path(folder, "dvc.lock")
    if not file.is_file():
        raise InputError(f"{file}: no such file; name the folder of a pinned study")
    stages = locked_stages(file)
    wanted = {e["path"]: e["md5"] for s in stages.values() for key in ("deps", "outs") for e in s.get(key, [])}
    same, other, missing = 0, [], []
    with Repo() as repo, repo.lock:
        store = Store(repo)
        for path, md5 in sorted(wanted.items()):
            if not inside(path):
                raise InputError(f"{file}: {path} lies outside the repository; this lock is not ours")
            if not os.path.isfile(path):
                missing.append(path)
            elif store.entry(path)["md5"] != md5:
                other.append(path)
            else:
                same += 1
                os.utime(path, (OLD, OLD))
                if os.path.islink(path):
                    os.utime(path, (OLD, OLD), follow_symlinks=False)
    records = stages.get(RECORDS, {"outs": []})["outs"]
    for path in (out["path"] for out in records if out["path"] not in missing):
        try:
            snakemake_plan.remember(Path(path).read_text(encoding="utf-8"))
        except ValueError:
            raise InputError(f"{path}: damaged records; `dvc checkout` brings them back") from None
    return same, other, missing


def inside(path: str) -> bool:
    """Check that a path as spelled stays below the working folder; DVC may have put links to its cache there."""
    return not os.path.isabs(path) and not os.path.normpath(path).startswith("..")


def repository() -> None:
    """Refuse to work where no one asked for DVC.

    Raises:
        InputError: there is no `.dvc`.
    """
    if not Path(".dvc").is_dir():
        raise InputError("no DVC repository; `dvc init` makes one, docs/how-to/dvc.md says what that gives")


def _short(text: str) -> str:
    return text if len(text) < 300 else f"{text[:300]}…"
