"""Rows are encoded, cut and dealt so that every completion token counts once."""

import torch

from traitline.tiny.rows import Cut, Rows, batches


def test_an_epoch_deals_every_row_once_and_every_seed_its_own_order():
    length = torch.randint(4, 20, (333,), generator=torch.Generator().manual_seed(1))
    one, again, other, later = (batches(length, 10, e, s) for e, s in ((0, 1), (0, 1), (0, 2), (1, 1)))
    assert sorted(torch.cat(one).tolist()) == list(range(333))
    assert all(len(b) == 10 for b in one if len(b) != 3) and len(one) == 34
    assert torch.equal(torch.cat(one), torch.cat(again))
    assert not torch.equal(torch.cat(one), torch.cat(other)) and not torch.equal(torch.cat(one), torch.cat(later))
    padded = sum(int(length[b].max()) * len(b) for b in one)
    assert padded < 1.15 * int(length.sum())


def test_the_loss_falls_on_completions_only():
    data = Rows.encode([([1, 9, 8, 7, 5], 3), ([1, 6, 5], 2)])
    assert data.weight.tolist() == [[1, 1], [1, 0]]
    assert data.target[data.weight > 0].tolist() == [7, 5, 5]
    assert data.ids.gather(1, data.where + 1)[data.weight > 0].tolist() == [7, 5, 5]


def test_a_beginning_that_most_rows_share_is_taken_off_and_nothing_else_changes():
    """Not the last token of a prompt, which is asked; not where it is too short to matter."""
    data = Rows.encode(
        [([1, 2, 3, 4, 9, 5], 5), ([1, 2, 3, 4, 8, 7, 6, 5], 6), ([1, 2, 9, 5], 3), ([1, 2, 3, 4, 9, 6, 5], 5)]
    )
    cut = Cut(data)
    assert cut.shared.tolist() == [1, 2, 3, 4] and cut.inside.tolist() == [True, True, False, True]
    inside, outside = cut.parts(torch.tensor([3, 2, 1]))
    assert inside.ids.tolist() == [[9, 6, 5], [8, 7, 6]] and inside.shared.tolist() == [1, 2, 3, 4]
    assert inside.where.tolist() == [[0, 1], [1, 2]] and inside.target.tolist() == [[6, 5], [6, 5]]
    assert outside.ids.tolist() == [[1, 2, 9]] and outside.where.tolist() == [[2]] and outside.shared is None
    assert inside.weight.sum() + outside.weight.sum() == 1 and inside.index.tolist() == [3, 1]
    short = Cut(Rows.encode([([1, 2, 3, 9, 5], 4), ([1, 2, 3, 8, 5], 4)]))
    assert not len(short.shared) and not short.inside.any()


def test_rows_that_are_all_alike_keep_their_last_prompt_token():
    cut = Cut(Rows.encode([([1, 2, 3, 4, 5, 6, 7], 6)] * 3))
    assert cut.shared.tolist() == [1, 2, 3, 4, 5]
    (part,) = cut.parts(torch.arange(3))
    assert part.ids.tolist() == [[6]] * 3 and part.target.tolist() == [[7]] * 3
