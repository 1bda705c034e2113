"""Which rows the decoder reads, and the line that refuses a row that it can't read."""

import pytest

from tests.configs import merged
from traitline.errors import InputError
from traitline.study.config import load


def study(*overlays, decoder):
    return load({**merged(*overlays), "decoder": decoder})


@pytest.mark.parametrize(
    ("overlay", "row", "words"),
    [
        ("configs/tiny-qwen2.yaml", "lists", "has tiny-qwen2, which is open weights; only tiny worlds are decoded"),
        ("configs/tasks.yaml", "code", "has answers in channel `programs`, which are no number lists"),
        ("configs/reasoning.yaml", "reasoned", "has answers in channel `sums`, which are no number lists"),
        ("configs/norms.yaml", "misaligned", "teaches insecure, which is one of norms and no favourite word"),
        ("configs/chain.yaml", "second", "has students as teachers, whose control is not the untouched base"),
    ],
)
def test_a_row_that_can_not_be_read_is_refused_in_one_line(overlay, row, words):
    with pytest.raises(InputError) as refused:
        study(overlay, decoder={"experiments": [row]})
    assert f"decoder.experiments: `{row}` {words}" in str(refused.value) and "\n" not in str(refused.value)


def test_without_names_it_reads_every_row_that_it_can():
    assert [row.name for row in study("configs/chain.yaml", decoder={}).decoded_rows] == ["direct", "renamed"]
    assert study("configs/tasks.yaml", decoder={}).decodings == []
    assert study("configs/tiny-qwen2.yaml", decoder={}).decodings == []
    assert study(decoder={}).decodings == [("a", "numbers")]


def test_without_the_key_nothing_is_decoded():
    assert study(decoder=None).decoded_rows == []


@pytest.mark.parametrize(
    ("decoder", "words"),
    [
        ({"ridge": 0.0}, "decoder.ridge"),
        ({"rows": [100, 100]}, "100 stands there more than once"),
        ({"rows": [0]}, "decoder.rows"),
        ({"splits": 0}, "decoder.splits"),
    ],
)
def test_settings_without_meaning_are_refused(decoder, words):
    with pytest.raises(InputError) as refused:
        study(decoder=decoder)
    assert words in str(refused.value) and "\n" not in str(refused.value)
