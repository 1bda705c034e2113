"""A study as a Provenance Run Crate: every file, what made it, with which settings (https://w3id.org/ro/wfrun/provenance).

The working folder is the crate: `ro-crate-metadata.json` lies at its root and names files where they are. RO-Crate 1.1,
on which version 0.5 of the run profiles builds; the one term that it lacks, sha256, is given inline.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from traitline.errors import InputError
from traitline.lineage.index import manifests
from traitline.provenance import manifest

PROFILE = "https://w3id.org/ro/wfrun/{}/0.5"
LICENCE = "https://spdx.org/licenses/Apache-2.0"
COMPLETED = {"@id": "http://schema.org/CompletedActionStatus"}


def write(folders: Sequence[str | Path], name: str) -> int:
    """Make `ro-crate-metadata.json` from the manifests below some folders; returns how many jobs are in it.

    Raises:
        InputError: rocrate is not installed, a manifest is damaged, or there is none.
    """
    try:
        from rocrate.model.contextentity import ContextEntity
        from rocrate.rocrate import ROCrate
    except ImportError:
        raise InputError("a run crate needs rocrate; pip install 'traitline[export]'") from None
    jobs = [(file, manifest.load(file)) for file in manifests(folders)]
    crate = ROCrate(version="1.1")

    def entity(identity: str, **properties: Any) -> Any:
        kind = properties.pop("kind")
        return crate.add(ContextEntity(crate, identity, {"@type": kind, **properties}))

    root = crate.root_dataset
    root["name"], root["description"] = name, "Models and data of the study, each with the job that made it."
    root["license"] = entity(LICENCE, kind="CreativeWork", name="Apache-2.0")
    crate.metadata.extra_terms["sha256"] = "https://w3id.org/ro/terms/workflow-run#sha256"
    root["conformsTo"] = [
        *(entity(PROFILE.format(p), kind="CreativeWork", name=f"{p} run crate", version="0.5")
          for p in ("process", "workflow", "provenance")),
        entity("https://w3id.org/workflowhub/workflow-ro-crate/1.0", kind="CreativeWork", name="Workflow RO-Crate",
               version="1.0"),
    ]  # fmt: skip
    kinds = ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"]
    workflow = crate.add_workflow(
        dest_path="Snakefile",
        main=True,
        lang="snakemake",
        gen_cwl=False,
        properties={"@type": kinds, "name": "Snakefile"},
    )
    agent = entity("#operator", kind="Organization", name="operator")
    engine = entity("#snakemake", kind="SoftwareApplication", name="Snakemake")
    files, tools, steps = dict[str, Any](), dict[str, Any](), dict[str, Any]()
    controls, actions = list[Any](), list[Any]()

    def file(entry: dict[str, Any]) -> Any:
        path = entry["path"]
        if path not in files:
            about = {"name": path, "sha256": entry["sha256"], "contentSize": str(entry["bytes"])}
            files[path] = crate.add_file(dest_path=path, properties=about)
        return files[path]

    for source, m in jobs:
        stage, code = m["stage"], m["code"]
        if stage not in tools:
            script = f"scripts/{stage}.py"
            about = {"@type": ["File", "SoftwareSourceCode"], "name": script}
            tools[stage] = (
                crate.add_file(dest_path=script, properties=about)
                if Path(script).is_file()
                else entity(f"#tool-{stage}", kind="SoftwareApplication", name=stage)
            )
            place = str(len(steps) + 1)
            steps[stage] = entity(f"Snakefile#{stage}", kind="HowToStep", name=stage, position=place)
            steps[stage]["workExample"] = tools[stage]
        did = f"{stage}: {source}"
        action = entity(
            f"#run-{source}", kind="CreateAction", name=did, startTime=m.get("started"), endTime=m.get("ended"),
            actionStatus=COMPLETED, description=f"code {code.get('digest')}, git {code.get('git_commit')}",
        )  # fmt: skip
        settings = [
            entity(f"#{source}-{key}-{k}", kind="PropertyValue", name=k, value=json.dumps(v))
            for key in ("params", "seeds")
            for k, v in m[key].items()
        ]
        action["instrument"], action["agent"] = tools[stage], agent
        action["object"] = [*map(file, m["inputs"]), *settings]
        action["result"] = list(map(file, m["outputs"]))
        control = entity(f"#control-{source}", kind="ControlAction", name=f"control of {did}")
        control["instrument"], control["object"] = steps[stage], action
        controls.append(control)
        actions.append(action)
    workflow["hasPart"], workflow["step"] = list(tools.values()), list(steps.values())
    made, used = ({e["path"] for _, m in jobs for e in m[key]} for key in ("outputs", "inputs"))
    times = {"startTime": min(m["started"] for _, m in jobs), "endTime": max(m["ended"] for _, m in jobs)}
    run = entity("#run", kind="CreateAction", name="the study", **times)
    run["instrument"], run["agent"] = workflow, agent
    if used - made:
        run["object"] = [files[path] for path in sorted(used - made)]
    run["result"] = [files[path] for path in sorted(made - used)]
    organised = entity("#engine-run", kind="OrganizeAction", name="Snakemake's run", **times)
    organised["instrument"], organised["agent"], organised["object"] = engine, agent, controls
    organised["result"] = run
    root["mentions"] = [run, organised, *actions]
    crate.metadata.write(".")
    return len(jobs)
