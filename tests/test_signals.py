"""A signal ends a program at once, or, where a checkpoint is due, a moment later."""

import os
import signal

import pytest

from traitline import signals


@pytest.fixture(autouse=True)
def handlers():
    """Handlers as a stage program has them, for one test."""
    before = {number: signal.getsignal(number) for number in signals.SIGNALS}
    signals.install()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", signals.SIGNALS)
def test_a_signal_ends_at_once(number):
    with pytest.raises(signals.Halt):
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", signals.SIGNALS)
def test_work_in_hand_is_told_and_not_interrupted(number):
    with signals.held() as asked:
        assert not asked()
        os.kill(os.getpid(), number)
        assert asked()
    with pytest.raises(signals.Halt):
        os.kill(os.getpid(), number)
