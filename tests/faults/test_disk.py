"""A disk that takes no more: one line, exit code 2, nothing left, and the next run is whole."""

import resource
import signal

import pytest

from traitline.study.execution import STAGES


@pytest.fixture
def narrow():
    """Files may grow to N bytes; the kernel refuses the next byte, as a full disk does."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda n: resource.setrlimit(resource.RLIMIT_FSIZE, (n, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("stage", STAGES)
def test_a_file_that_cannot_be_written_to_its_end_is_one_line(program, narrow, capsys, stage):
    p = program(stage)
    p.finish()
    capsys.readouterr()
    narrow(max(map(len, p.whole.values())) // 2)
    assert p.run() == 2
    (said,) = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    assert said.startswith(f"{stage}: error: ") and said.endswith("nothing was written, mend it and run again")
    assert said.split(": ")[2] != "output", "it names the file, or the folder"
    assert not p.now() and not p.litter()
    narrow(resource.RLIM_INFINITY)
    assert p.run() == 0
    assert p.now() == p.whole
