"""Warm starts: local jobs that use torch begin as forks of one process that has it in memory.

Importing torch takes longer than most jobs of a tiny study. Snakemake starts `bash -c "... exec python -m scripts.train
... > log 2>&1"`. Where a command has just this form, the server (`traitline.workflow.warm_server`) forks a process with
the same arguments, environment, log, process group and exit code. Everything else starts cold, by bash.
"""

import atexit
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

COMMAND = re.compile(r"set -euo pipefail; exec\s+python -m (scripts\.(\w+) .*?)\s> (\S+) 2>&1", re.S)
COLD = "TRAITLINE_COLD"  # in the environment: no warm starts
# A manifest lists the packages in memory, so only jobs start warm that import torch themselves. CUDA allows no fork.
STAGES = {"pretrain", "teach", "sample", "mark_divergence", "detect", "decode", "influence", "train", "respond"}
WITHOUT_TORCH = {"--engine", "--source", "prompted", "untrained"}  # a word of these: no torch, or open weights


def parsed(cmd: str) -> tuple[list[str], str] | None:
    """(words after `python -m`, log) of a command that may start warm; None for any other."""
    match = COMMAND.fullmatch(cmd)
    if COLD in os.environ or not match or match[2] not in STAGES:
        return None
    words = shlex.split(match[1])
    # As it stands the text says these words and nothing else: no variable, no pattern, no second command.
    if shlex.join(words).split() != match[1].split() or not WITHOUT_TORCH.isdisjoint(words):
        return None
    if match[2] == "train" and ('"context"' in match[1] or " @" in match[1]):  # students that read rows, untrained
        return None
    if "--state" in words and Path(words[words.index("--state") + 1]).exists():  # all may be done but the manifests
        return None
    return words, match[3]


class Started:
    """A job's process; what `snakemake.shell` asks of a `subprocess.Popen`.

    Attributes:
        pid: of the process, which is no child of this one.
        returncode: None while it runs.
    """

    def __init__(self, number: int, starter: "Starter") -> None:
        self.pid = 0
        self.returncode: int | None = None
        self.answers = SimpleQueue[int | None]()  # process id, exit code; None where the server is gone
        self._number, self._starter = number, starter

    def wait(self) -> int:
        """Wait for its end; minus the signal's number where one ended it."""
        if self.returncode is None:
            code = self.answers.get()
            if code is None:  # a job that nobody waits for must not go on
                self.kill()
            self.returncode = -signal.SIGKILL if code is None else code
            self._starter.send({"id": self._number})
        return self.returncode

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Starter:
    """Starts jobs through one server, which begins with the first of them and has that job's environment."""

    def __init__(self) -> None:
        self.server: subprocess.Popen[bytes] | None = None  # None before and after
        self._jobs = dict[int, Started]()
        self._environment: dict[str, str] | None = None
        self._lock = threading.RLock()

    def start(self, cmd: str, *args: Any, **options: Any) -> "Started | subprocess.Popen[bytes]":
        """Start a command as `subprocess.Popen` would."""
        job = parsed(cmd)
        started = self._start_warm(*job, options.get("env") or {}) if job else None
        return started or subprocess.Popen(cmd, *args, **options)

    def _start_warm(self, words: list[str], log: str, environment: dict[str, str]) -> Started | None:
        """Start a job; None where the server is gone, or has another environment."""
        with self._lock:
            if self._environment is None and has_pidfd():
                self._open(environment)
            if self.server is None or environment != self._environment:
                return None
            number = len(self._jobs)
            started = self._jobs[number] = Started(number, self)
            self.send({"id": number, "words": words, "log": log})
        started.pid = started.answers.get() or 0
        return started if started.pid else None

    def _open(self, environment: dict[str, str]) -> None:
        """Start the server, and the thread that reads its answers."""
        self._environment = environment
        command = [sys.executable, "-m", "traitline.workflow.warm_server"]
        self.server = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        threading.Thread(target=self._read, args=[self.server], daemon=True).start()
        atexit.register(self.close)

    def send(self, request: dict[str, Any]) -> None:
        """Send a line to the server; where it is gone, `_read` notices."""
        with self._lock, suppress(BrokenPipeError):
            if self.server and self.server.stdin:
                self.server.stdin.write(json.dumps(request).encode() + b"\n")
                self.server.stdin.flush()

    def _read(self, server: subprocess.Popen[bytes]) -> None:
        """Pass answers on until the server ends."""
        for line in server.stdout or ():
            answer = json.loads(line)
            self._jobs[answer["id"]].answers.put(answer["pid"] if "pid" in answer else answer["exit"])
        with self._lock:
            self.server = None
            for started in self._jobs.values():
                started.answers.put(None)

    def close(self) -> None:
        """Let the server end."""
        with self._lock:
            server, self.server = self.server, None
        if server and server.stdin:
            with suppress(BrokenPipeError):
                server.stdin.close()
            server.wait()


def has_pidfd() -> bool:
    """Tell whether this system has pidfds, as Linux has since 5.3."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True
