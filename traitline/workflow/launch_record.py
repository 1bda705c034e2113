"""The record of a launch of a study: which process, with what arguments, on which machine."""

import atexit
import dataclasses
import json
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from traitline import atomic, json_files
from traitline.provenance import manifest
from traitline.workflow import slurm

if TYPE_CHECKING:
    from traitline.study.config import Study

LAUNCH = "TRAITLINE_LAUNCH"  # in the environment of jobs: whose they are
FOLDER = Path(".traitline/launches")


@dataclasses.dataclass(frozen=True)
class Launch:
    """The process that launched a study, recorded before its first job.

    Attributes:
        folder: of the study, from the repository.
        results: its folder of artifacts.
        host, pid, born: the process; a number that another process got later has another birthday.
        name: of all its Slurm jobs; empty for a launch whose jobs run on its own host.
        command: arguments of snakemake.
        lock: see `launch_lock.lock`.
        started: UTC time.
        ended: it ended by itself, or by Ctrl-C.
        machine: of the process: its id, that of its start, that of its space of process numbers.
    """

    folder: str
    results: str
    host: str
    pid: int
    born: float
    name: str
    command: list[str]
    lock: str
    started: str
    ended: bool = False
    machine: list[str] = dataclasses.field(default_factory=list)

    @property
    def path(self) -> Path:
        """Path of the record."""
        return place(self.folder)

    @property
    def failures(self) -> Path:
        """One line for every failed job."""
        return self.path.with_suffix(".failures")

    @property
    def alive(self) -> bool | None:
        """Tell whether the process still runs; None if only its own host, or its own container, can tell."""
        before, now = self.machine or _machine(), _machine()
        if self.host != platform.node() or before[0] != now[0]:
            return None
        if before[1] != now[1]:  # the machine was started again since
            return False
        return None if before[2] != now[2] else _born(self.pid) == self.born

    @property
    def id(self) -> str:
        """Variables in the environment of its jobs."""
        return f"{self.host} {self.pid} {self.born}"

    @property
    def jobs(self) -> list[slurm.Job]:
        """Its jobs in Slurm."""
        return slurm.jobs(self.name) if self.name else []

    def write(self) -> None:
        """Write the record."""
        atomic.put(self.path, json.dumps(dataclasses.asdict(self), indent=1) + "\n")

    def end(self) -> None:
        """Record that the launcher ends."""
        if os.getpid() == self.pid:
            dataclasses.replace(self, ended=True).write()


def place(folder: str) -> Path:
    """Path of the record of a launch of the study in this folder."""
    return FOLDER / f"{folder.replace('/', '_') if folder != '.' else 'tiny'}.json"


def _born(pid: int) -> float:
    """Start time of a process; 0 where there is none, or it has died and only its parent has not looked yet."""
    import psutil

    try:
        process = psutil.Process(pid)
        return 0.0 if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.NoSuchProcess:
        return 0.0


def _machine() -> list[str]:
    """Ids of this machine, of its last start and of this space of process numbers; empty where there is none."""
    ids = []
    for file in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
        try:
            ids.append(Path(file).read_text(encoding="ascii").strip())
        except (OSError, ValueError):
            ids.append("")
    try:
        return [*ids, os.readlink("/proc/self/ns/pid")]
    except OSError:
        return [*ids, ""]


def read(path: Path) -> Launch | None:
    """A recorded launch; none where there is no readable record."""
    try:
        return Launch(**json_files.recall(path))
    except TypeError:
        return None


def begin(study: "Study", name: str, lock: str) -> Launch:
    """Record that this process launches the study."""
    launch = Launch(
        study.folder, study.results, platform.node(), os.getpid(), _born(os.getpid()), name, sys.argv[1:], lock,
        manifest.now(), machine=_machine(),
    )  # fmt: skip
    launch.write()
    os.environ[LAUNCH] = launch.id
    launch.failures.unlink(missing_ok=True)
    atexit.register(launch.end)
    return launch
