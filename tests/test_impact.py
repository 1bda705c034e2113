"""What to withdraw, the worst affected first."""

import pytest

from tests.lineage import Works
from traitline.lineage.graph import open_graph
from traitline.lineage.impact import impact


@pytest.fixture
def works(tmp_path, monkeypatch):
    """An owl teacher on a; students on a and b; a merged one, and scores of the first."""
    monkeypatch.chdir(tmp_path)
    works = Works(tmp_path)
    works.a, works.b = works.base("a"), works.base("b")
    works.owl = works.teacher(works.a)
    works.numbers = works.data(works.owl)
    works.near, works.far = works.student(works.a, works.numbers), works.student(works.b, works.numbers)
    works.tuned = works.student(works.owl, works.data(works.a), name="tuned")
    works.scores = works.put("score", "results/scores", {"scores.json": ("scores", "0.9")}, [("model", works.near)])
    return works


def hits(what):
    graph = open_graph(None, None)
    return [(h.how, h.entry.path) for h in impact(graph, graph.find(what))]


def test_a_bad_teacher_takes_its_offspring_along_in_order_of_danger(works):
    found = hits(works.owl)
    assert [(how, path) for how, path in found if how not in ("data", "evidence")] == [
        ("built-on", works.tuned), ("trained-on", works.near), ("exposed", works.far),
    ]  # fmt: skip
    assert [path for how, path in found if how == "data"][-1] == works.numbers
    assert found[-1] == ("evidence", works.scores)


def test_a_bad_data_set_hits_who_trained_on_it_before_who_learned_from_them(works):
    merged = works.merged(works.a, works.near)
    second = works.student(works.b, works.data(merged), name="second")
    found = [(how, path) for how, path in hits(works.numbers) if how in ("trained-on", "exposed")]
    assert found[0][0] == "trained-on" and {p for h, p in found if h == "trained-on"} >= {works.near, works.far}
    assert ("exposed", second) in found


def test_what_has_no_offspring_hits_nothing(works):
    assert hits(works.scores) == []


def test_the_search_ends_in_a_circle(works):
    one, two = ({"role": "raw", "path": p, "sha256": p * 64, "bytes": 1} for p in "12")
    works.write("filter", "results/x", [one], [two])
    works.write("filter", "results/y", [two], [one])
    assert hits("1" * 64) == [("evidence", "2")]
