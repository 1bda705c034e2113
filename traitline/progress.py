"""Progress of long work: a bar on a terminal, lines in a log, which `traitline.workflow.screen` reads."""

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator

log = logging.getLogger("traitline")

OFTEN = 2.0  # seconds between lines in a log at first
SHARE = 0.05  # and later this share of the time since the start, so that a long training has a hundred lines or two


@contextlib.contextmanager
def shown(
    label: str | None, total: int, *, done: int = 0, unit: str = "steps", loss: Callable[[], float] | None = None
) -> Iterator[Callable[[int], object]]:
    """Show how far work is: `base a: 120 of 250 steps, loss 1.2340`. Yields what to call with each number done.

    Args:
        label: of the work; None: nothing is shown.
        total: of all that is to do.
        done: what was done before.
        unit: what is counted.
        loss: called for the loss now, in nats.
    """
    if label is None or sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(
            total=total, initial=done, desc=label, unit="", disable=label is None, leave=False, mininterval=0.5
        ) as bar:
            yield lambda more: bar.update(more)
        return
    start = last = time.monotonic()

    def update(more: int = 1) -> None:
        nonlocal done, last
        done += more
        now = time.monotonic()
        if now - last >= max(OFTEN, SHARE * (now - start)) and done < total:
            last = now
            log.info("%s: %d of %d %s%s", label, done, total, unit, f", loss {loss():.4f}" if loss else "")

    yield update
