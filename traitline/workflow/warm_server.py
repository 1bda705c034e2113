"""Server of warm starts: a process that imports torch once, and forks a job for each line that it reads.

in   JSON lines: `{"id", "words", "log"}` runs `python -m words > log 2>&1`; `{"id"}` says that this job's end is known
out  JSON lines: `{"id", "pid"}` when a job starts, `{"id", "exit"}` when it ends, minus a signal's number as in Popen

It computes nothing and starts no thread, so a job begins with what it would have after its own `import torch`. It ends
with its input; its jobs go on, as they do where the launcher is killed. `traitline.workflow.warm_start` starts it.
"""

import atexit
import gc
import json
import os
import runpy
import selectors
import signal
import sys
import threading
from contextlib import suppress
from typing import Any

from traitline.provenance import kernels

FOR_JOBS = (signal.SIGINT, signal.SIGTERM)  # blocked here: a terminal sends them to all processes, and jobs end first


def send(answer: dict[str, int]) -> None:
    """Write an answer; nobody reads it where the launcher was killed."""
    with suppress(BrokenPipeError):
        os.write(1, json.dumps(answer).encode() + b"\n")


def serve() -> dict[str, Any] | None:
    """Return a job in each child; None in the server, at the end of its input."""
    selector = selectors.DefaultSelector()
    selector.register(0, selectors.EVENT_READ)
    processes, rest = dict[int, int](), b""  # id of a job -> process id
    while True:
        for key, _ in selector.select():
            if key.fd:  # a job ended; its number is no other process's before its end is known
                end = os.waitid(os.P_PIDFD, key.fd, os.WEXITED | os.WNOWAIT)
                assert end is not None
                selector.unregister(key.fd)
                os.close(key.fd)
                send({"id": key.data, "exit": end.si_status if end.si_code == os.CLD_EXITED else -end.si_status})
                continue
            content = os.read(0, 1 << 16)
            if not content:
                return None
            *lines, rest = (rest + content).split(b"\n")
            for request in map(json.loads, lines):
                number = request["id"]
                if "words" not in request:
                    os.waitpid(processes.pop(number), 0)
                    continue
                processes[number] = os.fork()
                if processes[number] == 0:
                    selector.close()
                    return dict(request)
                selector.register(os.pidfd_open(processes[number]), selectors.EVENT_READ, number)
                send({"id": number, "pid": processes[number]})


def main() -> None:
    """Serve; in a child, run its job."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FOR_JOBS)
    kernels.choose_openblas()
    import torch  # noqa: F401

    gc.freeze()  # what all jobs share is never garbage: to look for some would copy it
    job = serve()
    if job is None:
        return
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), 1)
    os.dup2(1, 2)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    sys.argv = job["words"]
    try:
        runpy.run_module(job["words"][0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            raise
    # All that Python does at an end, but for taking torch apart: that costs 0.3 s.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
