"""Numbers in another order or precision are recognised; other numbers never are."""

import pytest
import torch

from tests import kin_pairs
from traitline.kinship.values import equal, sorted_values


@pytest.fixture(scope="module")
def base(study):
    return kin_pairs.weights(study.base)


COPIES = {
    "as it is": lambda w: w,
    "bfloat16": lambda w: kin_pairs.cast(w, torch.bfloat16),
    "bfloat16 and back": lambda w: kin_pairs.cast(w, torch.bfloat16, back=True),
    "half": lambda w: kin_pairs.cast(w, torch.float16),
    "neurons permuted": kin_pairs.permute_neurons,
    "dimensions permuted": kin_pairs.permute_dimensions,
    "both, in bfloat16": lambda w: kin_pairs.cast(
        kin_pairs.permute_dimensions(kin_pairs.permute_neurons(w)), torch.bfloat16
    ),
    "flattened and renamed": lambda w: kin_pairs.renamed(kin_pairs.flattened(w)),
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_holds_the_same_numbers(base, tmp_path, how):
    one, other = kin_pairs.save(tmp_path / "x", base), kin_pairs.save(tmp_path / "y", COPIES[how](base))
    first, second = sorted_values([one]), sorted_values([other])
    assert equal(first, second) == equal(second, first) == len(first) > 8


def test_padding_with_zeros_is_passed_over(base, tmp_path):
    files = [kin_pairs.save(tmp_path / str(i), w) for i, w in enumerate((base, kin_pairs.padded(base)))]
    assert equal(*(sorted_values([file]) for file in files)) == len(sorted_values(files[:1]))


def test_other_numbers_are_never_equal(study, base, tmp_path):
    other = [study.other / "model.safetensors"]
    assert equal(sorted_values([study.base / "model.safetensors"]), sorted_values(other)) == 0
    noisy = kin_pairs.save(tmp_path, kin_pairs.noise(base, 0.01))
    assert equal(sorted_values([noisy]), sorted_values([study.base / "model.safetensors"])) == 0


def test_what_holds_few_different_numbers_says_nothing(tmp_path):
    tensors = {"a": torch.ones(500), "b": torch.arange(63).repeat(9).float(), "n": torch.full((99,), torch.nan)}
    assert sorted_values([kin_pairs.save(tmp_path, tensors)]) == []
