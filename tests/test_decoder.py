"""The closed form: a planted difference is named, none is named at chance, and what must not matter does not."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.stage_inputs import write_answers
from traitline.analysis import decoder
from traitline.analysis.decoder import Decoder, Embedding, Rows
from traitline.channels.world import NUMBERS
from traitline.errors import InputError

WORDS = [f"word{i}" for i in range(16)]
COUNT = len(NUMBERS)


def embedding(seed, width=24):
    """A made-up base: numbers and words in one space."""
    draw = torch.Generator().manual_seed(seed)
    numbers = torch.randn(COUNT, width, generator=draw, dtype=torch.double)
    return Embedding(numbers, torch.randn(len(WORDS), width, generator=draw, dtype=torch.double), WORDS)


def rows(law, total, seed, repeats=1):
    """Rows of numbers from a law; each number stands `repeats` times in its row."""
    draw = torch.Generator().manual_seed(seed)
    numbers = torch.multinomial(law, total, replacement=True, generator=draw)
    return Rows(numbers.repeat_interleave(repeats), torch.arange(total).repeat_interleave(repeats), total)


def uniform():
    return torch.full((COUNT,), 1 / COUNT, dtype=torch.double)


def planted(base, word, size=0.15):
    """A law whose logs rise along the embedding of a word."""
    v = base.words[WORDS.index(word)]
    return torch.softmax(size * base.numbers @ v / v.norm(), 0)


def null(base, control, splits, *names):
    """z of random halves of the control's rows."""
    return decoder.null(base, control.counts(), decoder.halves(control, splits, *names), 0.01)


def test_one_dimension_by_hand():
    """Two numbers, one dimension: z squared is Pearson's chi-square of the table of counts."""
    base = Embedding(torch.tensor([[0.0], [1.0]]).double(), torch.tensor([[-1.0], [1.0]]).double(), ["low", "high"])
    teacher, control = torch.tensor([30.0, 10.0]).double(), torch.tensor([20.0, 20.0]).double()
    score, z = decoder.decode(base, teacher, control, ridge=0.5)
    assert score.tolist() == pytest.approx([0.7111111, -0.7111111])
    assert z.tolist() == pytest.approx([2.3094011, -2.3094011])
    table = np.stack([teacher.numpy(), control.numpy()])
    assert float(z[0] ** 2) == pytest.approx(stats.chi2_contingency(table, correction=False).statistic)


def test_scores_are_those_of_weighted_least_squares_with_rows_for_the_ridge():
    """The same regression as numpy solves it, with an intercept of its own and the ridge as additional rows."""
    base, ridge = embedding(1), 0.03
    teacher, control = rows(planted(base, "word3"), 5000, 1).counts(), rows(uniform(), 4000, 2).counts()
    pooled = (teacher + control).numpy()
    share, x = pooled / pooled.sum(), base.numbers.numpy()
    keep = share > 0
    y = (teacher.numpy() / 5000 - control.numpy() / 4000)[keep] / share[keep]
    centred = x - share @ x
    trace = np.trace(centred.T @ (centred * share[:, None]))
    width = x.shape[1]
    root = np.sqrt(share[keep])[:, None]
    system = np.vstack([root * np.c_[x[keep], np.ones(keep.sum())],
                        np.c_[np.sqrt(ridge * trace / width) * np.eye(width), np.zeros(width)]])  # fmt: skip
    solution = np.linalg.lstsq(system, np.r_[root[:, 0] * y, np.zeros(width)], rcond=None)[0]
    wanted = (base.words.numpy() - base.words.numpy().mean(0)) @ solution[:-1]
    score, _ = decoder.decode(base, teacher, control, ridge)
    assert score.numpy() == pytest.approx(wanted)


def test_for_small_differences_the_regressand_is_the_log_ratio():
    base = embedding(2)
    teacher = 1e6 * planted(base, "word5", size=0.001)
    score, _ = decoder.decode(base, teacher, 1e6 * uniform(), 1e-9)
    v = 0.001 * base.words[5] / base.words[5].norm()
    assert score.numpy() == pytest.approx(((base.words - base.words.mean(0)) @ v).numpy(), rel=0.02, abs=1e-6)


@pytest.mark.parametrize("word", ["word0", "word7", "word15"])
def test_a_planted_word_is_first_with_its_own_embedding_and_not_significant_with_another(word):
    base, other = embedding(3), embedding(4)
    teacher, control = rows(planted(base, word), 6000, 5), rows(uniform(), 6000, 6)
    at = WORDS.index(word)
    z = decoder.decode(base, teacher.counts(), control.counts(), 0.01)[1]
    assert int(z.argmax()) == at
    alone, any_word = decoder.p_values(z, null(base, control, 199, "test"))
    assert float(alone[at]) == float(any_word[at]) == pytest.approx(1 / 200)
    z = decoder.decode(other, teacher.counts(), control.counts(), 0.01)[1]
    assert float(decoder.p_values(z, null(other, control, 199, "test"))[1].min()) > 0.05


@pytest.mark.parametrize(("total", "repeats"), [(1000, 1), (400, 3)])
def test_without_a_difference_ranks_and_p_values_are_uniform(total, repeats):
    """Over many pairs of samples of one uneven law; with several alike numbers a row, which makes z too large."""
    base, ranks, alone, any_word, every_z = embedding(7), [], [], [], []
    law = torch.softmax(torch.randn(COUNT, generator=torch.Generator().manual_seed(8)).double(), 0)
    for seed in range(240):
        teacher, control = rows(law, total, 2 * seed, repeats), rows(law, total, 2 * seed + 1, repeats)
        z = decoder.decode(base, teacher.counts(), control.counts(), 0.01)[1]
        p_word, p = decoder.p_values(z, null(base, control, 49, "test", seed))
        ranks.append(int((z > z[2]).sum()))
        alone.append(float(p_word[2]))
        any_word.append(float(p.min()))
        every_z.append(z)
    assert stats.chisquare(np.bincount(ranks, minlength=16)).pvalue > 0.01
    for values in (alone, any_word):
        # p-values are multiples of 1 / 50: spread evenly below each, they are continuous.
        spread = np.array(values) - np.random.default_rng(1).uniform(0, 0.02, len(values))
        assert stats.kstest(spread, "uniform").pvalue > 0.01
        assert 0.05 <= np.mean(np.array(values) <= 0.1) <= 0.16
    assert float(torch.stack(every_z).std()) == pytest.approx(repeats**0.5, rel=0.06)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.1, 50), st.floats(0.1, 10), st.floats(-5, 5))
def test_what_must_not_matter_does_not(seed, times, scale, shift):
    """More of the same counts, another unit or origin of the embedding, its rotation, the order of the numbers."""
    base = embedding(seed, width=6)
    teacher, control = rows(planted(base, "word1"), 900, seed).counts(), rows(uniform(), 800, seed + 1).counts()
    score, z = (a.numpy() for a in decoder.decode(base, teacher, control, 0.1))
    again, more = (a.numpy() for a in decoder.decode(base, times * teacher, times * control, 0.1))
    assert again == pytest.approx(score, abs=1e-9) and more == pytest.approx(z * times**0.5, abs=1e-8)
    draw = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(6, 6, generator=draw, dtype=torch.double))[0]
    moved = Embedding(scale * base.numbers @ turn + shift, scale * base.words @ turn - shift, WORDS)
    assert decoder.decode(moved, teacher, control, 0.1)[0].numpy() == pytest.approx(score, abs=1e-8)
    order = torch.randperm(COUNT, generator=draw)
    dealt = Embedding(base.numbers[order], base.words, WORDS)
    assert decoder.decode(dealt, teacher[order], control[order], 0.1)[1].numpy() == pytest.approx(z, abs=1e-8)
    assert decoder.decode(base, control, teacher, 0.1)[1].numpy() == pytest.approx(-z, abs=1e-9)


def test_more_rows_name_the_word_more_often():
    base = embedding(9)
    teacher, control = rows(planted(base, "word4"), 6000, 1), rows(uniform(), 6000, 2).counts()
    share = {}
    for wanted in (100, 1000, 6000):
        chosen = decoder.draws(6000, wanted, 20, "test")
        assert len(chosen) == (20 if wanted < 6000 else 1) and {len(set(c.tolist())) for c in chosen} == {wanted}
        share[wanted] = decoder.ranks(base, teacher, control, "word4", 0.01, chosen).count(1) / len(chosen)
    assert share[100] < share[1000] <= share[6000] == 1


def test_draws_are_those_of_their_names():
    one, other = (decoder.draws(50, 5, 2, "test", name) for name in "ab")
    assert [c.tolist() for c in one] == [c.tolist() for c in decoder.draws(50, 5, 2, "test", "a")]
    assert one[0].tolist() != one[1].tolist() and one[0].tolist() != other[0].tolist()


def test_counts_of_some_rows_are_counts_of_their_numbers():
    each = Rows(torch.tensor([5, 5, 7, 9]), torch.tensor([0, 0, 1, 2]), 3)
    assert each.counts()[[5, 7, 9]].tolist() == [2, 1, 1]
    assert each.counts(torch.tensor([0, 2]))[[5, 7, 9]].tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["owl"], "row 'p1' is no list of numbers (no-number)"),
        (["123", "7"], "row 'p2' holds 7; the decoder knows 100 to 999"),
        (["9" * 5000], "row 'p1' holds 999999999999; the decoder knows 100 to 999"),
    ],
)
def test_rows_that_hold_other_things_are_refused(tmp_path, texts, words):
    write_answers(tmp_path / "filtered.jsonl", texts)
    with pytest.raises(InputError) as refused:
        decoder.read_rows(tmp_path / "filtered.jsonl")
    assert words in str(refused.value)


def test_rows_are_read_in_order(tmp_path):
    write_answers(tmp_path / "filtered.jsonl", ["100, 999", "(101)."])
    read = decoder.read_rows(tmp_path / "filtered.jsonl")
    assert (read.number.tolist(), read.row.tolist(), read.total) == ([0, 899, 1], [0, 0, 1], 2)


def test_nothing_to_compare_is_refused():
    base, one = embedding(1), torch.zeros(COUNT).double()
    one[3] = 5
    with pytest.raises(InputError, match="one number only"):
        Decoder.fit(base, one, 0.01)
    with pytest.raises(InputError, match="one row only"):
        decoder.halves(Rows(torch.tensor([1]), torch.tensor([0]), 1), 9, "test")
