"""The graph of origins: artifacts joined by the hash of their bytes, never by their paths.

An artifact is known by a number, its `artifact_id`: files of equal bytes share it, and so do model files of equal
weights. Where several jobs made the same bytes, all of them count as origins. Loops (a forged manifest can
close one) end walks.
"""

import re
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from traitline.errors import InputError
from traitline.lineage.folders import contents
from traitline.provenance import manifest
from traitline.provenance.weight_sets import WeightSet

SHOWN = 3
TOGETHER = 1000  # artifacts whose names are looked up together
HASH = re.compile(r"(sha256:)?[0-9a-f]{4,64}", re.I | re.A)  # or the first digits of one


@dataclass(frozen=True)
class Entry:
    """A file that a job read or wrote."""

    role: str
    kind: str
    path: str
    sha256: str
    artifact_id: int


@dataclass(frozen=True)
class Job:
    """One manifest: `trait` is what its product carries, `origin` where a source says it comes from."""

    id: int
    file: str
    stage: str
    trait: str | None
    origin: str | None

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The manifest itself, read when it is wanted."""
        return manifest.load(self.file)


@dataclass(frozen=True)
class Unplaced:
    """A file, or a set of weights, that no manifest places: its hash where it was read, and why not."""

    path: str
    sha256: str | None
    reason: str


@dataclass(frozen=True)
class Located:
    """Meaning of a name: artifacts that manifests know, and files beside them that none knows.

    Attributes:
        entries: the artifacts.
        unplaced: files and sets of files.
        names: artifact -> the file or set of files that it was found as.
    """

    entries: list[Entry]
    unplaced: list[Unplaced]
    names: dict[int, str]


class Graph:
    """Questions to an index (`traitline.lineage.index`)."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self._jobs = dict[int, Job]()

    def job(self, i: int) -> Job:
        """A job by number."""
        if i not in self._jobs:
            row = self.db.execute("SELECT id, file, stage, trait, origin FROM job WHERE id = ?", (i,)).fetchone()
            self._jobs[i] = Job(*row)
        return self._jobs[i]

    def files(self) -> list[tuple[int, str]]:
        """(job, its manifest) of all jobs."""
        return list(self.db.execute("SELECT id, file FROM job"))

    def makers(self, artifact_id: int) -> list[Job]:
        """List the jobs that made these bytes, or these weights."""
        rows = self.db.execute(
            "SELECT DISTINCT job FROM entry WHERE artifact_id = ? AND output = 1 ORDER BY job", (artifact_id,)
        )
        return [self.job(i) for (i,) in rows]

    def users(self, artifact_id: int) -> list[tuple[Job, str]]:
        """(job, role) of all that read an artifact; support is left out."""
        rows = self.db.execute(
            "SELECT DISTINCT job, role FROM entry WHERE artifact_id = ? AND output = 0 AND kind != 'support'"
            " ORDER BY job",
            (artifact_id,),
        )
        return [(self.job(i), role) for i, role in rows]

    def outside(self, artifact_id: int) -> str | None:
        """Origin of a file that no job made, as stated by a job that read it as `source`; else None."""
        row = self.db.execute(
            "SELECT job.origin FROM entry JOIN job ON job.id = entry.job"
            " WHERE entry.artifact_id = ? AND output = 0 AND role = 'source' AND origin IS NOT NULL LIMIT 1",
            (artifact_id,),
        ).fetchone()
        return None if row is None or self.makers(artifact_id) else str(row[0])

    def _entries(self, job: int, output: int) -> list[Entry]:
        rows = self.db.execute(
            "SELECT e.role, e.kind, e.path, c.sha256, e.artifact_id FROM entry e JOIN content c ON c.id = e.content"
            " WHERE e.job = ? AND e.output = ? AND e.kind != 'support' ORDER BY e.rowid",
            (job, output),
        )
        return [Entry(*row) for row in rows]

    def inputs(self, job: int) -> list[Entry]:
        """List what a job read, without support files."""
        return self._entries(job, 0)

    def outputs(self, job: int) -> list[Entry]:
        """List what a job wrote, without support files."""
        return self._entries(job, 1)

    def entry(self, artifact_id: int) -> Entry:
        """A name for an artifact: as its first maker called it, or else as its first reader did."""
        row = self.db.execute(
            "SELECT e.role, e.kind, e.path, c.sha256, e.artifact_id FROM entry e JOIN content c ON c.id = e.content"
            " WHERE e.artifact_id = ? ORDER BY e.output DESC, e.rowid LIMIT 1",
            (artifact_id,),
        ).fetchone()
        return Entry(*row)

    def entries(self, artifacts: Collection[int]) -> Mapping[int, Entry]:
        """Names of artifacts; many are looked up together."""
        if len(artifacts) < TOGETHER:
            return {artifact_id: self.entry(artifact_id) for artifact_id in artifacts}
        rows = self.db.execute(
            "SELECT e.role, e.kind, e.path, c.sha256, e.artifact_id FROM entry e JOIN content c ON c.id = e.content"
            " ORDER BY e.output, e.rowid DESC"
        )
        named = {row[4]: row for row in rows}  # the last one is the one that `entry` would name
        return {artifact_id: Entry(*named[artifact_id]) for artifact_id in artifacts}

    def back(self, artifact_id: int, role: str | None = None) -> Iterator[int]:
        """All ancestors of an artifact, nearest first; `role` limits which inputs are followed."""
        seen, todo = {artifact_id}, [artifact_id]
        for at in todo:
            for job in self.makers(at):
                for e in self.inputs(job.id):
                    if e.artifact_id not in seen and role in (None, e.role):
                        seen.add(e.artifact_id)
                        todo.append(e.artifact_id)
                        yield e.artifact_id

    # Finding an artifact

    def find(self, what: str) -> Entry:
        """The one artifact that is meant by a file, a folder, a hash prefix or a recorded path.

        Raises:
            InputError: nothing, or more than one thing, answers to it; or part of it is known to no manifest.
        """
        located = self.locate(what)
        if located.unplaced:
            raise InputError(f"{located.unplaced[0].path}: {located.unplaced[0].reason}")
        if len(located.entries) > 1:
            names = ", ".join(sorted(PurePath(e.path).name for e in located.entries)[:SHOWN])
            raise InputError(f"{what}: holds {len(located.entries)} artifacts ({names}); name one of them by its file")
        return located.entries[0]

    def locate(self, what: str) -> Located:
        """Find everything that is meant: of a folder all weights in it, or where it has none, all data.

        Raises:
            InputError: no manifest knows anything of it, or a hash is of more than one artifact.
        """
        path = Path(what)
        if not path.exists():
            return Located([self.by_hash(what) if HASH.fullmatch(what) else self._by_path(what)], [], {})
        sets = contents(path) if path.is_dir() else [WeightSet(path.name, (path,))]
        entries, unplaced, names = dict[int, Entry](), list[Unplaced](), dict[int, str]()
        for weight_set in [*sets, *self._disguised(path, sets)]:
            label = weight_set.label(path)
            known, strange = self._place(weight_set, label)
            entries |= {entry.artifact_id: entry for entry in known}
            names = {entry.artifact_id: label for entry in known} | names
            unplaced += strange
        if not entries:
            raise InputError(f"{what}: no manifest knows these bytes; say where they come from: `traitline register`")
        return Located(list(entries.values()), unplaced, names)

    def _disguised(self, path: Path, sets: list[WeightSet]) -> list[WeightSet]:
        """Files in a folder that are known weights under a name that is none."""
        looked_at = {file for weight_set in sets for file in weight_set.files}
        files = [f for f in sorted(path.iterdir()) if f.is_file() and f not in looked_at] if path.is_dir() else []
        known = [(f, self.by_content(manifest.sha256(f))) for f in files if not f.name.endswith(".manifest.json")]
        return [WeightSet(f.name, (f,)) for f, entry in known if entry and entry.kind == "model"]

    def _place(self, weight_set: WeightSet, label: str) -> tuple[list[Entry], list[Unplaced]]:
        """(artifacts that a set of files is known as, files that no manifest places)."""
        by_file = {file: self.by_content(manifest.sha256(file)) for file in weight_set.files}
        known = list({e.artifact_id: e for e in by_file.values() if e}.values())
        if weight_set.problem:
            return known, [Unplaced(label, None, weight_set.problem)]
        if all(by_file.values()) and (len(known) == 1 or self._made_together(known)):
            return known, []
        if (identity := weight_set.identity) and (entry := self._by_weights(identity)):
            return [entry], []
        reason = "no manifest knows these bytes; say where they come from: `traitline register`"
        strange = [Unplaced(f.as_posix(), manifest.sha256(f), reason) for f, entry in by_file.items() if not entry]
        names = ", ".join(e.path for e in known[:SHOWN])
        mixed = Unplaced(label, None, f"its shards are of different models: {names}")
        return known, strange or [mixed]

    def _made_together(self, entries: list[Entry]) -> bool:
        """Tell whether one job made all of these: shards whose tensors nobody reads, such as GGUF."""
        makers = [{job.id for job in self.makers(entry.artifact_id)} for entry in entries]
        return bool(set.intersection(*makers)) if makers else False

    def by_hash(self, sha: str) -> Entry:
        """The artifact whose sha256 begins so; `sha256:` before it and capital letters are understood.

        Raises:
            InputError: no artifact, or more than one.
        """
        digits = sha.lower().removeprefix("sha256:")
        query = "SELECT DISTINCT artifact_id FROM content WHERE sha256 >= ? AND sha256 < ? LIMIT 9"
        matches = [i for (i,) in self.db.execute(query, (digits, f"{digits}g"))]
        return self._one(sha, matches)

    def _by_path(self, path: str) -> Entry:
        query = "SELECT DISTINCT artifact_id FROM entry WHERE path = ? LIMIT 9"
        return self._one(path, [i for (i,) in self.db.execute(query, (path,))])

    def _one(self, what: str, matches: list[int]) -> Entry:
        if not matches:
            raise InputError(f"{what}: neither a file nor a hash or path that a manifest names")
        if len(matches) > 1:
            some = ", ".join(f"{e.sha256[:12]} ({e.path})" for e in map(self.entry, matches[:SHOWN]))
            raise InputError(f"{what}: more than one artifact; say which by its hash: {some}")
        return self.entry(matches[0])

    def by_content(self, sha: str) -> Entry | None:
        """The artifact of which a file has this sha256; None where no manifest knows it."""
        row = self.db.execute("SELECT artifact_id FROM content WHERE sha256 = ?", (sha,)).fetchone()
        return self.entry(row[0]) if row else None

    def _by_weights(self, identity: str) -> Entry | None:
        row = self.db.execute("SELECT id FROM job WHERE weights = ? LIMIT 1", (identity,)).fetchone()
        return next((e for e in self.outputs(row[0]) if e.kind == "model"), None) if row else None


def open_graph(folders: list[str] | None, index: str | None) -> Graph:
    """The graph of manifests below some folders (by default the usual ones), or of an index on disk.

    Raises:
        InputError: see `index.build` and `index.connect`.
    """
    from traitline.lineage import index as indexes

    return Graph(indexes.connect(index) if index else indexes.build(folders or indexes.here()))
