"""How far a run is, from records as Snakemake writes them and from logs of jobs."""

import logging
import os
import time

import pytest

from traitline.workflow.run_progress import RunProgress, spell_time

STAGES = {"pretrain": "pretrain", "train_lora": "train", "train_lora_2": "train"}


def record(event, **facts):
    """A record of Snakemake's log."""
    made = logging.LogRecord("snakemake", logging.INFO, "", 0, "", None, None)
    made.__dict__.update(event=event, **facts)
    return made


@pytest.fixture
def run():
    """A run of three jobs."""
    run = RunProgress(STAGES)
    run.take(record("run_info", stats={"train_lora": 1, "train_lora_2": 1, "pretrain": 1, "all": 1, "total": 4}))
    return run


def start(run, number, rule, log):
    run.take(record("job_info", jobid=number, rule_name=rule, log=[log]))


def test_rules_of_one_stage_are_counted_together_in_the_order_of_the_pipeline(run):
    assert list(run.total.items()) == [("pretrain", 1), ("train", 2)] and run.jobs == 3


def test_a_job_has_the_name_of_its_log_and_is_counted_when_it_ends(run):
    start(run, 7, "train_lora_2", "logs/train/a/owl/tuned/lora/stack-1.log")
    assert run.running[7].name == "train a/owl/tuned/lora/stack-1"
    line = run.take(record("job_finished", job_id=7))
    assert line.startswith("1/3  train a/owl/tuned/lora/stack-1  0:0") and not run.running
    start(run, 8, "pretrain", "logs/pretrain/a.log")
    assert run.take(record("job_error", jobid=8)) is None and run.failed == {"pretrain": 1}


def test_a_training_tells_steps_loss_and_time_left(run, tmp_path):
    log = tmp_path / "x.log"
    start(run, 1, "pretrain", log)
    job, now = run.running[1], time.time()
    assert job.line(now) == "waits"
    log.write_text("")
    assert job.line(now + 5) == "0:05"
    log.write_text("12:00:00 pretrain: base a: 100 of 300 steps, loss 1.5000\n")
    assert job.line(now + 10) == "100 of 300 steps, loss 1.5000"
    log.write_text("x" * 9000 + "\n12:00:10 pretrain: base a: 200 of 300 steps, loss 0.7\n")
    assert job.line(now + 20) == "200 of 300 steps, loss 0.7, 0:10 left"
    log.write_bytes(b"\xff\xfe 250 of 300 \x1b[31msteps, loss \x1b]0;x\n")
    assert "\x1b" not in job.line(now + 30)


def test_the_log_of_an_earlier_attempt_is_none(run, tmp_path):
    log = tmp_path / "x.log"
    log.write_text("1 of 2 steps\n")
    os.utime(log, (1, 1))
    start(run, 1, "pretrain", log)
    assert run.running[1].line(time.time()) == "waits"


def test_times_are_spelled_as_a_clock_has_them():
    assert [spell_time(s) for s in (0, 65, 3725)] == ["0:00", "1:05", "1:02:05"]
