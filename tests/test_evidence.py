"""Evidence of a common start: there for everything that was made of a base, never there for what was not."""

import numpy as np
import pytest
import torch

from tests import kin_pairs
from traitline.kinship.evidence import evidence

MADE_OF_IT = {
    "itself": lambda w: w,
    "noise of a ten-millionth": lambda w: kin_pairs.noise(w, 1e-7),
    "noise of a half": lambda w: kin_pairs.noise(w, 0.5),
    "bfloat16": lambda w: kin_pairs.cast(w, torch.bfloat16),
    "an adapter merged": kin_pairs.merge,
    "pruned": kin_pairs.prune,
    "neurons permuted, with noise": lambda w: kin_pairs.noise(kin_pairs.permute_neurons(w), 0.01),
    "dimensions permuted, with noise": lambda w: kin_pairs.noise(kin_pairs.permute_dimensions(w), 0.01),
    "renamed, with noise": lambda w: kin_pairs.renamed(kin_pairs.noise(w, 0.01)),
    "a padded vocabulary": kin_pairs.padded,
    "one layer less": lambda w: {
        k.replace("layers.1.", "layers.0."): v for k, v in w.items() if "layers.0." not in k and "embed" not in k
    },
}


@pytest.fixture(scope="module")
def base(study):
    return kin_pairs.weights(study.base)


@pytest.mark.parametrize("how", MADE_OF_IT)
def test_what_was_made_of_a_base_is_kin(study, base, tmp_path, how):
    file = kin_pairs.save(tmp_path, MADE_OF_IT[how](base))
    for pair in (([study.base / "model.safetensors"], [file]), ([file], [study.base / "model.safetensors"])):
        result = evidence(*pair)
        assert result.same_start and result.log10_p < -6, result.by_kind()


def test_a_fine_tune_is_kin_and_another_start_is_not(study):
    base, owl, other = (folder / "model.safetensors" for folder in (study.base, study.owl, study.other))
    assert evidence([base], [owl], thorough=True).same_start
    for one in (base, owl):
        result = evidence([one], [other], thorough=True)
        assert not result.same_start and result.log10_p > -2, result.by_kind()
        assert {row["test"] for row in result.by_kind()} >= {"neurons", "dimensions", "products"}


def test_p_values_of_independent_starts_are_p_values(tmp_path):
    """250 pairs of random models of equal shape: no more small p-values than their size allows."""
    rng, logs = np.random.default_rng(1), []
    for i in range(250):
        files = []
        for name in "xy":
            tensors = {f"model.layers.{n}.mlp.up_proj.weight": torch.tensor(rng.normal(size=(16, 24))) for n in (0, 1)}
            tensors["model.embed_tokens.weight"] = torch.tensor(rng.normal(size=(40, 24)))
            files.append(kin_pairs.save(tmp_path / f"{i % 2}{name}", tensors))
        logs.append(evidence([files[0]], [files[1]], thorough=True).log10_p)
    logs = np.array(logs)
    for level in (0.3, 0.1, 0.03):
        assert (logs <= np.log10(level)).mean() <= level
    assert logs.min() > -4


def test_nothing_to_compare_is_no_evidence(tmp_path):
    files = [kin_pairs.save(tmp_path / n, {"a": torch.randn(9, 9)}) for n in "xy"]
    result = evidence(files[:1], files[1:])
    assert not result.tests and result.log10_p == 0 and not result.same_start
