"""A launch is recorded, and taken up again where its process died. On a real Slurm: tests/slurm."""

import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from traitline.errors import InputError
from traitline.provenance import stage
from traitline.provenance.launch_lock import lock
from traitline.workflow import launch, launch_record, slurm, succession

STUDY = SimpleNamespace(folder="studies/x", results="studies/x/results", text="{}")
CODE = {"pretrain": "1", "train": "2"}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder without Slurm."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(slurm, "jobs", lambda name: [])
    monkeypatch.setattr(launch_record.atexit, "register", lambda f: None)
    return tmp_path


def dead():
    """The record of a launcher that has died."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    made = launch_record.begin(STUDY, "6c1f", lock(STUDY.folder, STUDY.text, CODE))
    made = launch_record.dataclasses.replace(made, pid=done.pid, born=1.0)
    made.write()
    return made


def job(state="RUNNING", reason="None"):
    return slurm.Job("17", state, "cpu", "cpu1", "0:12", reason, "rule_base_wildcards_a")


def test_a_launch_that_ended_refuses_nothing(here):
    launch.refuse(STUDY.folder)
    made = launch_record.begin(STUDY, "6c1f", "{}")
    assert made.alive
    launch.refuse(STUDY.folder)  # beside a living launcher Snakemake's own lock refuses
    made.end()
    launch.refuse(STUDY.folder)


def test_jobs_of_a_dead_launcher_are_not_submitted_a_second_time(here, monkeypatch):
    made = dead()
    with pytest.raises(InputError, match=r"died, and its jobs have ended; go on with: make resume$"):
        launch.refuse(STUDY.folder)
    monkeypatch.setattr(slurm, "jobs", lambda name: [job(), job("COMPLETED")])
    with pytest.raises(InputError, match=r"died, and 1 of its jobs are still there"):
        launch.refuse(STUDY.folder)
    launch_record.dataclasses.replace(made, ended=True).write()
    with pytest.raises(InputError, match=r"ended, and 1 of its jobs are still there"):
        launch.refuse(STUDY.folder)


def test_a_launcher_on_another_host_is_not_taken_for_dead(here, capsys):
    launch_record.dataclasses.replace(dead(), host="login2").write()
    with pytest.raises(InputError, match="was launched on login2"):
        launch.refuse(STUDY.folder)
    assert launch.main(["resume"]) == 2
    assert "say --gone if it is" in capsys.readouterr().err


def test_status_says_what_runs_and_what_failed(here, capsys, monkeypatch):
    assert launch.main(["status"]) == 0
    assert capsys.readouterr().out == "nothing was launched here through Slurm\n"
    made = dead()
    made.failures.write_text("train x: Slurm job 16 on cpu1: out of memory (300 MB), attempt 1\n")
    monkeypatch.setattr(slurm, "jobs", lambda name: [job("PENDING", "JobHeldUser")])
    assert launch.main(["status"]) == 0 and "rule_base_wildcards_a (JobHeldUser)" in capsys.readouterr().out
    monkeypatch.setattr(slurm, "jobs", lambda name: [job(), job("COMPLETED")])
    assert launch.main(["status"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("studies/x: launched ") and said[0].endswith(": died")
    assert said[1].split() == ["17", "RUNNING", "cpu", "cpu1", "0:12", "rule_base_wildcards_a"]
    assert said[2].startswith("train x: Slurm job 16") and len(said) == 3


def test_nothing_to_resume_is_one_line(here, capsys):
    assert launch.main(["resume"]) == 2
    assert capsys.readouterr().err == "launch: error: no launcher died here\n"


def test_without_an_answer_from_slurm_nothing_is_taken_for_ended(here, monkeypatch, capsys):
    dead()
    monkeypatch.setattr(slurm, "reachable", lambda: False)
    assert launch.main(["resume"]) == 2
    assert "Slurm does not answer" in capsys.readouterr().err


def test_who_resumes_is_told_of_a_job_that_waits_for_a_hand(here, monkeypatch, capsys):
    dead()
    answers = [[job("PENDING", "launch failed requeued held")], [job("COMPLETED")]]
    monkeypatch.setattr(slurm, "jobs", lambda name: answers.pop(0))
    monkeypatch.setattr(slurm, "reachable", lambda: False)
    monkeypatch.setattr(launch.time, "sleep", lambda seconds: None)
    launch.main(["resume"])
    assert "waiting for 1 job: 17; held, so they wait for you: scontrol release 17" in capsys.readouterr().out


def local(**changed):
    """The record of a launch on this host whose process has died."""
    made = launch_record.dataclasses.replace(dead(), name="", **changed)
    made.write()
    return made


def locked(results):
    """A lock as Snakemake leaves it."""
    locks = list(Path(".snakemake/locks").glob("*"))
    place = Path(".snakemake/locks", f"{len(locks)}.output.lock")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"{results}/bases/a/model.safetensors\n{results}/report.html\n")
    return place


def test_the_lock_of_a_dead_launcher_is_taken_away_and_no_other(here, capsys):
    mine, other = locked(STUDY.results), locked("studies/y/results")
    local()
    succession.succeed(STUDY)
    assert not mine.exists() and other.exists()
    assert "died; took its place\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changed, words",
    [
        ({"pid": os.getpid(), "born": launch_record._born(os.getpid())}, "this study is being run"),
        ({"host": "login2"}, r"was launched on login2 \(process \d+\); work there, or, .* make resume RESUME=--gone"),
        ({"machine": ["another", "", ""]}, "was launched on"),
        ({"machine": [*launch_record._machine()[:2], "another container"]}, "was launched on"),
    ],
    ids=["lives", "host", "machine of the same name", "container"],
)
def test_the_lock_of_a_launcher_that_may_live_stays(here, changed, words):
    lock = locked(STUDY.results)
    local(**changed)
    with pytest.raises(InputError, match=words):
        succession.succeed(STUDY)
    assert lock.exists()


def test_a_launcher_from_before_the_machine_was_started_again_is_dead(here):
    machine = launch_record._machine()
    lock = locked(STUDY.results)
    local(pid=os.getpid(), born=launch_record._born(os.getpid()), machine=[machine[0], "before", machine[2]])
    succession.succeed(STUDY)
    assert not lock.exists()


def test_a_dead_launcher_whose_parent_has_not_looked_yet_is_dead(here):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    born = psutil.Process(process.pid).create_time()
    launcher = launch_record.dataclasses.replace(dead(), pid=process.pid, born=born)
    assert launcher.alive
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, but not collected
    assert launcher.alive is False
    process.wait()


def test_a_launch_through_slurm_is_not_succeeded_here(here):
    lock = locked(STUDY.results)
    dead()
    succession.succeed(STUDY)
    assert lock.exists(), "its jobs are on other nodes: make resume"


def test_jobs_of_a_dead_launcher_are_ended_and_others_are_not(here):
    program = [sys.executable, "-c", "import time; print('there', flush=True); time.sleep(60)"]
    jobs = [
        subprocess.Popen(program, stdout=subprocess.PIPE, env={**os.environ, launch_record.LAUNCH: name})
        for name in ("theirs", "another")
    ]
    for job in jobs:
        job.stdout.readline()
    assert succession.end_jobs("theirs") == 1
    jobs[0].wait(timeout=10)
    assert jobs[1].poll() is None
    jobs[1].kill()
    jobs[1].wait()


def test_a_job_that_does_not_end_is_named(here):
    program = "import signal, time; signal.signal(15, signal.SIG_IGN); print('there', flush=True); time.sleep(60)"
    stubborn = [sys.executable, "-c", program]
    job_ = subprocess.Popen(stubborn, stdout=subprocess.PIPE, env={**os.environ, launch_record.LAUNCH: "theirs"})
    job_.stdout.readline()
    with pytest.raises(InputError, match=f"process {job_.pid}, a job of a launcher that died, does not end"):
        succession.end_jobs("theirs", patience=0.2)
    job_.kill()
    job_.wait()


def test_resume_runs_the_command_of_a_dead_local_launcher_again(here, monkeypatch, capsys):
    lock = locked(STUDY.results)
    made = local(command=["--cores", "all"])
    commands = []
    monkeypatch.setattr(
        launch.subprocess, "run", lambda command, **_: commands.append(command) or SimpleNamespace(returncode=0)
    )
    assert launch.main(["status"]) == 0 and capsys.readouterr().out.endswith(": died\n")
    assert launch.main(["resume"]) == 0
    assert commands == [[*launch.SNAKEMAKE, "--cores", "all"]] and not lock.exists() and not made.path.exists()


def test_a_damaged_record_is_no_launch(here):
    dead()
    launch_record.place(STUDY.folder).write_text("{")
    launch.refuse(STUDY.folder)


def test_the_arguments_that_say_which_study_it_is():
    command = [
        "--profile",
        "slurm",
        "--configfile",
        "a.yaml",
        "b.yaml",
        "--jobs",
        "3",
        "--config",
        "folder=x",
        "--",
        "t",
    ]
    assert launch.configuration(command) == ["--configfile", "a.yaml", "b.yaml", "--config", "folder=x"]


def test_only_whole_files_of_slurm_jobs_that_nobody_wrote_down_are_orphans(here, monkeypatch):
    for name, number in (("mine", "17"), ("local", None), ("edited", "17"), ("known", "17")):
        if number:
            monkeypatch.setenv("SLURM_JOB_ID", number)
        else:
            monkeypatch.delenv("SLURM_JOB_ID", raising=False)
        with stage.record(
            "pretrain", f"r/{name}/pretrain.manifest.json", inputs={}, outputs={"a": f"r/{name}/a.txt"}
        ) as made:
            made.path("a").write_text(name)
    (here / "r/edited/a.txt").write_text("changed")
    record = here / ".snakemake/metadata" / urlsafe_b64encode(b"r/known/pretrain.manifest.json").decode()
    record.parent.mkdir(parents=True)
    record.touch()
    assert launch.orphans("r") == ["r/mine/a.txt", "r/mine/pretrain.manifest.json"]
