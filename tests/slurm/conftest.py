"""Slurm for the tests, and the faults, which are tried at the same time: most of a fault is waiting."""

import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from clone import Clone, Cluster


@pytest.fixture(scope="session")
def cluster():
    """Slurm, installed from Debian's packages where it is missing."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    cluster = Cluster(folder)
    done = cluster.do("up")
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no word"])[-1]
        shutil.rmtree(folder, ignore_errors=True)
        # Where Slurm is there and may be started it must come up; elsewhere there is nothing to try.
        (pytest.fail if shutil.which("slurmctld") and os.geteuid() == 0 else pytest.skip)(why)
    yield cluster
    assert cluster.do("down").returncode == 0


@pytest.fixture(scope="session")
def outcomes(request, cluster, tmp_path_factory):
    """Fault -> its future, of those that this session asks for; each in a clone of its own.

    A controller that is killed forgets the last seconds, of everybody's jobs: that fault waits until it is alone.
    """
    from test_faults import controller, long_base, whole_study

    asked = {item.callspec.params["fault"] for item in request.session.items if "outcomes" in item.fixturenames}
    with ThreadPoolExecutor(3) as pool:

        def run(work, *args):
            return pool.submit(work, Clone(tmp_path_factory.mktemp(work.__name__), cluster), *args)

        plain = {"study": run(whole_study), "base": run(long_base)}
        began = {
            fault: run(fault, plain) for fault in sorted(asked - {controller}, key=lambda f: f.__code__.co_firstlineno)
        }

        def alone(clone, plain):
            wait([*plain.values(), *began.values()])
            controller(clone, plain)

        yield began | ({controller: run(alone, plain)} if controller in asked else {})
