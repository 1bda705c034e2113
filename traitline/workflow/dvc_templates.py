"""Jobs of one rule as one `foreach` stage of DVC: a table of values, a row a job, and a template in which they fit.

DVC then calls a job `rule@key`. Jobs are put into one template only if it gives back each job's paths exactly.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from traitline.workflow.snakemake_plan import Job

PART = re.compile(r"[^/]+|/")  # of a path
SPECIAL = "${"  # starts an expression in DVC's templates


@dataclass(frozen=True)
class Template:
    """A stage of dvc.yaml.

    Attributes:
        name: of the stage.
        jobs: those it stands for.
        inputs, outputs: paths, with `${item.NAME}` where the jobs differ.
        rows: key of a job -> NAME -> value; empty where the stage is one job.
    """

    name: str
    jobs: list[Job]
    inputs: list[str]
    outputs: list[str]
    rows: dict[str, dict[str, str]]

    def names(self) -> dict[str, str]:
        """Name of a job -> its name in dvc.lock."""
        if not self.rows:
            return {job.name: self.name for job in self.jobs}
        return {job.name: f"{self.name}@{key(job)}" for job in self.jobs}


def key(job: Job) -> str:
    """Key of a job among those of its rule: its wildcards, in letters that DVC allows."""
    return job.name.removeprefix(f"{job.rule}-")


def templates(jobs: Sequence[Job]) -> list[Template]:
    """Stages for all jobs, in the order of their names. Jobs of one rule whose paths have one shape share a stage."""
    groups = defaultdict[tuple[object, ...], list[Job]](list)
    for job in jobs:
        groups[job.rule, *map(_shape, (job.inputs, job.outputs))].append(job)
    taken = {job.name for job in jobs}
    stages = []
    for group in groups.values():
        if len(group) == 1 or any(SPECIAL in path for job in group for path in (*job.inputs, *job.outputs)):
            stages += [Template(job.name, [job], job.inputs, job.outputs, {}) for job in group]
            continue
        name = group[0].rule
        while name in taken:
            name += "_"
        taken.add(name)
        stages.append(_template(name, group))
    return sorted(stages, key=lambda template: template.name)


def _shape(paths: Iterable[str]) -> tuple[int, ...]:
    """Number of parts of each path."""
    return tuple(len(PART.findall(path)) for path in paths)


def _template(name: str, jobs: list[Job]) -> Template:
    """Name the parts in which the jobs' paths differ: after the wildcard that has these values, or by a number."""
    columns = {tuple(job.wildcards.get(w, "") for job in jobs): w for w in reversed(jobs[0].wildcards)}
    used = dict[tuple[str, ...], str]()

    def part(values: tuple[str, ...]) -> str:
        if len(set(values)) == 1:
            return values[0]
        used.setdefault(values, columns.get(values) or f"part{len(used) + 1}")
        return f"${{item.{used[values]}}}"

    def paths(lists: list[list[str]]) -> list[str]:
        return [
            "".join(part(values) for values in zip(*(PART.findall(path) for path in same), strict=True))
            for same in zip(*lists, strict=True)
        ]

    outputs, inputs = paths([job.outputs for job in jobs]), paths([job.inputs for job in jobs])
    rows = {key(job): {label: values[i] for values, label in used.items()} for i, job in enumerate(jobs)}
    return Template(name, jobs, inputs, outputs, rows)
