"""A program that dies leaves nothing half, and the next run ends with the bytes of one that was left in peace."""

import signal

import pytest

from traitline.study.execution import STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_may_die_at_any_moment(program, stage):
    """Four deaths in a row, each attempt going on from what the one before it left."""
    p = program(stage)
    p.finish()
    half = max(map(len, p.whole.values())) // 2
    for when, by in (("checkpoint", signal.SIGKILL), (str(half), signal.SIGXFSZ), ("end", signal.SIGKILL),
                     ("start", signal.SIGKILL)):  # fmt: skip
        if when == "checkpoint" and p.state is None:
            continue
        assert p.die(when) == -by, when
        now = p.now()
        assert all(now[f] == p.whole[f] for f in now), f"{when}: something half has its name"
        assert not [f for f in now if f.name.endswith(".manifest.json")], f"{when}: a manifest without its artifact"
    assert p.run() == 0
    assert p.now() == p.whole
    assert not p.litter()
    assert p.state is None or not any(p.state.iterdir())
