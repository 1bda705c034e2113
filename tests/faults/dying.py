"""Runs a stage program that dies on its way and has no chance to clean up: `dying.py WHEN STAGE FLAGS...`.

WHEN   start        at the first file of an artifact, before it is opened
       N            in the midst of a file: at the first byte after N, killed by the kernel
       checkpoint   when it is about to put its second checkpoint in place
       end          when all outputs are in place and the manifest is not
"""

import importlib
import os
import resource
import signal
import sys

when, stage, *flags = sys.argv[1:]
state = flags[flags.index("--state") + 1] if "--state" in flags else None
checkpoints = 0


def watch(event: str, args: tuple) -> None:
    global checkpoints
    if event == "open" and str(args[0]).endswith(".tmp") and when == "start":
        os.kill(os.getpid(), signal.SIGKILL)
    if event == "os.rename":
        into = os.fspath(args[1])
        checkpoints += bool(state and into.startswith(state))
        if (when == "end" and into.endswith("manifest.json")) or (when == "checkpoint" and checkpoints == 2):
            os.kill(os.getpid(), signal.SIGKILL)


if when.isdigit():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(when), int(when)))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
sys.addaudithook(watch)
raise SystemExit(importlib.import_module(f"scripts.{stage}").main(flags))
