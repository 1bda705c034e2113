"""Progress of long work as lines of a log, rare enough, and readable by the screen."""

import logging

import pytest

from traitline import progress
from traitline.workflow.run_progress import STEPS


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on when it is told."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_ever_rarer_lines_with_steps_and_loss(clock, caplog):
    caplog.set_level(logging.INFO, "traitline")
    with progress.shown("base a", 1000, loss=lambda: clock[0] / 1000) as update:
        for _ in range(1000):
            clock[0] += 1
            update(1)
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "base a: 2 of 1000 steps, loss 0.1020" and 60 < len(lines) < 120
    assert [STEPS.search(line).groups() for line in lines[:2]] == [
        ("2", "1000", "steps", "0.1020"),
        ("4", "1000", "steps", "0.1040"),
    ]
    assert not any(line.startswith("base a: 1000 of") for line in lines), "the end has a line of its own"


def test_work_that_went_on_counts_from_where_it_was(clock, caplog):
    caplog.set_level(logging.INFO, "traitline")
    with progress.shown("sampling", 50, done=40, unit="answers") as update:
        clock[0] += 3
        update(5)
    assert [record.getMessage() for record in caplog.records] == ["sampling: 45 of 50 answers"]


def test_without_a_label_nothing_is_shown(clock, caplog, capsys):
    caplog.set_level(logging.INFO, "traitline")
    with progress.shown(None, 5) as update:
        clock[0] += 100
        update(1)
    assert not caplog.records and capsys.readouterr().err == ""
