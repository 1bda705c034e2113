"""The DVC ledger of a study, derived from Snakemake's plan: one DVC stage per job, byte for byte what DVC would write.

    {folder}/dvc.yaml, dvc.lock    stages and hashes
    {folder}/pins.json             {stage: {parameter: value}}, so that `dvc params diff` works
    {results}/records.json         Snakemake's records, so that a clone goes on where this one stopped

`traitline.pin` fills it.
"""

import json
import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from traitline import dag, manifest

RECORDS = "records"  # the stage of Snakemake's records, and their file's name


class Ledger:
    """The derived files of one study."""

    def __init__(self, plan: dag.Plan, configfiles: Sequence[str] = ()) -> None:
        self.plan, self.configfiles = plan, [manifest.relative(file) for file in configfiles]
        self.up = posixpath.relpath(".", plan.folder)  # from the ledger's folder to the repository
        self.records = f"{plan.results}/{RECORDS}.json"

    def path(self, name: str) -> Path:
        """A file of the ledger."""
        return Path(self.plan.folder, name)

    @property
    def options(self) -> str:
        """How Snakemake and `traitline pin` get this configuration."""
        return f"--configfile {' '.join(self.configfiles)} " if self.configfiles else ""

    def stage(self, job: dag.Job) -> dict[str, Any]:
        """A job in dvc.yaml."""
        made: dict[str, Any] = {"cmd": f"snakemake --cores 1 {self.options}-- {job.outputs[0]}"}
        if self.up != ".":
            made["wdir"] = self.up
        if job.inputs:
            made["deps"] = job.inputs
        if job.params:
            made["params"] = [{posixpath.normpath(f"{self.plan.folder}/pins.json"): [job.name]}]
        # Without `persist`, `dvc repro` would delete outputs before it asks Snakemake whether there is anything to do.
        made["outs"] = [{path: {"persist": True}} for path in job.outputs]
        return {**made, "meta": {"rule": job.rule, "wildcards": job.wildcards}}

    def recording(self) -> dict[str, Any]:
        """The stage of Snakemake's records.

        It depends on the configuration, and its command fails when that was changed behind Snakemake's back: `dvc exp
        run --set-param` would otherwise file old results under new settings.
        """
        made: dict[str, Any] = {"cmd": f"traitline pin --check {self.options}".rstrip()}
        if self.up != ".":
            made["wdir"] = self.up
        return {**made, "deps": sorted({"config.yaml", *self.configfiles}), "outs": [{self.records: {"persist": True}}]}

    def yaml(self) -> str:
        """dvc.yaml."""
        from dvc.utils.serialize import dumps_yaml

        stages = {job.name: self.stage(job) for job in self.plan.jobs} | {RECORDS: self.recording()}
        tables = posixpath.join(posixpath.relpath(self.plan.results, self.plan.folder), "tables")
        effects = {f"{tables}/effects.csv": {"x": "trait", "y": "rate", "template": "bar_horizontal"}}
        whole = {"stages": stages, "params": [posixpath.join(self.up, "config.yaml")], "plots": [effects]}
        return f"# Derived from the Snakefile by `traitline pin`; do not edit.\n{dumps_yaml(whole)}"

    def params(self) -> str:
        """pins.json."""
        return json.dumps({j.name: j.params for j in self.plan.jobs if j.params}, indent=1, sort_keys=True) + "\n"


def check(configfiles: Sequence[str] = ()) -> list[str]:
    """Where the ledger is not what the Snakefile and the configuration give; needs no data."""
    from dvc.utils.serialize import loads_yaml

    ledger = Ledger(dag.read(configfiles), configfiles)
    wrong = [
        f"{ledger.path(name)} is not what the Snakefile and the configuration give"
        for name, text in (("dvc.yaml", ledger.yaml()), ("pins.json", ledger.params()))
        if not ledger.path(name).is_file() or ledger.path(name).read_text(encoding="utf-8") != text
    ]
    file = ledger.path("dvc.lock")
    pinned = loads_yaml(file.read_text(encoding="utf-8"))["stages"] if file.is_file() else {}
    return wrong + [f"{job.name} is not pinned" for job in ledger.plan.jobs if job.name not in pinned]
