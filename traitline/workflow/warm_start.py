"""Warm starts: local jobs that use torch begin as forks of one process that has it in memory.

Importing torch takes longer than most jobs of a tiny study. Snakemake starts `bash -c "... exec python -m scripts.train
... > log 2>&1"`. Where a command has just this form, the server (`traitline.workflow.warm_server`) forks a process with
the same arguments, environment, log, process group and exit code. All else starts cold, by bash: commands of another
form (conda environments, containers), stages that may do without torch, whose manifests list the packages in memory,
open weights (CUDA does not outlive a fork), jobs that go on from a checkpoint, systems without pidfd, and all jobs
where `TRAITLINE_COLD` is set.
"""

import atexit
import json
import os
import queue
import re
import shlex
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

COMMAND = re.compile(r"set -euo pipefail; exec\s+python -m (scripts\.(\w+) .*?)\s> (\S+) 2>&1", re.S)
COLD = "TRAITLINE_COLD"  # in the environment: no warm starts
STAGES = {"pretrain", "teach", "sample", "mark_divergence", "detect", "decode", "influence", "train", "respond"}
WITHOUT_TORCH = {"--engine", "--source", "prompted", "untrained"}  # words of jobs that need none, or have its own copy
CONTEXT = re.compile(r'"trains": ?"context"')  # the recipe of students that are not trained


def parsed(cmd: str) -> tuple[list[str], str] | None:
    """(words after `python -m`, log) of a command that may start warm; None for any other."""
    match = COMMAND.fullmatch(cmd)
    if COLD in os.environ or not match or match[2] not in STAGES:
        return None
    words = shlex.split(match[1])
    # As it stands the text says these words and nothing else: no variable, no pattern, no second command.
    if shlex.join(words).split() != match[1].split() or not WITHOUT_TORCH.isdisjoint(words):
        return None
    state = dict(zip(words, words[1:], strict=False)).get("--state")
    texts = [Path(word[1:]).read_text(encoding="utf-8") if word.startswith("@") else word for word in words]
    if (state and Path(state).exists()) or any(map(CONTEXT.search, texts)):
        return None
    return words, match[3]


class Started:
    """A job's process; what `snakemake.shell` asks of a `subprocess.Popen`.

    Attributes:
        pid: of the process, which is no child of this one.
        returncode: None while it runs.
    """

    def __init__(self, number: int, pid: int, starter: "Starter") -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._number, self._starter = number, starter

    def wait(self) -> int:
        """Wait for its end; minus the signal's number where one ended it."""
        if self.returncode is None:
            code = self._starter.answers[self._number].get()
            if code is None:  # the server was killed, and a job that nobody waits for must not go on
                self.kill()
                code = -signal.SIGKILL
            self.returncode = code
            self._starter.forget(self._number)
        return self.returncode

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Starter:
    """Starts jobs through one server, which begins with the first of them and has that job's environment."""

    def __init__(self) -> None:
        self.answers = dict[int, queue.SimpleQueue[int | None]]()  # id of a job -> process id, exit code; None: no more
        self.server: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._environment: dict[str, str] | None = None

    def start(self, cmd: str, *args: Any, **options: Any) -> "Started | subprocess.Popen[bytes]":
        """Start a command as `subprocess.Popen` would."""
        job = parsed(cmd)
        started = self._start_warm(*job, options.get("env")) if job else None
        return started or subprocess.Popen(cmd, *args, **options)

    def _start_warm(self, words: list[str], log: str, environment: dict[str, str] | None) -> Started | None:
        """Start a job; None where the server is gone, or the job's environment is not the server's."""
        with self._lock:
            if self._environment is None and environment is not None and has_pidfd():
                self._open(environment)
            if self.server is None or environment != self._environment:
                return None
            number = len(self.answers)
            self.answers[number] = queue.SimpleQueue()
            self._write({"id": number, "words": words, "log": log})
        pid = self.answers[number].get()
        return None if pid is None else Started(number, pid, self)

    def _open(self, environment: dict[str, str]) -> None:
        """Start the server, and the thread that reads its answers."""
        self._environment = environment
        command = [sys.executable, "-m", "traitline.workflow.warm_server"]
        self.server = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        threading.Thread(target=self._read, args=[self.server], daemon=True).start()
        atexit.register(self.close)

    def _read(self, server: subprocess.Popen[bytes]) -> None:
        """Pass answers on until the server ends."""
        assert server.stdout
        for line in server.stdout:
            answer = json.loads(line)
            self.answers[answer["id"]].put(answer["pid"] if "pid" in answer else answer["exit"])
        with self._lock:
            self.server = None
            for answers in self.answers.values():
                answers.put(None)
        server.wait()

    def _write(self, request: dict[str, Any]) -> None:
        """Send a request; where the server is gone, `_read` notices."""
        if self.server and self.server.stdin:
            with suppress(BrokenPipeError):
                self.server.stdin.write(json.dumps(request).encode() + b"\n")
                self.server.stdin.flush()

    def forget(self, number: int) -> None:
        """Let the server forget a job whose end is known."""
        with self._lock:
            self._write({"id": number})

    def close(self) -> None:
        """Let the server end."""
        with self._lock:
            server, self.server = self.server, None
            if server and server.stdin:
                server.stdin.close()
        if server:
            server.wait()


def has_pidfd() -> bool:
    """Tell whether this system has pidfds: Linux since 5.3."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True
