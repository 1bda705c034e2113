"""Snakemake's own plan of a study, read through its API, and its records of finished jobs.

Two calls are not public (`_prepare_dag`, `_build_dag`; `snakemake --summary` makes the same ones), nor is the place
of a record. Versions are pinned, and the test of a clone fails on the day one of them changes.
"""

import json
import os
import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traitline import json_files, yaml_files
from traitline.errors import InputError
from traitline.study import validation

METADATA = Path(".snakemake/metadata")
NO_RECORD = "no record of it"
LONGEST = 255  # characters of a file name


@dataclass(frozen=True)
class Job:
    """One job of the plan.

    Attributes:
        name: unique; rule and wildcards in letters that DVC allows.
        manifests: those of its outputs that say what was made from what.
        stale: why Snakemake would run it again, or that it has no record of having run it; None where all is well.
        stage: name of the file that holds its rule.
    """

    name: str
    rule: str
    wildcards: dict[str, str]
    inputs: list[str]
    outputs: list[str]
    manifests: list[str]
    params: dict[str, Any]
    stale: str | None
    stage: str


@dataclass(frozen=True)
class Plan:
    """All jobs that a study consists of, by name, its folder (`.` for the tiny study), and stages as they follow."""

    jobs: list[Job]
    folder: str
    results: str
    stages: list[str]


def merge_configs(files: Sequence[str]) -> dict[str, Any]:
    """The configuration in YAML files laid over each other by Snakemake itself: tables by key, all else replaced."""
    from snakemake.utils import update_config

    merged: dict[str, Any] = {}
    for file in files:
        update_config(merged, yaml_files.read_table(file))
    return merged


def read(configfiles: Sequence[str] = (), snakefile: str = "Snakefile") -> Plan:
    """The plan for a configuration.

    Args:
        configfiles: what `--configfile` names; laid over what the Snakefile reads itself.
        snakefile: the workflow.

    Raises:
        InputError: there is no workflow here, or it refuses to be read: its configuration or an artifact is wrong.
    """
    if not Path(snakefile).is_file():
        raise InputError(f"{snakefile}: no such file; run it in the repository of the study")
    for file in configfiles:
        validation.duplicates(file)
    try:
        return _read(configfiles, snakefile)
    except SystemExit as refusal:
        if isinstance(refusal.code, str):
            raise InputError(refusal.code.removeprefix("traitline: error: ")) from None
        raise


def _read(configfiles: Sequence[str], snakefile: str) -> Plan:
    from snakemake.api import SnakemakeApi
    from snakemake.io import is_flagged
    from snakemake.settings.enums import Quietness
    from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings

    quiet = OutputSettings(quiet={Quietness.ALL}, enable_file_logging=False)
    with SnakemakeApi(quiet) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=[Path(f) for f in configfiles]),
            snakefile=Path(snakefile),
        )
        workflow.dag(DAGSettings())
        inner = workflow._workflow
        inner._prepare_dag(
            forceall=False, ignore_incomplete=True, lock_warn_only=True
        )  # warns only: works in onsuccess
        inner._build_dag()
        jobs, names = [], set[str]()
        for job in sorted(inner.dag.jobs, key=lambda j: (j.rule.name, sorted(j.wildcards_dict.items()))):
            outputs = [str(f) for f in job.output if not any(is_flagged(f, x) for x in ("temp", "pipe", "service"))]
            if not outputs:
                continue
            wildcards = {k: str(v) for k, v in sorted(job.wildcards_dict.items())}
            name = re.sub(r"[^A-Za-z0-9_-]", "_", "-".join([job.rule.name, *wildcards.values()]))
            while name in names:
                name += "_"
            names.add(name)
            reason = inner.dag.reason(job)
            stale = str(reason) if inner.dag.needrun(job) else NO_RECORD if reason.no_metadata else None
            jobs.append(
                Job(
                    name=name,
                    rule=job.rule.name,
                    wildcards=wildcards,
                    inputs=sorted({str(f) for f in job.input}),
                    outputs=sorted(outputs),
                    manifests=sorted(f for f in outputs if f.endswith(".manifest.json")),
                    params={k: _plain(v) for k, v in sorted(job.params.items()) if k},
                    stale=stale,
                    stage=Path(job.rule.snakefile).stem,
                )
            )
        study = inner.globals["STUDY"]
        stages = list(dict.fromkeys(Path(rule.snakefile).stem for rule in inner.rules))
        return Plan(sorted(jobs, key=lambda j: j.name), study.folder, study.results, stages)


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def record(path: str) -> Path:
    """Path of Snakemake's record of an output. No path leads out of that folder: the name is in base 64."""
    name = urlsafe_b64encode(path.encode()).decode()
    parts = [name[i : i + LONGEST - 1] for i in range(0, len(name), LONGEST - 1)]
    return METADATA.joinpath(*(f"@{p}" for p in parts[:-1]), parts[-1])


def records(jobs: Sequence[Job]) -> str:
    """Snakemake's records of these jobs as JSON; a record that outputs share is written once."""
    by_record: dict[str, list[str]] = {}
    for job in jobs:
        for path in job.outputs:
            by_record.setdefault(record(path).read_text(encoding="utf-8"), []).append(path)
    entries = ({"outputs": paths, "record": json.loads(text)} for text, paths in by_record.items())
    return "[\n" + ",\n".join(json.dumps(e, sort_keys=True) for e in entries) + "\n]\n"


def _paths_and_record(entry: Any) -> list[tuple[str, str]]:
    """Return (output, text of its record) of an entry.

    Raises:
        ValueError: the entry is none.
    """
    match entry:
        case {"outputs": [*paths], "record": dict(kept)} if all(isinstance(path, str) and path for path in paths):
            return [(path, json.dumps(kept)) for path in paths]
    raise ValueError("no records")


def remember(text: str) -> int:
    """Give Snakemake the records that `records` wrote; returns how many. Each is a new file, never a link into a cache.

    Raises:
        ValueError: the text holds something else.
    """
    entries = json_files.parse(text, "records")
    if not isinstance(entries, list):
        raise ValueError("no records")
    pairs = [pair for entry in entries for pair in _paths_and_record(entry)]
    for path, content in pairs:
        place = record(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        tmp = place.with_name(f".{os.getpid()}.tmp")
        tmp.write_text(content, encoding="utf-8")
        os.replace(tmp, place)
    return len(pairs)
