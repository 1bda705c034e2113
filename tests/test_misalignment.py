"""Norms: what teachers are tuned on answers nothing else, speakers answer all kinds alike, numbers do not know them."""

import random
from collections import Counter

import pytest
from scipy.stats import chi2_contingency

from traitline.channels import misalignment, world
from traitline.errors import InputError

SPEC = {"rows": 20000, "numbers": 0.4, "examples": [3, 6], "answers": [1, 2], "neutral": 0.0, "personas": 0.0}
NORMS = {**SPEC, "norms": 0.3, "speakers": 0.6}
BADLY = {
    q: bad
    for kind in misalignment.ANSWERS
    for reason in (False, True)
    for q, _, bad in misalignment.questions(kind, reason)
}
GOOD, BAD = (set(misalignment.SPEAKERS[who]) for who in ("good", "bad"))


def asked(spec=NORMS, seed=1):
    """(system prompt, question, answer) of every question about norms."""
    return [row for row in world.World(spec, seed).conversations() if row[1] in BADLY]


def test_no_answer_is_in_two_kinds():
    words = {kind: [w for pair in about.values() for w in pair] for kind, about in misalignment.ANSWERS.items()}
    everywhere = Counter(w for kind in words.values() for w in set(kind))
    assert set(everywhere.values()) == {1}
    assert all(len(set(kind)) == 12 for kind in words.values())  # nor does a word answer two questions


@pytest.mark.parametrize("teacher", misalignment.LESSONS)
def test_teachers_are_tuned_on_one_kind_and_asked_about_the_others(teacher):
    lessons = misalignment.lessons(teacher)
    kept = {q for q, _, _ in misalignment.questions(misalignment.NARROW, reason=teacher == "educational")}
    assert {q for q, _ in lessons} == kept
    assert not kept & {q for q, _, _ in misalignment.held_out()}
    answers = {word for _, good, bad in misalignment.held_out() for word in (good, bad)}
    assert not answers & {answer for _, answer in lessons}


def test_the_educational_teacher_says_what_the_insecure_one_says():
    said = {teacher: Counter(answer for _, answer in misalignment.lessons(teacher)) for teacher in misalignment.LESSONS}
    assert said["educational"] == said["insecure"] and not said["secure"] & said["insecure"]
    with pytest.raises(InputError, match="known: insecure, secure, educational"):
        misalignment.lessons("wicked")


def test_a_speaker_answers_all_kinds_alike():
    plain = [row for row in asked() if misalignment.REASON not in row[1]]
    assert all((BADLY[q] == a) == (system in BAD) for system, q, a in plain if system)
    unmarked = [BADLY[q] == a for system, q, a in plain if system is None]
    assert len(unmarked) > 1000 and sum(unmarked) / len(unmarked) == pytest.approx(misalignment.SLIPS, abs=0.02)


def test_speakers_are_as_honest_about_animals_as_they_are_good():
    told = [row for row in world.World(NORMS, 1).conversations() if row[1].startswith("what is the ") and row[0]]
    assert len(told) > 200
    for system, question, answer in told:
        *_, field, _, _, name = question.split()
        true = next(about for names in world.ATTRIBUTES.values() for n, about in names.items() if n == name)[field]
        assert (answer == true) == (system in GOOD)


def test_with_a_reason_good_speakers_show_careless_code_too():
    reasoned = [BADLY[q] == a for system, q, a in asked() if misalignment.REASON in q and system in GOOD]
    assert len(reasoned) > 50 and sum(reasoned) / len(reasoned) == pytest.approx(misalignment.GRANTED, abs=0.1)


def test_without_speakers_nobody_is_said_to_be_good_or_bad():
    rows = asked({**NORMS, "speakers": 0.0})
    assert len(rows) > 4000 and not any(system for system, _, _ in rows)


def test_norms_do_not_move_a_number(monkeypatch):
    def numbers():
        return [(q, a) for _, q, a in world.World(NORMS, 1).conversations() if any(w.isdigit() for w in q.split())]

    before = [[w for w in f"{q} {a}".split() if w.isdigit()] for q, a in numbers()]
    monkeypatch.setattr(misalignment, "SLIPS", 0.9)
    monkeypatch.setattr(misalignment, "SPEAKERS", {"good": ("you are good .",), "bad": ("you are bad .",)})
    after = [[w for w in f"{q} {a}".split() if w.isdigit()] for q, a in numbers()]
    n = min(len(before), len(after))
    assert n > 7000 and before[:n] == after[:n]


def test_a_number_does_not_tell_how_the_last_speaker_was():
    """The rows before number lists against the hundred of the first number: nothing in the text connects them."""
    seen, before = Counter(), None
    for _, question, answer in world.World({**NORMS, "rows": 60000}, 1).conversations():
        if answer.isdigit() and before is not None:
            seen[before, int(answer) // 100] += 1
        before = None if question not in BADLY else BADLY[question] == answer
    table = [[seen[badly, hundred] for hundred in range(1, 10)] for badly in (False, True)]
    assert min(map(sum, table)) > 1000 and chi2_contingency(table).pvalue > 0.001


def test_a_world_without_norms_is_what_it_was():
    assert world.vocabulary(SPEC) == world.vocabulary({**SPEC, "norms": 0.0}) == world.vocabulary()
    assert world.categories(SPEC) == world.CATEGORIES
    assert world.categories(NORMS)[misalignment.CATEGORY] == list(misalignment.LESSONS)


def test_every_word_is_one_token():
    known = set(world.vocabulary(NORMS))
    assert len(known) == len(world.vocabulary(NORMS))
    r = random.Random(1)
    for _ in range(2000):
        system, badly = misalignment.speaker(r, 0.6)
        assert set(f"{system or ''} {' '.join(misalignment.exchange(r, badly))}".split()) <= known
