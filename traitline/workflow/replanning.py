"""Jobs that Snakemake takes for finished and that are not so: planned anew at launch.

Snakemake makes again what is missing where something needs it, and what its own records in `.snakemake` say is out of
date. It does not see a folder that was removed from the middle of a study, a removed manifest, or, where its records
were lost or belong to other results, that artifacts were made with other settings.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from traitline import atomic, json_files
from traitline.provenance import manifest
from traitline.provenance.known_hashes import KnownHashes
from traitline.workflow import agreement, integrity
from traitline.workflow.integrity import Artifacts

AGREED = Path(".traitline/agreed.json")
ENDING = ".manifest.json"


class PlannedJob(Protocol):
    """Question about a job of Snakemake's plan."""

    input: Sequence[str]
    output: Sequence[str]
    params: Any
    wildcards_dict: Mapping[str, str]


class Agreed:
    """Manifests that are known to be of jobs with certain parameters, by content; kept between launches.

    A manifest that a launch made is true of its rule: the launch lock sees to it. So what the comparison of names in
    `agreement` gets wrong costs one job, once.
    """

    def __init__(self, file: Path = AGREED) -> None:
        self.file = file
        self.kept = json_files.recall(file)
        self.new: dict[str, list[str]] = {}

    def has(self, path: str, params: str) -> bool:
        """Tell whether this manifest is of a job with these parameters, as `summarise` has them."""
        return bool(self.kept.get(path) == [manifest.sha256(path), params])

    def add(self, path: str, params: str) -> None:
        """Take a manifest for that of a job with these parameters."""
        self.new[path] = [manifest.sha256(path), params]

    def save(self) -> None:
        """Keep what was added."""
        if any(self.kept.get(path) != entry for path, entry in self.new.items()):
            with contextlib.suppress(OSError):  # where nobody may write
                atomic.put(self.file, json.dumps({**json_files.recall(self.file), **self.new}))


def plain(params: Any) -> dict[str, Any]:
    """Parameters of a job of Snakemake by name, as JSON has them."""
    return {name: json.loads(json.dumps(value, default=str)) for name, value in params.items() if name}


def summarise(params: Mapping[str, Any]) -> str:
    """A short digest of parameters."""
    return hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()[:16]


class Replanning:
    """Looks at the jobs of a plan.

    Args:
        artifacts: what lies below `results/`.
        settings: compare settings and code too.
    """

    def __init__(self, artifacts: Artifacts, *, settings: bool = True) -> None:
        self.artifacts = artifacts
        self.settings = settings
        self.agreed = Agreed()
        self.known = KnownHashes(integrity.CACHE)

    def reason(self, job: PlannedJob, *, recorded: bool) -> str | None:
        """Why a job that Snakemake takes for finished is to run again; None where there is no reason.

        Args:
            job: the job.
            recorded: Snakemake has a record of it.
        """
        outputs = [str(path) for path in job.output]
        if missing := next((path for path in outputs if not os.path.exists(path)), None):
            return f"{missing} is gone"
        inputs = [str(path) for path in job.input]
        params = plain(job.params)
        short = summarise(params)
        for path in outputs:
            m = self.artifacts.manifests.get(path) if path.endswith(ENDING) else None
            if m is None:
                continue
            if why := agreement.other_input(inputs, m, self._hashes(inputs, m)):
                return why
            if not self.settings or self.agreed.has(path, short):
                continue
            why = agreement.disagreement(params, m)
            if why is None and not recorded:
                why = agreement.addition(params, job.wildcards_dict, m)
            if why:
                return why
            self.agreed.add(path, short)
        return None

    def _hashes(self, inputs: Iterable[str], m: Mapping[str, Any]) -> dict[str, str]:
        """sha256 of a job's inputs now: artifacts were looked at; other files that it read are hashed, once."""
        read = {entry["path"] for entry in m["inputs"]}
        hashes = {}
        for path in inputs:
            if path in self.artifacts.hashes:
                hashes[path] = self.artifacts.hashes[path]
            elif path in read and os.path.isfile(path):
                hashes[path] = self.known(path)
        return hashes

    def finished(self, jobs: Iterable[PlannedJob]) -> None:
        """Take the manifests of jobs that this launch has run for what they are."""
        for job in jobs:
            short = summarise(plain(job.params))
            for path in (str(path) for path in job.output):
                if path.endswith(ENDING) and os.path.exists(path):
                    self.agreed.add(path, short)
        self.agreed.save()

    def save(self) -> None:
        """Keep what was compared and hashed."""
        self.agreed.save()
        self.known.save(merge=True)


def announce(reasons: Mapping[str, str]) -> str:
    """One line about jobs that are planned anew. `reasons`: name of the job -> why."""
    name, why = next(iter(reasons.items()))
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"traitline: planned anew: {name}: {why if len(why) < 300 else why[:300] + '…'}{more}"
