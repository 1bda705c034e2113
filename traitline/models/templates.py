"""A chat template, rendered by a process that a template cannot hang or fill (`traitline.models.template_worker`).

One such process serves all templates of this one. It starts when it is first needed, sees none of the environment but
what Python needs, and is started anew after one that a template brought down.
"""

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from traitline.errors import InputError, visible
from traitline.models import template_worker

Messages = Sequence[dict[str, str]]
ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "HOME", "TMPDIR")  # passed on; keys of others are not
SECONDS = 10.0  # of computing, for a request
EACH = 0.01  # seconds more for each conversation; a real template takes a hundredth of that
PART = 1000  # conversations of a request
OF_OTHERS = (signal.SIGTERM, signal.SIGKILL, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1)  # no template's doing

_lock = threading.Lock()
_running: dict[int, "subprocess.Popen[bytes]"] = {}  # by the process that started it: one that is forked has none


class Template:
    """One chat template.

    Args:
        text: of the template.
        special: texts of the special tokens, by name (`eos_token`).
        name: of the model, for error messages.

    Attributes:
        variables: names that it takes from outside.

    Raises:
        InputError: it cannot be compiled.
    """

    def __init__(self, text: str, special: dict[str, str], name: str) -> None:
        self.text = text
        self.special = special
        self.name = name
        self.variables: list[str] = self._ask({})["variables"]

    @staticmethod
    def prepare() -> None:
        """Start the process that renders, where none runs; it gets ready while its caller does other work."""
        start()

    def texts(self, conversations: Sequence[Messages], *, prompt: bool) -> list[str]:
        """Render conversations, as `Chat.render`.

        Raises:
            InputError: it refuses one, fails on one, or takes too much time or memory.
        """
        rendered: list[str] = []
        for start in range(0, len(conversations), PART):
            part = [list(messages) for messages in conversations[start : start + PART]]
            rendered += self._ask({"conversations": part, "prompt": prompt, "special": self.special})["texts"]
        return rendered

    def pieces(self, roles: Sequence[str], *, prompt: bool) -> tuple[str, ...] | None:
        """Text around plain contents; None where it depends on them (`template_sandbox.pieces`)."""
        cut = self._ask({"roles": list(roles), "prompt": prompt, "special": self.special})["pieces"]
        return None if cut is None else tuple(cut)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        seconds = SECONDS + EACH * len(request.get("conversations", ()))
        reply = ask({"template": self.text, "seconds": seconds, **request})
        if problem := reply.get("problem"):
            raise InputError(f"{self.name}: its chat template {visible(problem)}")
        return reply


def ask(request: dict[str, Any]) -> dict[str, Any]:
    """Answer a request (`template_worker.answer`); a process that a template brought down is a `problem` too."""
    line = json.dumps(request).encode() + b"\n"
    with _lock:
        for _ in range(2):
            worker = start()
            reply = None
            try:
                reply = _exchange(worker, line)
            finally:
                if reply is None:  # interrupted: its answer must not be taken for the next one
                    _end(worker)
            if reply:
                return dict(json.loads(reply))
            code = _end(worker)
            if -code not in OF_OTHERS:
                break
    if code == -signal.SIGPROF:
        return {"problem": f"takes more than {request['seconds']:g} s of computing"}
    how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    return {"problem": f"brings down the process that renders it, which ended {how}"}


def start() -> "subprocess.Popen[bytes]":
    """Return the process that renders, started where none runs."""
    worker = _running.get(os.getpid())
    if worker is None or worker.poll() is not None:
        kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        kept["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
        worker = _running[os.getpid()] = subprocess.Popen(
            [sys.executable, "-P", "-m", template_worker.__name__],
            env=kept, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    return worker


def _exchange(worker: "subprocess.Popen[bytes]", line: bytes) -> bytes:
    assert worker.stdin and worker.stdout
    try:
        worker.stdin.write(line)
        worker.stdin.flush()
        reply = worker.stdout.readline()
        return reply if reply.endswith(b"\n") else b""
    except BrokenPipeError:
        return b""


def _end(worker: "subprocess.Popen[bytes]") -> int:
    """End the process; returns how it ended."""
    _running.pop(os.getpid(), None)
    assert worker.stdin and worker.stdout
    with contextlib.suppress(BrokenPipeError):
        worker.stdin.close()
    try:
        code = worker.wait(timeout=1.0)
    except subprocess.TimeoutExpired:
        worker.kill()
        code = worker.wait()
    worker.stdout.close()
    return code


@atexit.register
def _end_all() -> None:
    if worker := _running.get(os.getpid()):
        _end(worker)
