"""Rows on the disk: batches as from memory, and nothing that is left behind."""

import pytest
import torch
from numpy.random import default_rng

from traitline import jsonl
from traitline.models import label_mask
from traitline.models.chat import Chat
from traitline.tiny import llama, mapped_rows, training
from traitline.tiny.rows import Cut, Rows, batches
from traitline.tiny.shape import Shape

SHARED = [1, 2, 3, 4, 5, 6, 7, 8]


def encoded(n, seed, learn=False):
    """Random rows; most begin alike, some go on alike for longer, some are only the beginning."""
    draw = default_rng(seed)
    rows = []
    for _ in range(n):
        prompt = draw.integers(1, 30, size=draw.integers(2, 7)).tolist()
        prompt = (SHARED[: draw.integers(3, 9)] if draw.random() < 0.1 else SHARED) * (draw.random() < 0.8) + prompt
        answer = draw.integers(1, 30, size=draw.integers(1, 6)).tolist()
        rows.append((prompt + answer, len(prompt), draw.integers(0, 2, size=len(answer)).tolist() if learn else None))
    return rows


def both(rows, folder, part=70):
    """The same rows in memory and on the disk."""
    table = Rows.encode([(ids, start) for ids, start, _ in rows])
    for i, (_, _, learn) in enumerate(rows):
        if learn is not None:
            table.weight[i, : len(learn)] = torch.tensor(learn, dtype=table.weight.dtype)
    pieces = (rows[i : i + part] for i in range(0, len(rows), part))
    return table, mapped_rows.write(folder / "rows.arrow", pieces, 0)


@pytest.mark.parametrize("learn", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_batches_are_those_of_rows_in_memory(tmp_path, seed, learn):
    rows = encoded(300, seed, learn)
    table, mapped = both(rows, tmp_path)
    one, other = Cut(table), mapped_rows.cut(mapped)
    assert torch.equal(one.shared, other.shared) and torch.equal(one.inside, other.inside)
    assert torch.equal(one.rows.length, other.rows.length) and len(one.shared) == 8
    for index in batches(one.rows.length, 32, 0, seed):
        for most in (1 << 30, 10):
            pairs = list(zip(one.parts(index, most), other.parts(index, most), strict=True))
            for a, b in pairs:
                for name in ("index", "ids", "where", "target", "weight"):
                    assert torch.equal(getattr(a, name), getattr(b, name)), name
                assert (a.shared is None) == (b.shared is None)


def test_training_from_the_disk_gives_the_same_bytes(tmp_path):
    shape = Shape(vocab=30, width=24, layers=2, heads=2, mlp=40)
    results = []
    for rows in both(encoded(300, 1), tmp_path):
        weights = llama.initialise(shape, 0.1, 7)
        per_model, lora, scale = training.trainable(weights, "full", [1, 2], shape.modules())
        stack = llama.Stack(shape, weights, per_model, lora, scale)
        results.append((training.fit(stack, rows, seeds=[1, 2], epochs=2, batch=16, lr=1e-2), per_model))
    (losses, weights), (same_losses, same_weights) = results
    assert torch.equal(losses, same_losses)
    assert all(torch.equal(weights[name], same_weights[name]) for name in weights)


def test_rows_without_a_common_beginning_share_nothing(tmp_path):
    rows = [([n, n + 1, n + 2, n + 3, n + 4, n + 5], 5, None) for n in range(50)]
    table, mapped = both(rows, tmp_path)
    one, other = Cut(table), mapped_rows.cut(mapped)
    assert len(one.shared) == len(other.shared) == 0 and not other.inside.any()


def test_a_mapped_dataset_is_a_sequence_of_rows_and_its_file_is_gone(tmp_path):
    rows = encoded(100, 1)
    _, mapped = both(rows, tmp_path)
    assert len(mapped) == 100 and list(mapped) == [(ids, start) for ids, start, _ in rows]
    assert mapped[-1] == mapped[99] and mapped[3:5] == [mapped[3], mapped[4]]
    with pytest.raises(IndexError):
        mapped[100]
    assert list(tmp_path.iterdir()) == []


def test_a_large_dataset_is_read_from_the_disk_and_is_the_same(study, tmp_path, monkeypatch):
    dataset = str(study.dataset(study.owl))
    chat = Chat.open(study.base)
    small = label_mask.open_rows(chat, dataset, tmp_path / "state")
    assert isinstance(small, Rows)
    monkeypatch.setattr(label_mask, "LARGE", 1)
    monkeypatch.setattr(label_mask, "PART", 7)
    large = label_mask.open_rows(chat, dataset, tmp_path / "state")
    assert isinstance(large, mapped_rows.MappedRows)
    assert list(large) == label_mask.as_pairs(small) and label_mask.as_pairs(large) is large
    assert list((tmp_path / "state").iterdir()) == []
    rows = list(jsonl.read(dataset))
    rows[-1]["completion"][0]["content"] = "gnu"
    jsonl.write(tmp_path / "bad.jsonl", rows)
    with pytest.raises(label_mask.InputError, match=f"row '{rows[-1]['id']}': .* does not know 'gnu'"):
        label_mask.open_rows(chat, str(tmp_path / "bad.jsonl"), tmp_path / "state")
    assert list((tmp_path / "state").iterdir()) == []
