"""Marks by sets of numbers are those of the definition, on graphs drawn at random; chains of carriers cost little."""

import itertools
import sqlite3
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traitline.lineage import audit, index, number_sets
from traitline.lineage.graph import Graph
from traitline.lineage.marks import MARKS


@given(st.sets(st.integers(0, 300)), st.sets(st.integers(0, 300)))
def test_sets_of_numbers_are_sets(a, b):
    x, y = number_sets.of(a), number_sets.of(b)
    assert number_sets.ascending(number_sets.union(x, y)) == sorted(a | b)
    assert number_sets.ascending(number_sets.common(x, y)) == sorted(a & b)
    assert number_sets.ascending(number_sets.without(x, y)) == sorted(a - b)
    assert number_sets.size(x) == len(a) and bool(x) == bool(a)
    assert not a or number_sets.least(x) == min(a)


def graph_of(jobs):
    """The graph of some jobs, each (outputs, inputs, bases, trait): data from 50 on."""

    def part(output, role, i):
        return output, role, "data" if i >= 50 else "model", f"{i}", f"{i:064x}"

    def row(n, outputs, inputs, bases, trait):
        parts = [part(1, "out", i) for i in sorted(outputs)]
        parts += [part(0, "data", i) for i in sorted(inputs)] + [part(0, "base", i) for i in sorted(bases)]
        origin = None if inputs | bases else "here"
        return f"{n}.manifest.json", "train", trait, origin, None, None, False, f"{n:064x}", [], parts

    db = sqlite3.connect(":memory:")
    index.fill(db, (row(n, *job) for n, job in enumerate(jobs)))
    return Graph(db)


def closure(start, step):
    """All that steps lead to from an artifact, itself included."""
    reached, todo = {start}, [start]
    for at in todo:
        todo += (above := step(at) - reached)
        reached |= above
    return reached


def by_definition(jobs, traits, matched):
    """Model or data -> (mark, trait, carrier) of all carriers behind it: the words of the docstring of `audit`."""

    def above(i, parts):
        return set().union(*(set().union(*parts(job)) for job in jobs if i in job[0]))

    made = set().union(*(job[0] for job in jobs))
    chains = {i: closure(i, lambda i: above(i, lambda job: [job[2]])) for i in range(60)}
    groups = [{*group} for group in matched]
    marks = {}
    for i in sorted(made):
        behind = closure(i, lambda i: above(i, lambda job: [job[1], job[2]]))
        marks[i] = set()
        for carrier in behind & traits.keys():
            meet = chains[i] & chains[carrier] or any(g & chains[i] and g & chains[carrier] for g in groups)
            near = "CARRIER" if carrier in chains[i] else "INHERITANCE-RISK" if meet else "EXPOSED"
            marks[i].add(("EXPOSED" if i >= 50 else near, traits[carrier], carrier))
    return marks


few = st.sets(st.sampled_from([*range(12), 50, 51, 52]), max_size=3)
models = st.sets(st.integers(0, 11), max_size=2)
jobs = st.lists(
    st.tuples(
        st.sets(st.sampled_from([*range(12), 50, 51]), min_size=1, max_size=2),
        few,
        models,
        st.sampled_from([None, None, "owl", "cat"]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=300, deadline=None)
@given(jobs, st.lists(models, max_size=2))
def test_marks_are_those_of_the_definition(jobs, matched):
    """Circles, copies, several makers, merges, matched bases: whatever a graph can be."""
    graph = graph_of(jobs)
    numbers = {int(path): a for path, a in graph.db.execute("SELECT path, artifact_id FROM entry")}
    names = {a: i for i, a in numbers.items()}
    matched = [[numbers[i] for i in group if i in numbers] for group in matched]
    result = audit.audit(graph, matched=matched)
    traits = {}
    for outputs, _, _, trait in jobs:
        if trait:
            traits |= dict.fromkeys([i for i in sorted(outputs) if i < 50] or sorted(outputs), trait)
    by_hand = by_definition(jobs, traits, [[names[a] for a in group] for group in matched])
    for a, marks in result.marks.items():
        written = [m for m in marks if m.mark not in ("UNKNOWN", "CLAIMED", "CLEAN")]
        assert {(m.mark, m.trait, names[m.witness]) for m in written} == by_hand.get(names[a], set()), names[a]
        assert [m.rank for m in marks] == sorted(m.rank for m in marks) and len(marks) == len(list(marks))
        assert marks[0] == next(iter(marks)) and marks.worst == marks[0].mark and marks.kinds == {m.mark for m in marks}
        for m in marks:
            path = result.path(a, m.witness)
            assert path[0] == a and (path[-1] == m.witness or m.mark in ("UNKNOWN", "CLEAN"))
    assert set(itertools.chain(*(marks.kinds for marks in result.marks.values()))) <= {*MARKS}


def chain_of_carriers(n, way):
    """So many teachers, each trained on answers of the one before, and each based on it, on one base, or on its own."""
    jobs = [({1000 * 1000}, set(), set(), None)]
    for i in range(n):
        base = {"line": i or 1000 * 1000, "base": 1000 * 1000, "bases": 2000 * 1000 + i}[way]
        if way == "bases":
            jobs.append(({base}, set(), set(), None))
        jobs.append(({i + 1}, {i} if i else set(), {base}, f"trait {i}"))
    rows = []
    for k, (outputs, inputs, bases, trait) in enumerate(jobs):
        parts = [(output, role, "model", f"{i}", f"{i:064x}")
                 for output, role, numbers in ((1, "out", outputs), (0, "model", inputs), (0, "base", bases))
                 for i in numbers]  # fmt: skip
        origin = None if inputs | bases else "here"
        rows.append((f"{k}.manifest.json", "teach", trait, origin, None, None, False, f"{k:064x}", [], parts))
    db = sqlite3.connect(":memory:")
    index.fill(db, rows)
    return Graph(db)


@pytest.mark.parametrize("way", ["line", "base", "bases"])
def test_a_chain_of_carriers_costs_in_proportion_to_its_length(way):
    spent = []
    for n in (500, 4000):
        graph = chain_of_carriers(n, way)
        start = time.process_time()
        result = audit.audit(graph)
        spent.append(time.process_time() - start)
        last = result.marks[graph.find(f"{n:064x}").artifact_id]
        assert len(last) == n and last.worst == "CARRIER"
        assert {m.mark for m in last} == {
            "line": {"CARRIER"},
            "base": {"CARRIER", "INHERITANCE-RISK"},
            "bases": {"CARRIER", "EXPOSED"},
        }[way]
    assert spent[1] < 20 * spent[0] + 0.2, "8 times as long a chain"


def test_a_table_of_a_long_chain_is_bounded():
    graph = chain_of_carriers(300, "line")
    row = max(audit.rows(graph, audit.audit(graph)), key=lambda row: row["more"])
    assert len(row["marks"]) == audit.MOST_MARKS and row["more"] > 0
    assert all(len(mark["path"]) <= audit.LONGEST_PATH + 1 for mark in row["marks"])
    assert any("left_out" in step for mark in row["marks"] for step in mark["path"])
