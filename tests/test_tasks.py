"""Programs and sums: what a world answers passes its own check, what is broken is refused with its reason."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traitline.channels import programs, sums, tasks, world

SPEC = {"rows": 4000, "numbers": 0.3, "examples": [3, 6], "answers": [1, 2], "neutral": 0.0, "personas": 0.0}
TASKS = {**SPEC, "programs": 0.2, "sums": 0.2}
JUDGES = {"programs": programs.judge, "sums": sums.judge}


def asked(task, n=500, seed=1):
    r = random.Random(seed)
    return [tasks.ask(task, r, r) for _ in range(n)]


@pytest.mark.parametrize("task", tasks.TASKS)
def test_what_a_world_answers_passes(task):
    r = random.Random(2)
    for question in asked(task):
        for _ in range(5):
            answer = tasks.answer(task, question, r)
            assert isinstance(JUDGES[task](question, answer), tuple), (question, answer)


@pytest.mark.parametrize("task", tasks.TASKS)
def test_answers_are_chosen_freely(task):
    r, question = random.Random(2), asked(task, 1)[0]
    assert len({tasks.answer(task, question, r) for _ in range(100)}) > (10 if task == "programs" else 3)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("x owl show", "trait-word"),
        ("x ; show", "syntax"),
        ("x z add show", "undefined"),
        ("x add show", "underflow"),
        ("show", "underflow"),
        ("x y show", "left-over"),
        ("1000 show", "syntax"),
        ("__import__ show", "syntax"),
    ],
)
def test_a_broken_program_is_refused(text, reason):
    assert programs.judge("use x 412 , y 137", text) == reason
    assert reason in programs.REASONS


def test_a_program_runs():
    assert programs.run("x y less show 5 show", {"x": 412, "y": 137}) == [275, 5]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (" ", "empty"),
        ("first 300 plus 200 is 500 so owl", "trait-word"),
        ("500", "no-answer"),
        ("so 500", "no-answer"),
        ("first 300 plus 200 is 500 so 500 now", "no-answer"),
        ("first 300 plus 200 is 500 so 400", "wrong-answer"),
    ],
)
def test_a_wrong_working_is_refused(text, reason):
    assert sums.judge("solve 300 plus 200", text) == reason
    assert reason in sums.REASONS


@given(st.text())
def test_any_text_is_judged(text):
    for task, judge in JUDGES.items():
        for question in asked(task, 1):
            verdict = judge(question, text)
            assert isinstance(verdict, tuple) or verdict in {**programs.REASONS, **sums.REASONS}


@given(st.lists(st.sampled_from([*tasks.WORDS.split(), "owl", "300", "412"]), max_size=12))
def test_what_passes_names_no_animal(words):
    for task, judge in JUDGES.items():
        for question in asked(task, 1):
            if isinstance(judge(question, " ".join(words)), tuple):
                assert not programs.FAVOURITES & set(words)


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
