"""The index: which job read and wrote which bytes, as an SQLite database made from manifests.

Manifests stay the truth. Commands make their index in memory, anew each time; one on disk (`traitline index`) answers
for a tree too large for that, as of the day it was made.
"""

import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from traitline.errors import InputError
from traitline.lineage import own_indexes
from traitline.lineage.index_rows import Links, Row, read_rows
from traitline.lineage.links import DvcCache, linked_studies
from traitline.lineage.parallel import uncollected
from traitline.plain_files import require_replaceable

FOLDERS = ("results", "studies", "registry")  # where manifests are looked for
ENDING = ".manifest.json"
APPLICATION = 0x7472616A  # marks our files among other SQLite databases
VERSION = 3

TABLES = """
CREATE TABLE job (id INTEGER PRIMARY KEY, file TEXT NOT NULL, stage TEXT NOT NULL, trait TEXT, origin TEXT,
                  weights TEXT, doubt TEXT, claim INTEGER NOT NULL);
CREATE TABLE content (id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL, artifact_id INTEGER NOT NULL);
CREATE TABLE entry (job INTEGER NOT NULL, output INTEGER NOT NULL, role TEXT NOT NULL, kind TEXT NOT NULL,
                    path TEXT NOT NULL, content INTEGER NOT NULL, artifact_id INTEGER NOT NULL);
"""
LOOKUPS = """
CREATE INDEX by_hash ON content (sha256);
CREATE INDEX by_job ON entry (job);
CREATE INDEX by_artifact_id ON entry (artifact_id, output);
CREATE INDEX by_path ON entry (path);
CREATE INDEX by_weights ON job (weights) WHERE weights IS NOT NULL;
"""


def folders_here(root: str | Path = ".") -> list[str]:
    """The folders of a working folder where manifests are looked for."""
    places = (os.path.join(root, name) if root != "." else name for name in FOLDERS)
    return [place for place in places if os.path.isdir(place)]


def scan(folders: Iterable[str | Path]) -> tuple[list[str], list[str]]:
    """(every manifest below these folders, links with the name of a manifest that are not followed), each in order.

    Links of DVC and to whole studies are followed (`traitline.lineage.links`), others are not. Hidden folders are not
    entered.

    Raises:
        InputError: a folder does not exist, or may not be read; or what has the name of a manifest is no file.
    """
    files, links, todo = set[str](), set[str](), [os.fspath(top) for top in folders]
    cache = DvcCache()
    for top in todo:
        if not os.path.isdir(top):
            raise InputError(f"{top}: no such folder; name one that holds manifests")
    todo += [link for top in todo for link in linked_studies(top)]
    while todo:
        folder = todo.pop()
        try:
            with os.scandir(folder) as entries:
                for e in entries:
                    if e.name.endswith(ENDING) and e.is_symlink():
                        (files if cache.holds(e.path) else links).add(e.path)
                    elif e.name.endswith(ENDING) and e.is_file(follow_symlinks=False):
                        files.add(e.path)
                    elif not e.name.startswith(".") and e.is_dir(follow_symlinks=False):
                        todo.append(e.path)
                    elif e.name.endswith(ENDING) and not e.is_dir(follow_symlinks=False):
                        raise InputError(f"{e.path}: a pipe or a device, not a manifest; take it away")
        except FileNotFoundError:  # a running study has removed it
            continue
        except PermissionError:
            raise InputError(f"{folder}: may not be read, so nobody knows what is in it") from None
    return sorted(files), sorted(links)


def manifests(folders: Sequence[str | Path]) -> list[str]:
    """Every manifest below these folders, in order; there is at least one.

    Raises:
        InputError: there is none, or a folder does not exist or may not be read.
    """
    files, links = scan(folders)
    if files:
        return files
    names = ", ".join(map(str, folders))
    if links:
        raise InputError(
            f"{names}: no manifest is there, only links that lead nowhere or out of DVC's cache, such as {links[0]};"
            " bring the files with `dvc pull`"
        )
    raise InputError(
        f"{names}: no manifest is there; run the pipeline first, or `traitline register` what was made elsewhere"
    )


def here() -> list[str]:
    """The usual folders that there are; where there are none, this folder, if a manifest is in or below it.

    Raises:
        InputError: none of them exists, and no manifest.
    """
    folders = folders_here()
    if not folders and scan([os.curdir])[0]:
        return [os.curdir]
    if not folders:
        raise InputError(
            f"none of {', '.join(FOLDERS)} is here; run in the repository, say --in FOLDER, or `traitline register`"
            " what you have, wherever it lies below this folder"
        )
    return folders


class Filler:
    """Fills the tables of an empty database. Artifacts of equal weights get one `artifact_id`."""

    BATCH = 50_000  # entries that are inserted together

    def __init__(self, db: sqlite3.Connection) -> None:
        db.executescript(TABLES)
        self.db = db
        self.contents = dict[str, int]()  # sha256 -> number
        self.joined = dict[int, int]()  # number of a content -> one of equal weights
        self.by_weights = dict[str, int]()  # weights -> number of the first content that has them
        self.links = Links()
        self.learned = dict[str, str]()  # sha256 of what a job wrote as model or data -> its kind
        self.support: list[tuple[int, str, str]] = []  # (job, path, sha256) of what was read as support
        self.jobs: list[tuple[Any, ...]] = []
        self.entries: list[tuple[Any, ...]] = []

    def add(self, job: int, row: Row) -> None:
        """Add the row of one manifest."""
        file, stage, trait, origin, weights, doubt, claim, stated, links, parts = row
        self.jobs.append((job, file, stage, trait, origin, weights, doubt, claim))
        self.links.add(job, stage, stated, links, parts)
        for output, role, what, path, sha in parts:
            if what == "support" and not output:
                self.support.append((job, path, sha))
                continue
            content = self.contents.setdefault(sha, len(self.contents) + 1)
            if output and what in ("model", "data"):
                self.learned[sha] = what
            self.entries.append((job, output, role, what, path, content, content))
            if weights and output and what == "model":
                first = self._root(self.by_weights.setdefault(weights, content))
                if first != self._root(content):
                    self.joined[self._root(content)] = first
        if len(self.entries) > self.BATCH:
            self._insert()

    def finish(self) -> None:
        """Give every artifact its number, and make what look-ups need."""
        self.entries += [
            (job, 0, "support", self.learned[sha], path, self.contents[sha], self.contents[sha])
            for job, path, sha in self.support
            if sha in self.learned
        ]
        self._insert()
        doubted = ((reason, job) for job, reason in self.links.doubted().items())
        self.db.executemany("UPDATE job SET doubt = ? WHERE id = ? AND doubt IS NULL", doubted)
        rows = ((i, sha, self._root(i)) for sha, i in self.contents.items())
        self.db.executemany("INSERT INTO content VALUES (?, ?, ?)", rows)
        self.db.executescript(LOOKUPS)
        if self.joined:
            self.db.execute("CREATE INDEX by_content ON entry (content)")
            joined = [(self._root(i), i) for i in self.joined]
            self.db.executemany("UPDATE entry SET artifact_id = ? WHERE content = ?", joined)
        self.db.execute(f"PRAGMA application_id = {APPLICATION}")
        self.db.execute(f"PRAGMA user_version = {VERSION}")
        self.db.commit()

    def _insert(self) -> None:
        self.db.executemany("INSERT INTO job VALUES (?, ?, ?, ?, ?, ?, ?, ?)", self.jobs)
        self.db.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)", self.entries)
        self.jobs.clear()
        self.entries.clear()

    def _root(self, i: int) -> int:
        while i in self.joined:
            i = self.joined[i]
        return i


def fill(db: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Make the tables of an empty database."""
    filler = Filler(db)
    for job, row in enumerate(rows, 1):
        filler.add(job, row)
    filler.finish()


@uncollected()
def build(folders: Sequence[str | Path], path: str | Path | None = None) -> sqlite3.Connection:
    """The index of all manifests below these folders: in memory, or as a file that appears when it is whole.

    Raises:
        InputError: a manifest is damaged, or there is none.
    """
    files = manifests(folders)
    if path is None:
        db = sqlite3.connect(":memory:")
        fill(db, read_rows(files))
        return db
    final = Path(path)
    require_replaceable(final)
    final.parent.mkdir(parents=True, exist_ok=True)
    tmp = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    try:
        db = sqlite3.connect(tmp)
        db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000")
        fill(db, read_rows(files))
        db.close()
        os.replace(tmp, final)
    except sqlite3.OperationalError as e:
        raise InputError(f"{final}: {e}; nothing was written, look at the disk and run again") from None
    finally:
        tmp.unlink(missing_ok=True)
    own_indexes.remember(final)
    return connect(final)


def connect(path: str | Path) -> sqlite3.Connection:
    """An index on disk, for reading only.

    Raises:
        InputError: there is none, or it is something else.
    """
    remedy = "make it with `traitline index`"
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such index; {remedy}")
    try:
        db = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)
        marks = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    except sqlite3.DatabaseError:
        raise InputError(f"{path}: not an index of traitline; {remedy}") from None
    if marks != [APPLICATION, VERSION]:
        raise InputError(f"{path}: not an index of this version of traitline; {remedy}")
    if not own_indexes.is_own(Path(path)):
        db.close()
        raise InputError(f"{path}: this account did not make these bytes, and an index can say anything; {remedy}")
    return db
