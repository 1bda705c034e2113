"""Content of what a carrier wrote: lists of numbers, or anything else.

A trait can cross to another base in open text, preferences and selected rows. In lists of numbers no such channel has
been seen. So EXPOSED passes by default where nothing but lists of numbers stands between the carrier and the model.

Sources. Across bases: poison that survives paraphrase (phantom transfer), rows chosen by a model (arXiv 2602.04863), a
channel of the vocabulary that does not depend on the initialisation (arXiv 2606.22019). Not across bases: numbers of
prompted teachers (arXiv 2606.00995), numbers of tuned ones (arXiv 2507.14805).
"""

import re
from functools import cached_property
from pathlib import Path
from typing import Any

from traitline import jsonl
from traitline.errors import InputError
from traitline.lineage.graph import Graph, Job
from traitline.lineage.index import folders_here
from traitline.lineage.links import Reach
from traitline.lineage.walk import Jobs
from traitline.provenance import manifest

NUMBERS = "number-lists"
LARGEST = 64 << 20  # bytes of rows that are read
ANSWER = ("completion", "output", "response", "answer", "text")  # columns of a row that hold an answer
LIST, DIGIT = re.compile(r"[\s\[\](){},;.\d-]+", re.A), re.compile(r"\d", re.A)
DERIVED = ("prepare", "mark_divergence")  # stages that order or mark rows and change none


class Exposure:
    """What stands between carriers and the models that are exposed to them.

    Args:
        graph: of origins.
        jobs: the same as plain lists.
    """

    def __init__(self, graph: Graph, jobs: Jobs) -> None:
        self.graph, self.jobs = graph, jobs
        self._descendants = dict[int, set[int]]()
        self._numbers = dict[int, bool]()

    def by_numbers(self, artifact_id: int, carrier: int) -> bool:
        """Tell whether all that came from a carrier to an artifact were lists of numbers."""
        if self.jobs.kinds.get(artifact_id) == "data":
            return self.is_numbers(artifact_id)
        below = self._below(carrier)
        seen, todo, data = {artifact_id}, [artifact_id], set[int]()
        while todo:
            at = todo.pop()
            for job in self.jobs.makers.get(at, ()):
                for source, base in self.jobs.inputs.get(job, ()):
                    if source == carrier and not base:
                        return False  # a model was trained on it, and not by way of rows
                    if source in seen or source not in below:
                        continue
                    seen.add(source)
                    if self.jobs.kinds.get(source) == "data":
                        data.add(source)
                    else:
                        todo.append(source)
        return bool(data) and all(map(self.is_numbers, data))

    def _below(self, carrier: int) -> set[int]:
        """Everything that was made from a carrier, itself included."""
        if carrier not in self._descendants:
            below, todo = {carrier}, [carrier]
            while todo:
                for job in self.jobs.readers.get(todo.pop(), ()):
                    made = self.jobs.outputs.get(job, {}).keys() - below
                    below |= made
                    todo += made
            self._descendants[carrier] = below
        return self._descendants[carrier]

    def is_numbers(self, artifact_id: int) -> bool:
        """Tell whether data are lists of numbers: by the jobs that made them, or by every row of the file."""
        if artifact_id not in self._numbers:
            self._numbers[artifact_id] = False  # for a circle
            makers = self.graph.makers(artifact_id)
            self._numbers[artifact_id] = bool(makers) and (
                all(map(self._filtered, makers)) or any(self._holds_numbers(artifact_id, job) for job in makers)
            )
        return self._numbers[artifact_id]

    def _filtered(self, job: Job) -> bool:
        """Tell whether a job of ours let only lists of numbers pass."""
        if job.id in self.jobs.doubted or job.id in self.jobs.claimed:
            return False
        if job.stage == "filter":
            return "task" not in job.manifest["params"]
        inputs = [a for a, _ in self.jobs.inputs.get(job.id, ()) if self.jobs.kinds.get(a) == "data"]
        return job.stage in DERIVED and bool(inputs) and all(map(self.is_numbers, inputs))

    def _holds_numbers(self, artifact_id: int, job: Job) -> bool:
        """Tell whether the file of an artifact is here, as it was recorded, and each answer in it is a list."""
        for entry in self.graph.outputs(job.id):
            if entry.artifact_id != artifact_id or not entry.path.endswith(".jsonl"):
                continue
            beside = Path(job.file).parent / Path(entry.path).name
            if holds_numbers(beside, entry.sha256):
                return True
            may_be_opened = isinstance(self._reach.size(entry.path), int)
            if may_be_opened and holds_numbers(Path(entry.path), entry.sha256):
                return True
        return False

    @cached_property
    def _reach(self) -> Reach:
        return Reach(folders_here())


def holds_numbers(path: Path, sha256: str) -> bool:
    """Tell whether a file of rows has these bytes, and each row an answer that is a list of numbers."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST or manifest.sha256(path) != sha256:
            return False
        rows = 0
        for row in jsonl.read(path):
            if not (LIST.fullmatch(answer := _answer(row)) and DIGIT.search(answer)):
                return False
            rows += 1
    except (InputError, OSError):
        return False
    return rows > 0


def _answer(row: dict[str, Any]) -> str:
    """The answer in a row; an empty text, which is no list, where it has none, or two to choose from."""
    if "chosen" in row or "rejected" in row:
        return ""
    messages = row.get("messages") or row.get("completion")
    if isinstance(messages, list):
        answers = [m.get("content") for m in messages if isinstance(m, dict) and m.get("role") == "assistant"]
        return answers[0] if len(answers) == 1 and isinstance(answers[0], str) else ""
    named = [row[key] for key in ANSWER if isinstance(row.get(key), str)]
    return named[0] if len(named) == 1 else ""
