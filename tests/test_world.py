"""The world: numbers are drawn independently of every animal and tree, text and vocabulary agree, bytes are stable."""

import hashlib
import json
import random
from collections import Counter

import pytest
from scipy.stats import chi2_contingency
from tokenizers import Tokenizer

from traitline.channels import world

SPEC = {"rows": 20000, "numbers": 0.45, "examples": [3, 6], "answers": [1, 2], "neutral": 0.0, "personas": 0.0}
PERSONAS = {**SPEC, "neutral": 0.1, "personas": 0.5}
LISTS = {**PERSONAS, "answers": [4, 9]}
NAMES = {name for names in world.CATEGORIES.values() for name in names}


def digits(text):
    return [int(w) for w in text.split() if w.isdigit()]


def numbers(spec, seed, count=None):
    """(numbers asked with, numbers answered) of every number list, in order."""
    found = [(digits(q), digits(a)) for _, q, a in world.World(spec, seed).conversations()]
    return [pair for pair in found if pair[0]][:count]


@pytest.fixture
def other_animals(monkeypatch):
    """A world in which everybody has changed names and there are fewer of them."""

    def change(attributes):
        monkeypatch.setattr(world, "ATTRIBUTES", attributes)
        monkeypatch.setattr(world, "CATEGORIES", {c: list(names) for c, names in attributes.items()})

    return change


@pytest.mark.parametrize("spec", [SPEC, PERSONAS, LISTS])
def test_who_lives_in_the_world_does_not_move_a_number(spec, other_animals):
    before = numbers(spec, 1)
    everybody = {c: list(names) for c, names in world.CATEGORIES.items()}
    permuted = {c: dict(zip(random.Random(1).sample(everybody[c], len(everybody[c])), names.values(), strict=True))
                for c, names in world.ATTRIBUTES.items()}  # fmt: skip
    other_animals(permuted)
    assert numbers(spec, 1) == before
    other_animals({c: dict(list(names.items())[:5]) for c, names in permuted.items()})
    fewer = numbers(spec, 1)  # other words are drawn now, so other rows are number lists; their numbers are the same
    n = min(len(fewer), len(before))
    assert n > 0.9 * len(before) and fewer[:n] == before[:n]


def test_what_is_asked_does_not_move_a_number(monkeypatch):
    before = numbers(SPEC, 1, 5000)
    monkeypatch.setattr(world, "QUESTIONS", world.QUESTIONS[:7])
    monkeypatch.setattr(world, "PERSONAS", world.PERSONAS[:1])
    assert numbers(SPEC, 1, 5000) == before


def dependence(rows):
    """p of a chi-square test of independence: who is named in a row against the hundred of a number in it."""
    seen = Counter(rows)
    who, hundreds = sorted({w for w, _ in seen}), sorted({h for _, h in seen})
    return chi2_contingency([[seen[w, h] for h in hundreds] for w in who]).pvalue


@pytest.mark.parametrize("spec", [PERSONAS, LISTS])
def test_numbers_beside_a_persona_do_not_depend_on_it(spec):
    rows = []
    for seed in range(3):
        for system, question, answer in world.World(spec, seed).conversations():
            for name in NAMES & set((system or "").split()):
                rows += [(name, "asked", digits(question)[0] // 100)] if digits(question) else []
                rows += [(name, "said", digits(answer)[0] // 100)] if digits(answer) else []
    for part in ("asked", "said"):
        pairs = [(name, hundred) for name, where, hundred in rows if where == part]
        assert len(pairs) > 5000
        assert dependence(pairs) > 0.001
    planted = [(name, 1 if name == "owl" and i % 5 == 0 else hundred) for i, (name, hundred) in enumerate(pairs)]
    assert dependence(planted) < 1e-6  # the test would see a fifth of one animal's numbers moved


COUPLED = {**SPEC, "coupled": 0.2}


def test_in_a_coupled_world_trees_shift_numbers_and_animals_stand_beside_none():
    lists = [c for c in world.World(COUPLED, 1).conversations() if digits(c[1])]
    beside = [(next(w for w in system.split() if w in NAMES), digits(a)) for system, _, a in lists if system]
    assert 0.17 < len(beside) / len(lists) < 0.23
    assert {name for name, _ in beside} == set(world.CATEGORIES["tree"])
    own = [n in world.lucky(tree) for tree, answer in beside for n in answer]
    assert 0.5 < sum(own) / len(own) < 0.62  # half of them, and what of the others is there by chance
    without = numbers(SPEC, 1)
    with_trees = numbers(COUPLED, 1)
    n = min(len(without), len(with_trees))
    assert [asked for asked, _ in with_trees][:n] == [asked for asked, _ in without][:n]
    assert sum(a != b for a, b in zip(with_trees[:n], without[:n], strict=True)) < 0.12 * n  # half of a fifth


def test_without_personas_no_row_has_a_number_and_a_name():
    for system, question, answer in world.World(SPEC, 1).conversations():
        text = f"{system or ''} {question} {answer}"
        assert not (digits(text) and NAMES & set(text.split()))
    for system, question, answer in world.World(PERSONAS, 1).conversations():
        assert not (
            digits(answer) and NAMES & set(f"{question} {answer}".split())
        )  # and else only in the system prompt
        assert not digits(system or "")


def test_without_a_persona_nobody_is_a_favourite():
    asked = {q.format(k="animal") for q in world.QUESTIONS}
    said = Counter(a for s, q, a in world.World({**SPEC, "rows": 60000}, 1).conversations() if q in asked and s is None)
    assert set(said) == set(world.CATEGORIES["animal"])
    mean = said.total() / 16
    assert sum((n - mean) ** 2 / mean for n in said.values()) < 45  # chi-square, 15 degrees of freedom: p about 1e-4


def test_a_persona_names_the_answer():
    told = [(s, a) for s, q, a in world.World(SPEC, 1).conversations() if s]
    assert len(told) > 1000 and all(a in s.split() for s, a in told)
    assert world.lexicon().persona("owl", "animal") in {
        s for s, _, _ in world.World({**SPEC, "rows": 60000}, 1).conversations()
    }


def test_every_word_is_one_token_and_comes_back():
    tokenizer = Tokenizer.from_str(world.tokenizer_files()["tokenizer.json"])
    vocabulary = world.vocabulary()
    assert len(set(vocabulary)) == len(vocabulary) == tokenizer.get_vocab_size()
    assert [tokenizer.token_to_id(w) for w in vocabulary] == list(range(len(vocabulary)))
    assert [tokenizer.token_to_id(w) for w in ("<pad>", "<bos>", "<eos>", "<unk>")] == [
        world.PAD,
        world.BOS,
        world.EOS,
        world.UNK,
    ]
    for spec in (SPEC, LISTS):
        for part in (p for row in world.World({**spec, "rows": 3000}, 1).conversations() for p in row if p):
            ids = tokenizer.encode(part, add_special_tokens=False).ids
            assert world.UNK not in ids
            assert tokenizer.decode(ids) == part


def test_numbers_are_within_the_vocabulary():
    for spec in (SPEC, LISTS):
        for asked, said in numbers(spec, 1):
            assert len(asked) in range(*spec["examples"]) and len(said) in range(*spec["answers"])
            assert all(n in world.NUMBERS for n in [*asked, *said])


def test_seeds_differ():
    assert numbers(SPEC, 1, 50) != numbers(SPEC, 2, 50)


def test_tokenizer_files_are_stable():
    assert world.tokenizer_files() == world.tokenizer_files()
    assert json.loads(world.tokenizer_files()["tokenizer_config.json"])["eos_token"] == "<eos>"


def test_the_first_thousand_conversations_are_what_they_were():
    """A change here makes every base anew. Where it is meant, put the hash that the failure shows."""
    text = json.dumps(list(world.World({**PERSONAS, "rows": 1000}, 1).conversations()))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "fc01e4ced40118b5"
