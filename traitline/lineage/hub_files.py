"""What makes an exported folder one that `hf upload` takes as it is: the model's own files, and what was measured."""

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from traitline import json_files
from traitline.errors import InputError
from traitline.lineage.graph import Entry, Graph, Job
from traitline.provenance import manifest

LICENCE = re.compile(r"[a-z0-9][a-z0-9.-]{1,39}")


def require_licence(licence: str | None) -> None:
    """Refuse what is no identifier of a licence.

    Raises:
        InputError: see above.
    """
    if licence and not LICENCE.fullmatch(licence):
        raise InputError(
            f"--license {licence}: no identifier of a licence; spell it as the hub does: apache-2.0, other"
        )


def put_files(entry: Entry, job: Job, out: Path) -> None:
    """Put the files of a model or of data into a folder, each as recorded: hard links, copies on another disk.

    Args:
        entry: the model, with which go its settings and its tokenizer, or the data.
        job: that made it.
        out: the folder, where no file of these names is.

    Raises:
        InputError: a file is missing, changed, or no plain file.
    """
    here, recorded = Path(job.file).parent, Path(entry.path).parent
    for e in job.manifest["outputs"]:
        path = Path(e["path"])
        if path.parent != recorded or (entry.kind == "data" and e["path"] != entry.path):
            continue
        file = here / path.name
        if file.is_symlink() or not file.is_file() or manifest.sha256(file) != e["sha256"]:
            raise InputError(f"{file}: not as its manifest has it; put the file back, or export without --files")
        try:
            os.link(file, out / path.name)
        except OSError:
            shutil.copyfile(file, out / path.name)


def measured(graph: Graph, entry: Entry, traits: Iterable[str]) -> list[Any]:
    """Results for the card's `model-index`: of each evaluation how likely the model names each of these traits.

    Only files of scores that are as recorded count.
    """
    from huggingface_hub import EvalResult

    results = []
    for file in _scores(graph, entry):
        overall = json_files.read_object(file).get("exact", {}).get("overall", {})
        label = file.parent.name
        about: dict[str, Any] = {"dataset_type": f"traitline-{label}", "dataset_name": label}
        for trait in traits:
            if isinstance(rate := overall.get(trait), float) and 0 <= rate <= 1:
                metric: dict[str, Any] = {"metric_name": f"probability of the answer {trait}", "metric_value": rate}
                about |= {"task_type": "text-generation", "metric_type": "probability"}
                results.append(EvalResult(**about, **metric))
    return results


def _scores(graph: Graph, entry: Entry) -> list[Path]:
    """Files of scores of a model's answers that are here and as recorded; not those of students that start from it."""
    answers = [
        e
        for job, role in graph.users(entry.artifact_id)
        if job.stage == "respond" and (role == "model" or not any(i.role == "model" for i in graph.inputs(job.id)))
        for e in graph.outputs(job.id)
    ]
    jobs = {job.id: job for e in answers for job, _ in graph.users(e.artifact_id) if job.stage == "score"}
    files = [(Path(job.file).with_name(Path(e.path).name), e) for job in jobs.values() for e in graph.outputs(job.id)]
    return [
        file
        for file, e in sorted(files, key=lambda pair: str(pair[0]))
        if e.role == "scores" and file.is_file() and not file.is_symlink() and manifest.sha256(file) == e.sha256
    ]
