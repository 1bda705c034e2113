"""Fifty kills: real stage programs, ended by SIGKILL at seeded moments, started again, and compared byte for byte.

Each program is forked from a server that has the libraries loaded, and runs as it does on a command line. Half of the
kills come at a system call that the seed chooses (a file opened, written under another name, removed), as the
interpreter's audit hooks report it; half at a part of the program's time.
"""

import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.sealed_study import steps, words
from traitline.provenance.statement import statement

KILLS, SEED = 50, 20260
CALLS = ("open", "os.rename", "os.remove", "os.mkdir", "os.listdir", "os.truncate")
LOADED = ["torch", "numpy", "safetensors.torch", "jinja2", *sorted({f"scripts.{program}" for program, _ in steps()})]
KEEPS = {"pretrain", "teach", "train"}  # programs that write checkpoints; here before every step


def act(folder, program, line, kill_at, counted):
    """Run a program in this process; it ends by SIGKILL at a call, or tells how many there were."""
    os.chdir(folder)
    calls = 0

    def hook(event, args):
        nonlocal calls
        if event in CALLS and not str(args[0]).endswith((".py", ".pyc")):
            calls += 1
            if calls == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    rc = __import__(f"scripts.{program}", fromlist=["main"]).main(line)
    counted.send(calls)
    os._exit(rc)


class Server:
    """Runs programs, each in a process of its own."""

    def __init__(self):
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(LOADED)

    def run(self, folder, program, line, *, kill_at=0, after=None):
        """(exit code, calls, seconds) of a program; killed at a call, or after some seconds."""
        receives, counted = self.context.Pipe(duplex=False)
        start = time.monotonic()
        process = self.context.Process(target=act, args=(str(folder), program, line, kill_at, counted))
        process.start()
        if after is not None:
            process.join(after)
            process.kill()
        process.join(300)
        assert process.exitcode is not None, "it hangs"
        calls = receives.recv() if process.exitcode == 0 and receives.poll(5) else 0
        return process.exitcode, calls, time.monotonic() - start


def contents(folder):
    """Path -> bytes; of manifests, what they state."""
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}
    return {k: statement(json.loads(v)) if k.endswith(".manifest.json") else v for k, v in files.items()}


def line_of(program, flags):
    return words({**flags, **({"state": "work", "every": 0} if program in KEEPS else {})})


def place_of(flags):
    """The manifest that a step writes."""
    folder = flags.get("folder") or flags.get("students") or flags.get("folders")
    below = "seed-1/train" if "recipe" in flags else "favourite/respond" if "eval" in flags else "score"
    return flags.get("manifest", f"{folder}/{below}.manifest.json")


@pytest.fixture
def jobs(sealed_once):
    """(program, command line, files that it makes, the manifest last) of all steps."""
    table = []
    for program, flags in steps():
        place = place_of(flags)
        files = [e["path"] for e in json.loads(Path(sealed_once, place).read_bytes())["outputs"]]
        table.append((program, line_of(program, flags), [*files, place]))
    return table


def test_fifty_killed_programs_make_the_same_bytes_when_they_are_started_again(sealed_once, jobs, tmp_path, tell):
    whole, lengths = contents(sealed_once / "results"), []
    server, rng, survived, reached, unfinished = Server(), random.Random(SEED), 0, set(), 0
    shutil.copytree(sealed_once / "results", tmp_path / "results")
    for program, line, files in jobs:
        for path in files:
            (tmp_path / path).unlink()
        code, calls, seconds = server.run(tmp_path, program, line)
        assert code == 0 and calls > 3, program
        lengths.append((calls, seconds))
    assert contents(tmp_path / "results") == whole, "and the programs make here what they made in the first place"
    for kill in range(KILLS):
        program, line, files = jobs[kill % len(jobs)]
        for path in files:
            (tmp_path / path).unlink()
        calls, seconds = lengths[kill % len(jobs)]
        when = {"kill_at": rng.randint(1, calls)} if kill % 2 else {"after": seconds * rng.uniform(0.05, 0.95)}
        code, _, _ = server.run(tmp_path, program, line, **when)
        manifest, others = files[-1], files[:-1]
        assert not Path(tmp_path, manifest).exists() or all(Path(tmp_path, path).exists() for path in others)
        if code == -signal.SIGKILL:
            reached.add(program)
            unfinished += not Path(tmp_path, manifest).exists()
        code, _, _ = server.run(tmp_path, program, line)
        now = contents(tmp_path / "results")
        assert code == 0 and now.keys() == whole.keys(), (program, when, now.keys() ^ whole.keys())
        assert now == whole, (program, when)
        survived += 1
    assert reached == {program for program, _ in steps()} and unfinished > KILLS // 2
    assert not any((tmp_path / "work").iterdir()), "checkpoints that have served are gone"
    tell(f"{KILLS} kills, {unfinished} of them before the manifest; {survived} survived with the same bytes")
