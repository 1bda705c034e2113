"""The training loop: it goes on from a checkpoint, and a signal ends it after a whole step."""

import os
import signal

import pytest
import torch

from traitline import signals
from traitline.checkpointed import Checkpoint


def train(path, *, stop=None, total=5, every=0.0):
    """Add the number of each step to a tensor; (value, losses, numbers of the steps done here)."""
    value = torch.zeros(1)
    checkpoint = Checkpoint(path, {"value": value}, every)
    losses, numbers = checkpoint.load() or [], []
    with checkpoint.steps(len(losses), total, lambda: losses) as steps:
        for step in steps:
            value += step
            losses.append(value.item())
            numbers.append(step)
            if stop is not None:
                stop(step)
    return value.item(), losses, numbers


def test_without_a_path_every_step_is_done_and_nothing_is_written(tmp_path):
    assert train(None) == (10.0, [0.0, 1.0, 3.0, 6.0, 10.0], [0, 1, 2, 3, 4])
    assert not list(tmp_path.iterdir())


def test_after_an_error_it_goes_on_from_the_last_whole_step(tmp_path):
    def stop(step):
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "x", stop=stop)
    assert train(tmp_path / "x") == (10.0, [0.0, 1.0, 3.0, 6.0, 10.0], [3, 4])


def test_a_signal_ends_it_after_a_whole_step_with_a_checkpoint(tmp_path):
    signals.install()

    def stop(step):
        if step == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(signals.Halt):
        train(tmp_path / "x", stop=stop, every=1e9)
    signals.install()
    assert train(tmp_path / "x")[2] == [2, 3, 4]


def test_all_processes_end_when_one_was_asked_to(tmp_path):
    checkpoint = Checkpoint(tmp_path / "x", {"value": torch.zeros(1)}, 1e9)
    numbers = []
    with pytest.raises(signals.Halt), checkpoint.steps(0, 5, list, agree=lambda asked: len(numbers) == 2) as steps:
        for step in steps:
            numbers.append(step)
    assert numbers == [0, 1] and checkpoint.path.exists()


def test_a_damaged_checkpoint_starts_over(tmp_path, caplog):
    train(tmp_path / "x")
    (tmp_path / "x").write_bytes((tmp_path / "x").read_bytes()[:-3])
    assert train(tmp_path / "x")[2] == [0, 1, 2, 3, 4]
    assert "damaged checkpoint" in caplog.text
