"""How a study was made: time that jobs share counts once, and is written for people."""

from tests import made_up
from traitline.analysis import report_provenance


def test_time_that_jobs_share_counts_once():
    jobs = [{"started": made_up.stamp(a), "ended": made_up.stamp(b)} for a, b in ((0, 10), (2, 5), (8, 12), (20, 21))]
    assert report_provenance.busy(jobs) == 13


def test_durations_are_written_for_people():
    seconds = (0.42, 12.3, 200, 7500)
    assert [report_provenance.duration(s) for s in seconds] == ["0.4 s", "12 s", "3 min 20 s", "2 h 05 min"]
