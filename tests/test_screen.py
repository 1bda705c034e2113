"""A run as people see it: one screen on a terminal, plain lines elsewhere; real Snakemake, stub programs."""

import re
import sys
import threading
from pathlib import Path

import pytest

from tests import terminal
from traitline.workflow import screen

SNAKEMAKE = [sys.executable, "-m", "snakemake", "--cores", "2"]
FAILS = "import sys\n\nsys.exit('plot: error: no font is there')\n"


def test_a_terminal_shows_one_screen_and_keeps_the_result(clone):
    code, frames = terminal.run([*SNAKEMAKE, "-R", "filter"], clone.root, columns=60, rows=40)
    assert code == 0
    assert any(re.search(r"^study tiny  +\d+/\d+ jobs  0:0\d$", frame, re.M) for frame in frames)
    assert any(re.search(r"^train +━+ +\d/4$", frame, re.M) for frame in frames), "a bar for each stage, not each rule"
    assert any(re.search(r"^(filter|prepare|train) \S+ +(0:0\d|waits)$", frame, re.M) for frame in frames)
    end = frames[-1]
    assert re.search(r"^study tiny: (\d+)/\1 jobs in 0:\d\d: filter 2, prepare\s2", end, re.M)
    assert "report: results/report.html" in end and "━" not in end
    log = Path(re.search(r"Complete log\(s\): ?(.*)", end.replace("\n", ""))[1].strip())
    assert "reason: " in log.read_text(), "all of Snakemake's words are in a file"


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {"NO_COLOR": "1", "PYTHONIOENCODING": "ascii"}], ids=str)
def test_a_poor_terminal_shows_readable_lines(clone, env):
    clone.path("scripts/plot.py").write_text(FAILS)
    code, frames = terminal.run([*SNAKEMAKE, "-R", "plot"], clone.root, columns=60, rows=60, **env)
    assert code == 1 and frames
    assert all(ord(c) < 128 for frame in frames for c in frame)
    words = " ".join(frames[-1].split())
    assert words.count("plot: error: no font is there") == 1
    assert "failed logs/plot/figures.log: plot: error: no font is there" in words
    assert "mend it, then run the same command" in words


def test_a_pipe_gets_a_line_for_each_job_and_the_reason_of_a_failure_once(clone):
    clone.path("scripts/plot.py").write_text(FAILS)
    done = clone.snakemake("--cores", "2", "-R", "summarise")
    lines = done.stderr.splitlines()
    assert done.returncode == 1 and "2 jobs: " not in done.stderr
    assert "3 jobs: summarise 1, plot 1, report 1" in lines
    assert sum(bool(re.match(r"1/3  summarise tables  0:0\d$", line)) for line in lines) == 1
    assert lines.count("failed  logs/plot/figures.log: plot: error: no font is there") == 1
    assert len(lines) < 12 and "--study" not in done.stderr


def test_who_asks_snakemake_for_its_own_lines_gets_them(clone):
    done = clone.snakemake("--cores", "2", "-R", "plot", "-p")
    assert "python -m scripts.plot" in done.stderr and "jobs: plot 1" not in done.stderr
    assert max(map(len, done.stderr.split("\n    shell:")[-1].splitlines())) < 5000


def test_lines_of_jobs_that_fail_at_the_same_moment_stand_apart(capfd):
    def fail(job):
        for _ in range(300):
            screen.print_whole(job * 40)

    threads = [threading.Thread(target=fail, args=(job,)) for job in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 8 * 300 and all(len(line) == 40 and len(set(line)) == 1 for line in lines)
