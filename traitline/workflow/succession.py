"""The way on where a launcher was killed on this host: its jobs run on without it, and its lock stays."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from traitline.errors import InputError
from traitline.workflow.launch_record import LAUNCH, place, read

if TYPE_CHECKING:
    from traitline.study.config import Study

PATIENCE = 120.0  # seconds for the step in hand and a checkpoint


def end_jobs(launch: str, patience: float = PATIENCE) -> int:
    """Ask jobs to end, and wait until they have: they write a checkpoint first. Returns how many there were.

    Args:
        launch: what they have in their environment as whose they are.
        patience: seconds to wait.

    Raises:
        InputError: one of them does not end.
    """
    import psutil

    jobs = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(LAUNCH) == launch and process.pid != psutil.Process().pid:
                process.terminate()
                jobs.append(process)
        except psutil.Error:  # it has ended, or is another user's
            continue
    alive = psutil.wait_procs(jobs, timeout=patience)[1]
    if alive:
        raise InputError(f"process {alive[0].pid}, a job of a launcher that died, does not end; end it: kill -9")
    return len(jobs)


def unlock(results: str) -> None:
    """Take away Snakemake's locks on artifacts of a study. Only for a launcher that is gone."""
    for lock in Path(".snakemake/locks").glob("*"):
        if any(line.startswith(f"{results}/") for line in lock.read_text(encoding="utf-8").splitlines()):
            lock.unlink()


def succeed(study: "Study") -> None:
    """Go on where the last launcher of a study on this host died: end its jobs, take away its lock.

    Raises:
        InputError: that launcher still runs, or only another host can tell.
    """
    launch = read(place(study.folder))
    if launch is None or launch.name or launch.ended:
        return
    if launch.alive:
        raise InputError(
            f"this study is being run (process {launch.pid}, since {launch.started[:19]} UTC); wait for its end"
        )
    if launch.alive is None:
        raise InputError(
            f"this study was launched on {launch.host} (process {launch.pid}); work there, or, if that process is"
            " gone: make resume RESUME=--gone"
        )
    ended = end_jobs(launch.id)
    unlock(launch.results)
    jobs = f", and ended {ended} of its jobs, which go on from their checkpoints" if ended else ""
    print(f"traitline: the launcher of this study (process {launch.pid}) died; took its place{jobs}", file=sys.stderr)
