"""A run of the workflow on a terminal: one living screen, or plain lines where there is no terminal.

It takes the place of Snakemake's own handler of log records, which prints ten lines a job. Snakemake's file of the
whole log stays.
"""

import atexit
import logging
import os
import re
import sys
import threading
import time
from typing import TYPE_CHECKING

from traitline.errors import LONGEST_LINE, visible
from traitline.plurals import counted
from traitline.workflow.run_progress import RunProgress, spell_time

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

REPLACED = "DefaultStreamHandler"  # Snakemake's handler
HEARTBEAT = 60.0  # seconds between lines of what runs, where there is no terminal
# Messages of Snakemake that say nothing a bar or a line of ours does not say.
SKIPPED = re.compile(
    r"Select jobs to execute|Execute \d+ jobs|Building DAG|Using shell|Provided (cores|resources)|Rules claiming more"
    r"|Conda environments: ignored|Assuming unrestricted|Elapsed time|Reasons:|host:|Removing output files of failed"
    r"|Shutting down, this might|Exiting because a job|Resuming incomplete|\w*Exception:|CalledProcessError"
    r"|WorkflowError:\s+At least one job did not|Will exit after finishing|Storing output|None$|Trying to restart|$"
)
SHOWN = ("error", "None", "")  # events whose messages are printed; jobs have lines of their own


def print_whole(line: str) -> None:
    """Print a line on stderr with its end in one piece: jobs fail at the same moment, each in a thread of its own."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


class PlainLines(logging.Handler):
    """A line for each job that is done, and every minute one for what runs."""

    def __init__(self, progress: RunProgress) -> None:
        super().__init__()
        self.progress = progress
        self.ended = threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Print what a record says."""
        try:
            line = self.progress.take(record)
            if getattr(record, "event", None) == "run_info":
                jobs = ", ".join(f"{stage} {n}" for stage, n in self.progress.total.items())
                line = f"{counted(self.progress.jobs, 'job')}: {jobs}"
            if line := line or message(record):
                self.put(line)
        except (OSError, ValueError, LookupError, AttributeError):  # a run goes on without a line
            self.handleError(record)

    def put(self, line: str) -> None:
        """Print a line."""
        print_whole(line)

    def _beat(self) -> None:
        while not self.ended.wait(HEARTBEAT):
            now = time.time()
            with self.lock or threading.RLock():
                for job in list(self.progress.running.values()):
                    self.put(f"{self.progress.counted}  {job.name}: {job.line(now)}")

    def stop(self) -> None:
        """Print no more of what runs."""
        self.ended.set()

    def close(self) -> None:
        """Stop, as Snakemake does at its end."""
        self.stop()
        super().close()


class Screen(PlainLines):
    """Bars of stages and the jobs that run, drawn anew four times a second."""

    def __init__(self, progress: RunProgress, title: str, console: "Console") -> None:
        from rich.live import Live

        super().__init__(progress)
        self.title = title
        self.console = console
        self.live: Live | None = Live(
            get_renderable=self._view, console=console, refresh_per_second=4, transient=True, vertical_overflow="crop"
        )
        atexit.register(self.stop)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record in; print it above the bars if it is a message."""
        try:
            self.progress.take(record)
            if getattr(record, "event", None) == "run_info" and self.live:
                self.live.start()
            if line := message(record):
                self.put(line)
        except (OSError, ValueError, LookupError, AttributeError):  # a run goes on without a line
            self.handleError(record)

    def put(self, line: str) -> None:
        """Print a line above the bars."""
        self.console.print(line, markup=False, highlight=False)

    def _beat(self) -> None:
        """Print no line for what runs: the screen shows it."""

    def _view(self) -> "RenderableType":
        # Without the handler's lock: who prints holds it and waits for the screen's, which is held here.
        return view(self.progress, self.title, self.console)

    def stop(self) -> None:
        """Take the bars away and leave one line for each stage."""
        live, self.live = self.live, None
        if live and live.is_started:
            live.stop()
            p = self.progress
            stages = ", ".join(f"{stage} {p.done[stage]}" for stage in p.total if stage in p.done)
            self.put(f"{self.title}: {p.counted.strip()} jobs in {spell_time(time.time() - p.began)}: {stages}")
        super().stop()


def message(record: logging.LogRecord) -> str | None:
    """Text of a record that is no job's and that people should see; None for any other."""
    event, text = str(getattr(record, "event", None) or ""), record.getMessage()
    if event not in SHOWN or SKIPPED.match(text) or record.levelno < logging.INFO:
        return None
    return "\n".join(visible(line, LONGEST_LINE) for line in text.splitlines())


def view(p: RunProgress, title: str, out: "Console") -> "RenderableType":
    """Draw a run: a bar for each stage that is not done, a line for those that are, a line for each job that runs."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    now = time.time()
    head = f"{title}  {p.counted.strip()} jobs  {spell_time(now - p.began)}"
    parts: list[RenderableType] = [Text(head, style="bold", no_wrap=True, overflow="ellipsis")]
    done = [f"{stage} {n}" for stage, n in list(p.total.items()) if p.done.get(stage) == n]
    if done:
        parts.append(Text(f"done: {', '.join(done)}", style="dim"))
    bars = Table.grid(padding=(0, 1), expand=True)
    bars.add_column(no_wrap=True)
    bars.add_column(ratio=1)
    bars.add_column(justify="right", no_wrap=True)
    for stage, n in list(p.total.items()):
        if (ready := p.done.get(stage, 0)) < n:
            failed = f", {p.failed[stage]} failed" if stage in p.failed else ""
            bars.add_row(stage, ProgressBar(n, ready), f"{ready}/{n}{failed}")
    parts.append(bars)
    jobs = Table.grid(padding=(0, 1), expand=True)
    jobs.add_column(no_wrap=True, ratio=1)
    jobs.add_column(justify="right", no_wrap=True)
    room = max(1, out.height - len(bars.rows) - 4)
    for job in list(p.running.values())[:room]:
        line = job.line(now)
        jobs.add_row(_shortened(job.name, out.width - len(line) - 1), line)
    if len(p.running) > room:
        jobs.add_row(f"and {len(p.running) - room} more", "")
    parts.append(jobs)
    return Group(*parts)


def _shortened(name: str, room: int) -> str:
    """A job's name with its middle left out, if it is longer: the end tells jobs of a stage apart."""
    stage = name.split(" ")[0]
    end = max(room - len(stage) - 3, 4)
    return name if len(name) <= room else f"{stage} ..{name[-end:]}"


def terminal() -> bool:
    """Tell whether standard output and error are a terminal that can draw a line anew."""
    return sys.stdout.isatty() and sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


def take_over(logger: logging.Logger, progress: RunProgress, title: str) -> PlainLines | None:
    """Put a screen in the place of Snakemake's handler; None where Snakemake has another one (`--logger`)."""
    replaced = next((handler for handler in logger.handlers if handler.name == REPLACED), None)
    if replaced is None:
        return None
    if terminal():
        from rich.console import Console

        handler: PlainLines = Screen(progress, title, Console(highlight=False))
    else:
        handler = PlainLines(progress)
    logger.removeHandler(replaced)
    logger.addHandler(handler)
    return handler
