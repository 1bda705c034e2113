"""SIGTERM and SIGUSR1, sent by a scheduler before it kills: an end at once, or once the work in hand is safe."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class Halt(BaseException):
    """The process was asked to stop."""


class _State:
    held = False
    asked = False


def _handle(_signum: int, _frame: object) -> None:
    _State.asked = True
    if not _State.held:
        raise Halt


def install() -> None:
    """Make every later signal raise `Halt`."""
    _State.asked = False
    with suppress(ValueError):  # only the main thread may set handlers; tests call from others
        for number in SIGNALS:
            signal.signal(number, _handle)


@contextmanager
def held() -> Iterator[Callable[[], bool]]:
    """Hold signals back: the work asks whether one came, writes a checkpoint and stops."""
    _State.held = True
    try:
        yield lambda: _State.asked
    finally:
        _State.held = False
