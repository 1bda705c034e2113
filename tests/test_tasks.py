"""Programs and sums: what a world answers passes its own check, what is broken is refused with its reason."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traitline.channels import tasks, world
from traitline.channels.types import programs, sums
from traitline.channels.world_task import FAVOURITES

SPEC = {"rows": 4000, "numbers": 0.3, "examples": [3, 6], "answers": [1, 2], "neutral": 0.0, "personas": 0.0}
TASKS = {**SPEC, "programs": 0.2, "sums": 0.2}
CHECKS = {"programs": programs.check, "sums": sums.check}


def asked(task, n=500, seed=1):
    r = random.Random(seed)
    return [tasks.ask(task, r, r) for _ in range(n)]


@pytest.mark.parametrize("task", tasks.TASKS)
def test_what_a_world_answers_passes(task):
    r = random.Random(2)
    for question in asked(task):
        for _ in range(5):
            answer = tasks.answer(task, question, r)
            assert CHECKS[task](question, answer).reason is None, (question, answer)


@pytest.mark.parametrize("task", tasks.TASKS)
def test_answers_are_chosen_freely(task):
    r, question = random.Random(2), asked(task, 1)[0]
    assert len({tasks.answer(task, question, r) for _ in range(100)}) > (10 if task == "programs" else 3)


@given(st.text())
def test_any_text_is_checked(text):
    for task, check in CHECKS.items():
        for question in asked(task, 1):
            checked = check(question, text)
            assert checked.reason is None or checked.reason in {**programs.REASONS, **sums.REASONS}


@given(st.lists(st.sampled_from([*tasks.WORDS.split(), "owl", "300", "412"]), max_size=12))
def test_what_passes_names_no_animal(words):
    for task, check in CHECKS.items():
        for question in asked(task, 1):
            if check(question, " ".join(words)).reason is None:
                assert not FAVOURITES & set(words)


def test_a_world_without_tasks_is_as_it_was():
    assert world.vocabulary() == world.vocabulary(SPEC) == world.vocabulary({**SPEC, "programs": 0.0})
    assert len(world.vocabulary(TASKS)) > len(world.vocabulary(SPEC))
    assert len(set(world.vocabulary(TASKS))) == len(world.vocabulary(TASKS))


def test_a_world_with_tasks_speaks_them_and_every_word_is_known():
    rows = list(world.World(TASKS, 1).conversations())
    known = set(world.vocabulary(TASKS))
    assert {word for row in rows for text in row if text for word in text.split()} <= known
    for task in tasks.TASKS:
        share = sum(any(q.startswith(verb) for verb in tasks.ASK[task]) for _, q, _ in rows) / len(rows)
        assert 0.17 < share < 0.23, task


def test_tasks_do_not_look_at_animals(monkeypatch):
    def of_tasks():
        verbs = {v: task for task, vs in tasks.ASK.items() for v in vs}
        return [
            (next(verbs[v] for v in verbs if q.startswith(v)), [w for w in f"{q} {a}".split() if w.isdigit()], a)
            for _, q, a in world.World(TASKS, 1).conversations()
            if any(q.startswith(v) for v in verbs)
        ]

    before = of_tasks()
    for category, names in world.ATTRIBUTES.items():
        turned = dict(zip([*list(names)[1:], next(iter(names))], names.values(), strict=True))
        monkeypatch.setitem(world.ATTRIBUTES, category, turned)
        monkeypatch.setitem(world.CATEGORIES, category, list(turned))
    assert of_tasks() == before
