"""What Slurm says of a job, and why it failed: texts of Slurm 22.05, with and without cgroups and accounting."""

import stat

import pytest

from traitline.workflow import slurm

SHOWN = (
    "JobId=17 JobName=6c1f UserId=root(0) Priority=4294901758 Nice=0 Account=(null) QOS=(null) JobState=FAILED"
    " Reason=JobLaunchFailure Dependency=(null) Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=1:0 RunTime=00:00:12"
    " TimeLimit=00:30:00 TimeMin=N/A NodeList=cpu1 BatchHost=cpu1 Command=(null) Comment=rule_base_wildcards_a"
)
STOPPED = "base: terminated; nothing half-written is left, run again to go on"


@pytest.fixture
def says(tmp_path, monkeypatch):
    """Put commands on PATH that say something."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def command(name, text, code=0):
        file = tmp_path / name
        file.write_text(
            f"#!/bin/sh\nexec /bin/cat <<'EOF'\n{text}\nEOF\n" if code == 0 else f"#!/bin/sh\nexit {code}\n"
        )
        file.chmod(file.stat().st_mode | stat.S_IXUSR)

    return command


def test_jobs_are_read_from_squeue(says):
    waits = "18|PENDING|gpu||0:00|Resources|rule_train|odd\n19|PENDING|cpu||0:00|launch failed requeued held|rule_base"
    says("squeue", f"17|RUNNING|cpu|cpu1|0:12|None|rule_base_wildcards_a\n{waits}\n")
    first, second, third = slurm.jobs("6c1f")
    assert (first.id, first.node, first.over) == ("17", "cpu1", False)
    assert (second.comment, second.over) == ("rule_train|odd", False)
    assert [job.held for job in (first, second, third)] == [False, False, True]
    says("squeue", "17|COMPLETED|cpu|cpu1|0:12|None|rule_base\n")
    assert slurm.jobs("6c1f")[0].over


def test_no_slurm_is_no_jobs(says):
    assert slurm.jobs("6c1f") == [] and not slurm.reachable() and slurm.facts("17")["JobState"] == "UNKNOWN"


def test_facts_come_from_scontrol_and_where_it_forgot_from_the_accounting(says):
    says("scontrol", SHOWN)
    assert slurm.facts("17")["JobState"] == "FAILED" and slurm.facts("17")["NodeList"] == "cpu1"
    says("scontrol", "", code=1)
    says("sacct", "CANCELLED by 0|cpu2|00:01:00|00:30:00")
    assert slurm.facts("17") == {
        "JobState": "CANCELLED", "NodeList": "cpu2", "RunTime": "00:01:00", "TimeLimit": "00:30:00"
    }  # fmt: skip


OVER = "slurmstepd: error: Job 17 exceeded memory limit (300000 > 256000)"
KILLED = "slurmstepd: error: Detected 1 oom-kill event(s)"
UNFINISHED = "WorkflowError: At least one job did not complete successfully."


@pytest.mark.parametrize(
    ("state", "ran", "limit", "said", "log", "cause"),
    [
        ("OUT_OF_MEMORY", "00:00:09", "00:30:00", "", "", "memory"),
        ("FAILED", "00:00:09", "00:30:00", "", OVER, "memory"),
        ("FAILED", "00:00:09", "00:30:00", "", KILLED, "memory"),
        ("FAILED", "00:00:09", "00:30:00", "torch.OutOfMemoryError: out of memory", "", "memory"),
        ("TIMEOUT", "00:30:10", "00:30:00", "", "", "time"),
        ("FAILED", "00:29:05", "00:30:00", STOPPED, UNFINISHED, "time"),
        ("FAILED", "00:05:00", "00:30:00", STOPPED, UNFINISHED, "program"),
        ("FAILED", "00:29:05", "00:30:00", "", UNFINISHED, "time"),
        ("FAILED", "00:05:00", "00:30:00", "", UNFINISHED, "program"),
        ("FAILED", "00:29:50", "00:30:00", "ValueError: 1", "", "program"),
        ("FAILED", "1-00:29:50", "UNLIMITED", STOPPED, "", "program"),
        ("NODE_FAIL", "00:00:09", "00:30:00", "", "", "node"),
        ("CANCELLED", "00:29:50", "00:30:00", STOPPED, "", "cancelled"),
        ("UNKNOWN", "", "", "", "", "program"),
    ],
)
def test_the_cause_of_a_failure(state, ran, limit, said, log, cause):
    assert slurm.cause({"JobState": state, "RunTime": ran, "TimeLimit": limit}, said, log) == cause


@pytest.mark.parametrize(
    ("text", "number"), [("00:30:00", 1800), ("2-01:00:01", 176401), ("UNLIMITED", None), ("", None)]
)
def test_times_are_read(text, number):
    assert slurm.seconds(text) == number


def test_the_tail_of_a_log(tmp_path):
    (tmp_path / "empty.log").write_text("\n \n")
    (tmp_path / "job.log").write_bytes(b"one\ntwo\n\nthr\xffee\nfour\n")
    assert slurm.tail(tmp_path / "job.log") == ["two", "thr\ufffdee", "four"]
    assert slurm.tail(tmp_path / "empty.log") == slurm.tail(tmp_path / "none.log") == []


SBATCH = """SLURM sbatch failed. The error message was 'sbatch: error: Batch job submission failed:
  Invalid account or account/partition combination specified'.
    sbatch call:
        sbatch --parsable --job-name 5e4c
"""


def test_what_sbatch_said_of_a_job_that_it_refused():
    words = "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified"
    assert slurm.refusal(SBATCH) == words and not slurm.BUSY.search(words)
    busy = SBATCH.replace("Invalid account or account/partition combination specified", "Socket timed out")
    assert slurm.BUSY.search(slurm.refusal(busy)), "another attempt can help"
    assert slurm.refusal("SLURM job submission failed: no output") == "SLURM job submission failed: no output"
    assert slurm.refusal("the program's own error") is None
