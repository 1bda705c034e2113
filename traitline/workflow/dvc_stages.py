"""A study as stages of DVC, derived from Snakemake's plan: a table of jobs for each rule.

    {folder}/dvc.yaml, dvc.lock    stages and hashes
    {folder}/metrics.json          headline figures, for `dvc metrics`
    {folder}/pins.json             {stage: {parameter: value}}, so that `dvc params diff` works
    {results}/records.json         Snakemake's records, so that a clone goes on where this one stopped

`traitline.workflow.dvc_pin` fills it.
"""

import json
import posixpath
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from traitline import yaml_files
from traitline.atomic import put
from traitline.errors import InputError
from traitline.plain_files import read_text
from traitline.provenance import manifest
from traitline.workflow import metrics, snakemake_plan
from traitline.workflow.dvc_templates import Template, templates

RECORDS = "records"  # the stage of Snakemake's records, and their file's name
# What YAML takes for text as it stands: something but digits is in it, and no word that means a value.
PLAIN = re.compile(r"(?!0[box])(?=.*[a-df-z/])[a-z0-9_/.][a-z0-9_/.-]{,99}", re.I)
WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n", ".inf", ".nan"}
WIDTH = 80  # of a line, beyond which a value gets a line of its own
BLOCK = "traitline.block."


def dump(whole: dict[str, Any]) -> str:
    """A dvc.lock as DVC writes it, byte for byte.

    Nearly all of it are lists of files, for which DVC's writer takes seconds: they are spelled here, and put where that
    writer has left room for them. Lists with names that want quotes or folding are left to it.
    """
    from dvc.utils.serialize import dumps_yaml

    blocks: list[str] = []

    def shortened(stage: dict[str, Any]) -> dict[str, Any]:
        short = dict(stage)
        for key in ("deps", "outs"):
            lines = [_spelled(item) for item in stage.get(key, ())]
            if lines and None not in lines:
                short[key] = f"{BLOCK}{len(blocks)}"
                blocks.append("".join(map(str, lines)))
        return short

    text = dumps_yaml({**whole, "stages": {name: shortened(stage) for name, stage in whole["stages"].items()}})
    return re.sub(
        rf"^    (deps|outs): {re.escape(BLOCK)}(\d+)\n", lambda m: f"    {m[1]}:\n{blocks[int(m[2])]}", text, flags=re.M
    )


def _spelled(item: Any) -> str | None:
    """An entry of such a list; None where it is not as simple."""
    if isinstance(item, dict) and all(type(v) is int or (isinstance(v, str) and _plain(v)) for v in item.values()):
        return "".join(_pair("      " if i else "    - ", k, str(v)) for i, (k, v) in enumerate(item.items()))
    return None


def _pair(start: str, key: str, value: str) -> str:
    room = "" if len(f"{start}{key}: {value}") <= WIDTH else "\n        "
    return f"{start}{key}: {room}{value}\n"


def _plain(text: str) -> bool:
    return bool(PLAIN.fullmatch(text)) and text.lower() not in WORDS


class Flow(dict[str, Any]):
    """A mapping on one line of dvc.yaml."""


class Dumper(yaml.SafeDumper):
    """Writes dvc.yaml: no aliases, which nobody can read."""

    def ignore_aliases(self, data: Any) -> bool:
        """Refuse to name a part and refer to it."""
        return True


def _text(dumper: Dumper, text: str) -> yaml.ScalarNode:
    """Quote a word that DVC, which reads YAML 1.2, might take for a number."""
    style = "'" if re.fullmatch(r"[-+.\w]+", text) and not _plain(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


Dumper.add_representer(str, _text)
Dumper.add_representer(
    Flow, lambda dumper, pairs: dumper.represent_mapping("tag:yaml.org,2002:map", pairs.items(), flow_style=True)
)


class StudyStages:
    """The derived files of one study."""

    def __init__(self, plan: snakemake_plan.Plan, configfiles: Sequence[str] = ()) -> None:
        self.plan, self.configfiles = plan, [manifest.relative(file) for file in configfiles]
        self.up = posixpath.relpath(".", plan.folder)  # from the folder of dvc.yaml to the repository
        self.records = f"{plan.results}/{RECORDS}.json"
        self.pins = posixpath.normpath(f"{plan.folder}/pins.json")
        self.templates = templates(plan.jobs)
        self.names = {job: name for template in self.templates for job, name in template.names().items()}

    def path(self, name: str) -> Path:
        """A derived file: dvc.yaml, dvc.lock or pins.json."""
        return Path(self.plan.folder, name)

    @property
    def options(self) -> str:
        """Options that give Snakemake and `traitline pin` this configuration."""
        return f"--configfile {' '.join(self.configfiles)} " if self.configfiles else ""

    def command(self, output: str) -> str:
        """The command of a stage, which has Snakemake make one of its outputs."""
        return f"snakemake --cores 1 {self.options}-- {output}"

    def stage(self, template: Template) -> dict[str, Any]:
        """A stage of dvc.yaml: one job, or a table of jobs."""
        parameters = f"{template.jobs[0].rule}-${{key}}" if template.rows else template.name
        body: dict[str, Any] = {"cmd": self.command(template.outputs[0])}
        if self.up != ".":
            body["wdir"] = self.up
        if template.inputs:
            body["deps"] = template.inputs
        if template.jobs[0].params:
            body["params"] = [{self.pins: [parameters]}]
        # Without `persist`, `dvc repro` would delete outputs before it asks Snakemake whether there is anything to do.
        body["outs"] = [{path: Flow(persist=True)} for path in template.outputs]
        if template.rows:
            return {"foreach": {key: Flow(row) for key, row in template.rows.items()}, "do": body}
        return body

    def recording(self) -> dict[str, Any]:
        """The stage of Snakemake's records.

        It depends on the configuration, and its command fails when that was changed behind Snakemake's back: `dvc exp
        run --set-param` would otherwise file old results under new settings.
        """
        body: dict[str, Any] = {"cmd": f"traitline pin --check {self.options}".rstrip()}
        if self.up != ".":
            body["wdir"] = self.up
        return {
            **body,
            "deps": sorted({"config.yaml", *self.configfiles}),
            "outs": [{self.records: Flow(persist=True)}],
        }

    def yaml(self) -> str:
        """Text of dvc.yaml."""
        stages = {template.name: self.stage(template) for template in self.templates} | {RECORDS: self.recording()}
        tables = posixpath.join(posixpath.relpath(self.plan.results, self.plan.folder), "tables")
        effects = {f"{tables}/effects.csv": {"x": "trait", "y": "rate", "template": "bar_horizontal"}}
        whole: dict[str, Any] = {
            "stages": stages,
            "params": [posixpath.join(self.up, "config.yaml")],
            "plots": [effects],
        }
        whole["metrics"] = [metrics.NAME]
        text = yaml.dump(whole, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=10_000)
        return f"# Derived from the Snakefile by `traitline pin`; do not edit.\n{text}"

    def params(self) -> str:
        """Text of pins.json."""
        return json.dumps({j.name: j.params for j in self.plan.jobs if j.params}, indent=1, sort_keys=True) + "\n"


def write_stages(configfiles: Sequence[str] = ()) -> str:
    """Write dvc.yaml alone, stages without hashes; needs no data. Returns its path."""
    study_stages = StudyStages(snakemake_plan.read(configfiles), configfiles)
    file = study_stages.path("dvc.yaml")
    put(file, study_stages.yaml())
    return str(file)


def check(configfiles: Sequence[str] = ()) -> list[str]:
    """List where the derived files are not what the Snakefile and the configuration give; needs no data."""
    study_stages = StudyStages(snakemake_plan.read(configfiles), configfiles)
    wrong = [
        f"{study_stages.path(name)} is not what the Snakefile and the configuration give"
        for name, text in (("dvc.yaml", study_stages.yaml()), ("pins.json", study_stages.params()))
        if not study_stages.path(name).is_file() or study_stages.path(name).read_text(encoding="utf-8") != text
    ]
    file = study_stages.path("dvc.lock")
    pinned = locked_stages(file) if file.is_file() else {}
    return wrong + [f"{name} is not pinned" for name in study_stages.names.values() if name not in pinned]


def locked_stages(file: Path) -> dict[str, Any]:
    """The stages of a dvc.lock.

    Raises:
        InputError: it is damaged, as by a merge conflict.
    """
    from dvc.utils.serialize import YAMLFileCorruptedError, parse_yaml

    text = read_text(file)
    try:
        if yaml_files.bomb(text, most=len(text)):  # DVC's parser looks for none
            raise ValueError
        stages = parse_yaml(text, str(file))["stages"]
        for stage in stages.values():
            for entry in (*stage.get("deps", ()), *stage.get("outs", ())):
                if not (isinstance(entry["path"], str) and isinstance(entry["md5"], str)):
                    raise TypeError
    except (YAMLFileCorruptedError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{file}: damaged, or in conflict; `git checkout` one version, then pin again") from None
    return dict(stages)
