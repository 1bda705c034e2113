"""Progress of a run of the workflow, from the records that Snakemake logs and from the logs of its jobs."""

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from logging import LogRecord
from pathlib import Path

from traitline.errors import visible

TAIL = 4096  # bytes of a log's end that are read
STEPS = re.compile(r"(\d+) of (\d+) (\w+)(?:, loss (\S+))?\s*$")  # as `traitline.progress` writes them


@dataclass
class RunningJob:
    """A job that was started.

    Attributes:
        name: stage and what it makes, from the place of its log.
        stage: of its rule.
        log: file of its program's output.
        started: seconds since the epoch.
        first: (time, number) of the first progress that was seen; None before.
    """

    name: str
    stage: str
    log: str
    started: float
    first: tuple[float, int] | None = None

    def line(self, now: float) -> str:
        """State how far it is: `120 of 250 steps, loss 1.234, 0:21 left`; or for how long it has run, or waited."""
        try:
            if os.stat(self.log).st_mtime < self.started - 2:
                return "waits"
            with open(self.log, "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
                last = file.read(TAIL).decode("utf-8", "replace").rstrip().rpartition("\n")[2]
        except OSError:
            return "waits"
        if not (match := STEPS.search(last)):
            return spell_time(now - self.started)
        done, total = int(match[1]), int(match[2])
        self.first = self.first or (now, done)
        since, before = self.first
        loss = f", loss {visible(match[4], 12)}" if match[4] else ""
        left = ""
        if done > before and now > since:
            left = f", {spell_time((total - done) * (now - since) / (done - before))} left"
        return f"{done} of {total} {visible(match[3], 12)}{loss}{left}"


@dataclass
class RunProgress:
    """Jobs of a run: planned, running, done, failed.

    Attributes:
        stages: rule -> stage, in the order of the pipeline.
        logs: folder of logs, without which a job is named.
        total: stage -> jobs planned.
        done: stage -> jobs done.
        failed: stage -> jobs failed.
        running: jobs by their number.
    """

    stages: Mapping[str, str]
    logs: str = "logs"
    total: dict[str, int] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    running: dict[int, RunningJob] = field(default_factory=dict)
    began: float = field(default_factory=time.time)

    def take(self, record: LogRecord) -> str | None:
        """Take in a record of Snakemake's log; a line to print for a job that is done, else None."""
        event, facts = str(getattr(record, "event", None) or ""), record.__dict__
        if event == "run_info":
            counts = dict[str, int]()
            for rule, count in facts["stats"].items():
                if rule not in ("total", "all"):
                    stage = self.stages.get(rule, rule)
                    counts[stage] = counts.get(stage, 0) + count
            known = [*dict.fromkeys(self.stages.values())]
            self.total = dict(sorted(counts.items(), key=lambda item: (*known, item[0]).index(item[0])))
        elif event == "job_info" and facts["rule_name"] != "all":
            self._start(facts)
        elif event == "job_finished" and (job := self.running.pop(facts["job_id"], None)):
            self.done[job.stage] = self.done.get(job.stage, 0) + 1
            return f"{self.counted}  {job.name}  {spell_time(time.time() - job.started)}"
        elif event == "job_error" and (job := self.running.pop(facts["jobid"], None)):
            self.failed[job.stage] = self.failed.get(job.stage, 0) + 1
        return None

    def _start(self, facts: Mapping[str, object]) -> None:
        rule, logs = str(facts["rule_name"]), list(map(str, facts["log"] or []))  # type: ignore[call-overload]
        stage = self.stages.get(rule, rule)
        log = logs[0] if logs else ""
        inside = os.path.relpath(log, self.logs) if log else rule
        name = visible(Path(inside).with_suffix("").as_posix().replace("/", " ", 1))
        self.running[int(str(facts["jobid"]))] = RunningJob(name, stage, log, time.time())

    @property
    def jobs(self) -> int:
        """Count the jobs planned."""
        return sum(self.total.values())

    @property
    def counted(self) -> str:
        """Jobs done of all: ` 7/36`."""
        return f"{sum(self.done.values()):{len(str(self.jobs))}}/{self.jobs}"


def spell_time(seconds: float) -> str:
    """A duration as a clock shows it: `2:05`, `1:02:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
