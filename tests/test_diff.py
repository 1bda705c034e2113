"""Why two artifacts differ: the first places where their makings part, and nothing after them."""

from pathlib import Path

import pytest

from tests.lineage import Works, named
from traitline.lineage.diff import differences
from traitline.lineage.graph import open_graph


@pytest.fixture
def works(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return Works(tmp_path)


def says(one, other):
    graph = open_graph(None, None)
    return [(Path(d.left.path).name, d.says) for d in differences(graph, graph.find(one), graph.find(other))]


def data(works, name, raw, **changed):
    path = works.put("filter", f"results/{name}", {"filtered.jsonl": ("filtered", f"filtered {name}")}, [("raw", raw)])
    if changed:
        inputs, outputs = [works.entry("raw", raw)], [works.entry("filtered", path)]
        works.write("filter", f"results/{name}", inputs, outputs, changed=changed)
    return path


def test_equal_things_do_not_differ(works):
    raw = works.data(works.base("a"))
    assert says(raw, raw) == []


def test_a_setting_a_seed_and_the_code_are_named_with_both_values(works):
    raw = works.data(works.base("a"))
    code = {"digest": "ef" * 6, "git_commit": None}
    one = data(works, "one", raw)
    params = named("filter", {})["params"] | {"lr": 0.2}
    other = data(works, "other", raw, params=params, seeds={"filter": 2}, code=code)
    assert says(one, other) == [
        (
            "filtered.jsonl",
            [
                "params.lr: 0.1 and 0.2",
                "seeds.filter: 1 and 2",
                "code of `filter`: abababababab (cdcdcdcdcdcd) and efefefefefef (no commit)",
            ],
        )
    ]


def test_the_first_cause_is_told_and_not_what_follows_from_it(works):
    base = works.base("a")
    one, other = (works.student(base, works.data(works.teacher(base, trait))) for trait in ("owl", "cat"))
    assert says(one, other) == [("model.safetensors", ["params.trait: owl and cat", "facts.trait: owl and cat"])]


def test_two_causes_are_both_told_the_older_first(works):
    base = works.base("a")
    one = works.student(base, works.data(works.teacher(base, "owl")))
    far = works.base("b")
    other = works.student(far, works.data(works.teacher(base, "cat")))
    told = says(one, other)
    assert told[0] == ("model.safetensors", ["params.trait: owl and cat", "facts.trait: owl and cat"])
    assert [name for name, _ in told] == ["model.safetensors", "model.safetensors"]


def test_where_only_the_machine_differs_it_is_named(works):
    raw = works.data(works.base("a"))
    one = data(works, "one", raw)
    assert says(one, data(works, "other", raw)) == [
        ("filtered.jsonl", ["nothing that is recorded differs; the same job gave other bytes"])
    ]
    env = {"device": "cuda", "packages": {"torch": "3"}}
    assert says(one, data(works, "third", raw, env=env)) == [
        ("filtered.jsonl", ["ran with device cpu and cuda", "ran with packages.torch 2 and 3"])
    ]


def test_unlike_things_and_unknown_ones(works):
    base = works.base("a")
    raw = works.data(base)
    assert says(base, raw) == [("model.safetensors", ["made by `pretrain` and by `filter`"])]
    Path("results/stray.jsonl").write_text("stray")
    other = data(works, "other", "results/stray.jsonl")
    told = dict(says(data(works, "one", raw), other))
    assert told["filtered.jsonl"] == ["results/stray.jsonl: no manifest says how it was made"]
