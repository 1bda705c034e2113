"""Warm starts: a job that is forked is the job that bash would have started; whatever else is asked for starts cold."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.clone import Clone, copy, tiny
from traitline.provenance import manifest
from traitline.workflow import warm_start
from traitline.workflow.warm_start import Started, Starter

JOB = """
import json, os, sys, time
what = sys.argv[1]
if what == "tell":
    import signal
    stat = open("/proc/self/stat").read().rpartition(")")[2].split()
    blocked = sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))
    handlers = [str(signal.getsignal(number)) for number in (2, 13, 15, 17)]
    variables = {k: v for k, v in os.environ.items() if k not in ("_", "SHLVL", "OLDPWD", "PWD")}
    variables |= {"OPENBLAS_CORETYPE": "", "OPENBLAS_NUM_THREADS": ""}
    print(json.dumps([
        sys.argv[1:], __name__, os.getcwd(), sys.path, variables, stat[2:4], blocked, handlers,
        os.path.samestat(os.fstat(1), os.fstat(2)), sys.stdout.encoding, len(os.listdir("/proc/self/task")),
    ]))
    print("torch" in sys.modules)
elif what == "sleep":
    print("begins", flush=True)
    time.sleep(60)
else:
    exec(what)
"""
pytestmark = pytest.mark.skipif(not warm_start.has_pidfd(), reason="warm starts are for Linux")


class Jobs:
    """Starts jobs in a folder of its own, all by one server."""

    def __init__(self, root):
        self.starter = Starter()
        self.root, self.number = root, 0
        path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])  # as rules/common.smk has it
        self.environment = {**os.environ, "PATH": path, "MARK": "here"}

    def start(self, *words, cold=False, **more):
        """The process of `python -m scripts.train words`, and its log."""
        self.number += 1
        log = self.root / f"{self.number}.log"
        command = f"set -euo pipefail; exec  python -m scripts.train {shlex.join(words)}  > {log} 2>&1"
        launch = subprocess.Popen if cold else self.starter.start
        return launch(command, shell=True, executable="/bin/bash", env={**self.environment, **more}), log

    def begun(self):
        """A job that sleeps."""
        process, log = self.start("sleep")
        until(lambda: log.exists() and "begins" in log.read_text())
        return process


def until(holds):
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("warm")
    (root / "scripts").mkdir()
    (root / "scripts/__init__.py").touch()
    (root / "scripts/train.py").write_text(JOB)
    return root


@pytest.fixture(scope="module")
def shared(folder):
    """Jobs of one server, which lives as long as the tests of this module."""
    before = os.getcwd()
    os.chdir(folder)
    here = Jobs(folder)
    assert here.start("pass")[0].wait() == 0
    os.chdir(before)
    yield here
    server = here.starter.server
    here.starter.close()
    assert server.returncode == 0


@pytest.fixture
def jobs(shared, monkeypatch):
    monkeypatch.chdir(shared.root)
    monkeypatch.delenv(warm_start.COLD, raising=False)
    return shared


def test_a_job_finds_what_it_finds_in_a_process_of_its_own(jobs):
    """Words, folder, environment, process group, session, signals, threads; only torch is there already."""
    words = ("tell", "with blanks", "", "'quoted'", "$HOME", '{"a": [1]}', "x;y > z", "two\nlines")
    (warm, log), (cold, wanted) = jobs.start(*words), jobs.start(*words, cold=True)
    assert warm.wait() == cold.wait() == 0
    assert isinstance(warm, Started) and isinstance(cold, subprocess.Popen)
    (told, torch), (expected, no_torch) = log.read_text().splitlines(), wanted.read_text().splitlines()
    assert json.loads(told) == json.loads(expected) and json.loads(told)[0] == list(words)
    assert (torch, no_torch) == ("True", "False")


@pytest.mark.parametrize(
    "code", ["sys.exit(3)", "1 / 0", "sys.exit('a word')", "os.kill(os.getpid(), 15)", "os._exit(7)"]
)
def test_a_job_ends_as_it_ends_in_a_process_of_its_own(jobs, code):
    (warm, log), (cold, wanted) = jobs.start(code), jobs.start(code, cold=True)
    assert warm.wait() == cold.wait() != 0
    assert log.read_text().splitlines()[-1:] == wanted.read_text().splitlines()[-1:]


def test_many_jobs_side_by_side(jobs):
    started = [jobs.start(f"time.sleep({i % 5} / 50); os._exit({i})") for i in range(40)]
    assert [process.wait() for process, _ in started] == list(range(40))
    assert len({process.pid for process, _ in started}) == 40
    jobs.begun().kill()  # the server has read since that all of them are known to have ended
    assert not any(psutil.pid_exists(process.pid) for process, _ in started)


def test_a_job_that_ended_can_be_looked_at_until_its_end_is_known(jobs):
    """As a child of Snakemake's: `snakemake.benchmark` asks for the process after it was started."""
    process, _ = jobs.start("pass")
    until(lambda: not process.answers.empty())
    assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
    assert process.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_job_can_be_ended(jobs, number):
    process = jobs.begun()
    {signal.SIGTERM: process.terminate, signal.SIGKILL: process.kill}.get(
        number, lambda: os.kill(process.pid, number)
    )()
    assert process.wait() == -number
    process.kill()  # it is over, and its number may be another's


def test_the_server_lets_interrupts_pass(jobs):
    for number in (signal.SIGINT, signal.SIGTERM):
        jobs.starter.server.send_signal(number)
    assert jobs.start("pass")[0].wait() == 0


def test_a_job_of_another_environment_starts_cold(jobs):
    assert isinstance(jobs.start("pass", MARK="here")[0], Started)
    process, _ = jobs.start("pass", MARK="there")
    assert isinstance(process, subprocess.Popen) and process.wait() == 0


def test_jobs_of_a_server_that_was_killed_fail(jobs):
    others = Jobs(jobs.root)
    process = others.begun()
    others.starter.server.kill()
    assert process.wait() == -signal.SIGKILL
    until(lambda: not psutil.pid_exists(process.pid))  # it does not go on unseen
    cold, _ = others.start("pass")
    assert isinstance(cold, subprocess.Popen) and cold.wait() == 0


COMMAND = "set -euo pipefail; exec  python -m scripts.train --base 'x y' > a.log 2>&1"


@pytest.mark.parametrize(
    "before, now",
    [
        ("", ""),
        ("set", "source activate e; set"),
        ("'x y'", "$HOME"),
        ("'x y'", "*.py"),
        ("'x y'", "x; rm y"),
        ("'x y'", "x | tee"),
        ("a.log", "'a b.log'"),
        ("2>&1", "2>&1; true"),
        ("exec  ", ""),
        ("scripts.train", "other.train"),
        ("scripts.train", "scripts.filter"),
        ("--base", """--engine '{"name":"vllm"}' --base"""),
        ("--base", """--settings '{"trains":"context","examples":2}' --base"""),
        ("--base", "--settings @work/words/1.json --base"),
        ("train --base", "teach --teacher untrained --base"),
        ("train --base", "pretrain --source '{}' --base"),
        ("--base", "--state . --base"),
    ],
)
def test_any_other_command_starts_cold(before, now, monkeypatch):
    monkeypatch.delenv(warm_start.COLD, raising=False)
    warm = (["scripts.train", "--base", "x y"], "a.log")
    assert warm_start.parsed(COMMAND.replace(before, now, 1)) == (None if now else warm if not before else None)


def test_a_variable_turns_warm_starts_off(monkeypatch):
    monkeypatch.delenv(warm_start.COLD, raising=False)
    assert warm_start.parsed(COMMAND)
    monkeypatch.setenv(warm_start.COLD, "1")
    assert warm_start.parsed(COMMAND) is None


def manifests(results):
    """File -> what its job was and where it ran."""
    return {
        path.relative_to(results).as_posix(): {**manifest.load(path), "started": None, "ended": None}
        for path in results.rglob("*.manifest.json")
    }


def test_a_study_has_the_same_artifacts_warm_and_cold(tmp_path, monkeypatch):
    """Real programs, from a base to a student's answers; the manifests too, with the packages that jobs imported."""
    copy(tmp_path, "scripts")
    Clone(tmp_path).edit(tiny)
    server = tmp_path / "traitline/workflow/warm_server.py"
    argv = '    sys.argv = job["words"]\n'
    assert argv in server.read_text()
    server.write_text(
        server.read_text().replace(argv, f"""{argv}    print(job["words"][0], file=open("forked", "a"))\n""")
    )
    target = "results/a/owl/tuned/numbers/plain/a/lora/seed-1/favourite/responses.jsonl"
    results = {}
    monkeypatch.delenv(warm_start.COLD, raising=False)
    for name in ("warm", "cold"):
        clone = Clone(tmp_path, cold=name == "cold")
        clone.run(target)
        results[name] = clone.path("results").rename(tmp_path / name)
    files = [path.relative_to(results["warm"]) for path in results["warm"].rglob("*") if path.is_file()]
    assert len(files) > 20
    for file in files:
        if not file.name.endswith("manifest.json"):
            assert (results["warm"] / file).read_bytes() == (results["cold"] / file).read_bytes(), file
    warm, cold = manifests(results["warm"]), manifests(results["cold"])
    assert warm == cold
    with_torch = {m["stage"] for m in warm.values() if "torch" in m["env"]["packages"]}
    assert with_torch == {"pretrain", "teach", "sample", "train", "respond"}
    forked = (tmp_path / "forked").read_text().split()
    assert sorted(forked) == sorted(f"scripts.{stage}" for stage in with_torch)


def test_failures_are_named_and_the_others_go_on(clone):
    """As those of jobs that bash starts: exit code, the log's last line, what Snakemake says of the command."""
    stage = clone.path("scripts/pretrain.py")
    stage.write_text(
        stage.read_text().replace("def main(argv):\n", "def main(argv):\n    sys.exit('pretrain: error: no')\n")
    )
    for base in "ab":
        clone.path(f"results/bases/{base}/model.safetensors").unlink()
    bases = [f"results/bases/{base}/model.safetensors" for base in "ab"]
    done = Clone(clone.root, cold=False).snakemake("--cores", "2", "--keep-going", *bases)
    cold = clone.snakemake("--cores", "2", "--keep-going", *bases)
    assert done.returncode == cold.returncode == 1
    for base in "ab":
        assert f"logs/pretrain/{base}.log: pretrain: error: no\n" in done.stderr
        assert f"logs/pretrain/{base}.log: pretrain: error: no\n" in cold.stderr


def test_a_killed_launcher_leaves_its_jobs_and_no_server(clone):
    """As with jobs that bash starts: the next launch ends them and goes on."""
    stage = clone.path("scripts/pretrain.py")
    slow = 'def main(argv):\n    if os.path.exists("slow"):\n        Path("number").write_text(str(os.getpid()))\n'
    text = stage.read_text().replace("def main(argv):\n", f"{slow}        time.sleep(300)\n")
    stage.write_text(text.replace("import json\n", "import json\nimport os\nimport time\n"))
    clone.path("slow").touch()
    shutil.rmtree(clone.path("results/bases/a"))
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "results/bases/a/model.safetensors"]
    environment = {k: v for k, v in os.environ.items() if k != warm_start.COLD}
    with open(clone.path("said"), "w") as said:
        launcher = subprocess.Popen(command, cwd=clone.root, env=environment, stdout=said, stderr=said)
    until(lambda: clone.path("number").exists() and clone.path("number").read_text())
    job = psutil.Process(int(clone.path("number").read_text()))
    server = job.parent()
    assert server.ppid() == launcher.pid and os.getpgid(job.pid) == os.getpgid(launcher.pid)
    launcher.kill()
    launcher.wait()
    server.wait(60)
    assert job.is_running() and job.status() != psutil.STATUS_ZOMBIE
    clone.path("slow").unlink()
    assert "ended 1 of its jobs" in clone.run(command[-1])
    assert not job.is_running() or job.status() == psutil.STATUS_ZOMBIE


def test_an_interrupt_ends_jobs_and_server(clone):
    """Ctrl-C of a terminal: SIGINT to the whole process group.

    The job makes a folder, not a file: an interrupt while Python discards an open file is swallowed.
    """
    stage = clone.path("scripts/pretrain.py")
    text = stage.read_text().replace("def main(argv):\n", "def main(argv):\n    os.mkdir('b')\n    time.sleep(300)\n")
    stage.write_text(text.replace("import json\n", "import json\nimport os\nimport time\n"))
    Path(clone.path("results/bases/a/model.safetensors")).unlink()
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "results/bases/a/model.safetensors"]
    environment = {k: v for k, v in os.environ.items() if k != warm_start.COLD}
    launcher = subprocess.Popen(
        command, cwd=clone.root, env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until(clone.path("b").exists)
    family = psutil.Process(launcher.pid).children(recursive=True)
    assert len(family) == 2
    os.killpg(launcher.pid, signal.SIGINT)
    assert launcher.wait(60) != 0
    assert not psutil.wait_procs(family, timeout=60)[1]
