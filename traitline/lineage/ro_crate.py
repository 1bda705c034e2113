"""A study as a Provenance Run Crate: every file, what made it, with which settings (https://w3id.org/ro/wfrun/provenance).

The working folder is the crate: `ro-crate-metadata.json` lies at its root and names files where they are. RO-Crate 1.1,
on which version 0.5 of the run profiles builds; the one term that it lacks, sha256, is given inline.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from traitline import atomic
from traitline.errors import InputError
from traitline.lineage.index import manifests
from traitline.provenance import manifest

PROFILE = "https://w3id.org/ro/wfrun/{}/0.5"
WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
LICENCE = "https://spdx.org/licenses/Apache-2.0"
COMPLETED = {"@id": "http://schema.org/CompletedActionStatus"}


def write(folders: Sequence[str | Path], name: str) -> int:
    """Make `ro-crate-metadata.json` from the manifests below some folders; returns how many jobs are in it.

    Raises:
        InputError: rocrate is not installed, a manifest is damaged, or there is none.
    """
    try:
        import rocrate  # noqa: F401
    except ImportError:
        raise InputError("a run crate needs rocrate; pip install 'traitline[export]'") from None
    jobs = [(file, manifest.load(file)) for file in manifests(folders)]
    writer = Writer(name)
    for file, m in jobs:
        writer.add(file, m)
    writer.finish([m for _, m in jobs])
    return len(jobs)


class Writer:
    """A crate that grows by one manifest after the other."""

    def __init__(self, name: str) -> None:
        from rocrate.rocrate import ROCrate

        self.crate = ROCrate(version="1.1")
        root = self.crate.root_dataset
        root["name"], root["description"] = name, "Models and data of the study, each with the job that made it."
        root["license"] = self._entity(LICENCE, kind="CreativeWork", name="Apache-2.0")
        self.crate.metadata.extra_terms["sha256"] = "https://w3id.org/ro/terms/workflow-run#sha256"
        profiles = [
            self._entity(PROFILE.format(p), kind="CreativeWork", name=f"{p} run crate", version="0.5")
            for p in ("process", "workflow", "provenance")
        ]
        profiles.append(self._entity(WORKFLOW_CRATE, kind="CreativeWork", name="Workflow RO-Crate", version="1.0"))
        root["conformsTo"] = profiles
        kinds = ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"]
        self.workflow = self.crate.add_workflow(
            dest_path="Snakefile",
            main=True,
            lang="snakemake",
            gen_cwl=False,
            properties={"@type": kinds, "name": "Snakefile"},
        )
        self.agent = self._entity("#operator", kind="Organization", name="operator")
        self.engine = self._entity("#snakemake", kind="SoftwareApplication", name="Snakemake")
        self.files, self.tools, self.steps = dict[str, Any](), dict[str, Any](), dict[str, Any]()
        self.controls, self.actions = list[Any](), list[Any]()

    def _entity(self, identity: str, **properties: Any) -> Any:
        from rocrate.model.contextentity import ContextEntity

        kind = properties.pop("kind")
        return self.crate.add(ContextEntity(self.crate, identity, {"@type": kind, **properties}))

    def _file(self, entry: dict[str, Any]) -> Any:
        """The file that a manifest's entry names."""
        path = entry["path"]
        if path not in self.files:
            about = {"name": path, "sha256": entry["sha256"], "contentSize": str(entry["bytes"])}
            self.files[path] = (
                self.crate.add_file(dest_path=path, properties=about)
                if _is_inside(path)
                else self._entity(f"#outside-{entry['sha256']}", kind="CreativeWork", **about)
            )
        return self.files[path]

    def _add_stage(self, stage: str) -> None:
        """Add the program of a stage, and its step of the workflow."""
        script = f"scripts/{stage}.py"
        about = {"@type": ["File", "SoftwareSourceCode"], "name": script}
        self.tools[stage] = (
            self.crate.add_file(dest_path=script, properties=about)
            if Path(script).is_file()
            else self._entity(f"#tool-{stage}", kind="SoftwareApplication", name=stage)
        )
        position = str(len(self.steps) + 1)
        self.steps[stage] = self._entity(f"Snakefile#{stage}", kind="HowToStep", name=stage, position=position)
        self.steps[stage]["workExample"] = self.tools[stage]

    def add(self, file: str, m: dict[str, Any]) -> None:
        """Add one job: its program, settings, files, and the step that controlled it."""
        stage, code = m["stage"], m["code"]
        if stage not in self.tools:
            self._add_stage(stage)
        name = f"{stage}: {file}"
        action = self._entity(
            f"#run-{file}", kind="CreateAction", name=name, **_times([m]),
            actionStatus=COMPLETED, description=f"code {code.get('digest')}, git {code.get('git_commit')}",
        )  # fmt: skip
        settings = [
            self._entity(f"#{file}-{key}-{k}", kind="PropertyValue", name=k, value=json.dumps(v))
            for key in ("params", "seeds")
            for k, v in m[key].items()
        ]
        action["instrument"], action["agent"] = self.tools[stage], self.agent
        action["object"] = [*map(self._file, m["inputs"]), *settings]
        action["result"] = list(map(self._file, m["outputs"]))
        control = self._entity(f"#control-{file}", kind="ControlAction", name=f"control of {name}")
        control["instrument"], control["object"] = self.steps[stage], action
        self.controls.append(control)
        self.actions.append(action)

    def finish(self, jobs: Sequence[dict[str, Any]]) -> None:
        """Add the study as a whole, and write the crate."""
        self.workflow["hasPart"], self.workflow["step"] = list(self.tools.values()), list(self.steps.values())
        outputs, inputs = ({e["path"] for m in jobs for e in m[key]} for key in ("outputs", "inputs"))
        times = _times(jobs)
        run = self._entity("#run", kind="CreateAction", name="the study", **times)
        run["instrument"], run["agent"] = self.workflow, self.agent
        if inputs - outputs:
            run["object"] = [self.files[path] for path in sorted(inputs - outputs)]
        run["result"] = [self.files[path] for path in sorted(outputs - inputs)]
        organised = self._entity("#engine-run", kind="OrganizeAction", name="Snakemake's run", **times)
        organised["instrument"], organised["agent"], organised["object"] = self.engine, self.agent, self.controls
        organised["result"] = run
        self.crate.root_dataset["mentions"] = [run, organised, *self.actions]
        text = json.dumps(self.crate.metadata.generate(), indent=4, sort_keys=True)
        atomic.put(Path("ro-crate-metadata.json"), text)


def _times(jobs: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Start of the first of some jobs and end of the last, as far as their manifests hold times."""
    times = {"startTime": [m.get("started") for m in jobs], "endTime": [m.get("ended") for m in jobs]}
    stated = {key: sorted(str(t) for t in values if manifest.is_time(t)) for key, values in times.items()}
    return {key: values[0 if key == "startTime" else -1] for key, values in stated.items() if values}


def _is_inside(path: str) -> bool:
    """Tell whether a path leads to a place below the working folder, which is the crate."""
    return not os.path.isabs(path) and not os.path.normpath(path).startswith("..")
