"""Slurm's view of jobs: which jobs of a launch exist, and why one ended."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Cause = Literal["memory", "time", "node", "cancelled", "submission", "program"]
# What the causes are called in the one line about a failure.
WORDS: dict[str, str] = {
    "memory": "out of memory",
    "time": "out of time",
    "node": "its node failed",
    "cancelled": "cancelled",
    "submission": "not submitted",
    "program": "failed",
}
AGAIN = ("memory", "time", "node", "submission")  # what another attempt can help with
GROWS: dict[str, str] = {"memory": "mem_mb", "time": "runtime"}  # what a job gets twice as much of when it runs again
WARNING = 120  # seconds: a job that was asked to stop so shortly before its limit ran out of time
BUSY = re.compile(r"unable to contact|timed out|try again|temporarily|connection refused|exceeded|limit", re.I)
REFUSED = re.compile(r"sbatch failed|submission failed", re.I)
OVER = re.compile(r"exceeded memory limit|oom[-_ ]kill|out[- ]of[- ]memory", re.I)


@dataclass(frozen=True)
class Job:
    """A line of squeue."""

    id: str
    state: str
    partition: str
    node: str
    elapsed: str
    reason: str
    comment: str

    @property
    def held(self) -> bool:
        """It waits until somebody releases it."""
        return self.state == "PENDING" and "held" in self.reason.lower()

    @property
    def over(self) -> bool:
        """It will not run any more."""
        return self.state not in ("PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "REQUEUED", "STOPPED")


def _ask(*command: str) -> str:
    """Run a command and return its output; nothing if it fails or does not exist."""
    if not shutil.which(command[0]):
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def reachable() -> bool:
    """Check whether the controller answers."""
    return "is UP" in _ask("scontrol", "ping")


def jobs(name: str) -> list[Job]:
    """Jobs of this name: those in the queue, and those that ended not long ago."""
    output = _ask("squeue", "--noheader", "--states=all", f"--name={name}", "--format=%i|%T|%P|%N|%M|%r|%k")
    return [Job(*line.split("|", 6)) for line in output.splitlines() if line.count("|") >= 6]


def facts(job: str) -> dict[str, str]:
    """Look up a job, with the keys of `scontrol show job`; in the accounting if scontrol has forgotten it."""
    output = _ask("scontrol", "--oneliner", "show", "job", job)
    if output:
        return dict(re.findall(r"(?:^| )([A-Za-z/:]+)=(\S*)", output.splitlines()[0]))
    output = _ask("sacct", "-X", "-n", "-P", "-j", job, "-o", "State,NodeList,Elapsed,Timelimit")
    words = output.splitlines()[0].split("|") if output else ["UNKNOWN", "", "", ""]
    names = ("JobState", "NodeList", "RunTime", "TimeLimit")
    return dict(zip(names, [words[0].split()[0], *words[1:]], strict=True))


def seconds(time: str) -> int | None:
    """Parse Slurm's `days-hours:minutes:seconds`; None for anything else, such as `UNLIMITED`."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+):(\d+)", time)
    if not match:
        return None
    days, hours, minutes, rest = (int(x or 0) for x in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


def cause(known: dict[str, str], said: str, log: str) -> Cause:
    """Classify why a job failed.

    Args:
        known: of `facts`.
        said: the end of what its program said. One that stopped at the warning before its time limit ends as if by
            itself, and one that had not begun when the warning came ends without a word.
        log: the end of what Slurm said. Without cgroups it calls a job that took too much memory just FAILED.
    """
    state = known.get("JobState", "UNKNOWN")
    if state == "OUT_OF_MEMORY" or OVER.search(f"{said}\n{log}"):
        return "memory"
    if state in ("TIMEOUT", "DEADLINE"):
        return "time"
    if state in ("NODE_FAIL", "BOOT_FAIL", "PREEMPTED"):
        return "node"
    if state == "CANCELLED":
        return "cancelled"
    ran, limit = seconds(known.get("RunTime", "")), seconds(known.get("TimeLimit", ""))
    stopped = not said or "terminated; nothing half-written is left" in said
    if stopped and ran is not None and limit and limit - ran <= WARNING:
        return "time"
    return "program"


def refusal(message: str) -> str | None:
    """Find the complaint of sbatch about a refused job in Snakemake's message about a failure; None for others."""
    if not REFUSED.search(message):
        return None
    quoted = re.search(r"error message was '(.*?)'\.?$", message, re.M | re.S)
    return " ".join((quoted[1] if quoted else message).split())[:300]


def tail(path: str | Path, lines: int = 3) -> list[str]:
    """The last lines of a file that are not blank; none of a file that is not there."""
    try:
        output = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [line.strip() for line in output if line.strip()][-lines:]
