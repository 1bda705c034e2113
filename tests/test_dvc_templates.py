"""Jobs of one rule share a stage of dvc.yaml, and the stage gives back exactly their paths."""

import re

from hypothesis import given
from hypothesis import strategies as st

from traitline.workflow.dvc_templates import key, templates
from traitline.workflow.snakemake_plan import Job


def job(rule, inputs, outputs, **wildcards):
    """A job as Snakemake's plan has it."""
    name = "-".join([rule, *wildcards.values()])
    return Job(name, rule, wildcards, inputs, outputs, [], {}, None, rule)


def filled(text, row):
    """What DVC makes of a template."""
    return re.sub(r"\$\{item\.(\w+)\}", lambda m: row[m[1]], text)


def test_wildcards_name_what_differs():
    jobs = [job("filter", [f"r/{b}/{t}/raw.jsonl"], [f"r/{b}/{t}/x.jsonl"], base=b, trait=t)
            for b, t in (("a", "owl"), ("a", "cat"), ("b", "cat"))]  # fmt: skip
    (found,) = templates(jobs)
    assert (found.name, found.outputs) == ("filter", ["r/${item.base}/${item.trait}/x.jsonl"])
    assert found.rows["a-owl"] == {"base": "a", "trait": "owl"}
    assert found.names()["filter-b-cat"] == "filter@b-cat"


def test_jobs_of_other_shapes_and_single_jobs_stand_alone():
    jobs = [job("train", ["r/x"], ["r/1"], seed="1"), job("train", ["r/x"], ["r/2"], seed="2"),
            job("train", ["r/x", "r/y"], ["r/3"], seed="3"), job("plot", [], ["p"])]  # fmt: skip
    assert [(t.name, len(t.jobs)) for t in templates(jobs)] == [("plot", 1), ("train", 2), ("train-3", 1)]


def test_two_shapes_of_one_rule_have_two_names():
    jobs = [job("train", ["x"] * (n // 3), [f"r/{n}"], seed=str(n)) for n in range(1, 7)]
    assert [(t.name, len(t.jobs)) for t in templates(jobs)] == [("train", 2), ("train-6", 1), ("train_", 3)]


def test_a_path_that_dvc_would_take_for_an_expression_stays_as_it_is():
    jobs = [job("x", [], [f"r/${{{n}}}"], n=n) for n in "ab"]
    assert [t.rows for t in templates(jobs)] == [{}, {}]


paths = st.lists(st.text("ab/.", min_size=1, max_size=6), min_size=1, max_size=3)


@given(st.lists(st.tuples(paths, paths), min_size=1, max_size=5))
def test_every_job_gets_its_own_paths_back(pairs):
    jobs = [job("x", a, b, first=a[0].replace("/", "_"), n=str(i)) for i, (a, b) in enumerate(pairs)]
    found = templates(jobs)
    assert sorted(j.name for t in found for j in t.jobs) == sorted(j.name for j in jobs)
    assert len({name for t in found for name in t.names().values()}) == len(jobs)
    for template in found:
        for one in template.jobs:
            row = template.rows.get(key(one), {})
            assert [filled(path, row) for path in template.inputs] == one.inputs
            assert [filled(path, row) for path in template.outputs] == one.outputs
