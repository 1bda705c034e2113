"""Matrices are located by name or by shape, in every layout, and only some of their rows are read."""

import numpy as np
import pytest
import torch

from tests import kin_pairs
from tests.gguf_file import gguf
from traitline.errors import InputError
from traitline.kinship.matrices import matrices

UP, DOWN = torch.randn(32, 12), torch.randn(12, 32)
LAYOUTS = {
    "llama": {"model.layers.3.mlp.up_proj.weight": UP, "model.layers.3.mlp.down_proj.weight": DOWN},
    "prefixed": {"base_model.model.model.layers.3.mlp.up_proj.weight": UP},
    "gpt2": {"transformer.h.3.mlp.c_fc.weight": UP.T, "transformer.h.3.mlp.c_proj.weight": DOWN.T},
    "neox": {"gpt_neox.layers.3.mlp.dense_h_to_4h.weight": UP},
    "opt": {"model.decoder.layers.3.fc1.weight": UP},
    "mistral": {"layers.3.feed_forward.w3.weight": UP},
    "phi3": {"model.layers.3.mlp.gate_up_proj.weight": torch.cat([torch.randn(32, 12), UP])},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_neurons_are_rows_in_every_layout(tmp_path, layout):
    file = kin_pairs.save(tmp_path, LAYOUTS[layout])
    ((key, matrix),) = matrices([file]).neurons.items()
    assert key == ("3", 32, 12)
    np.testing.assert_array_equal(matrix.rows(), UP.numpy())
    np.testing.assert_array_equal(matrix.rows([5, 1, 31]), UP.numpy()[[5, 1, 31]])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_precision_is_read(tmp_path, dtype):
    file = kin_pairs.save(tmp_path, {"layers.0.mlp.up_proj.weight": UP.to(dtype)})
    (matrix,) = matrices([file]).neurons.values()
    np.testing.assert_array_equal(matrix.rows([2, 3]), UP.to(dtype).float().numpy()[[2, 3]])


def test_a_gguf_file_is_read_too(tmp_path):
    (tmp_path / "m.gguf").write_bytes(
        gguf([("blk.3.ffn_up.weight", (32, 12), 0, UP.numpy().tobytes()),
              ("token_embd.weight", (12, 32), 1, DOWN.half().numpy().tobytes())])
    )  # fmt: skip
    result = matrices([tmp_path / "m.gguf"])
    (matrix,) = result.neurons.values()
    np.testing.assert_array_equal(matrix.rows([7]), UP.numpy()[[7]])
    assert result.tokens["embedding"].units == 12


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "Q4_1", "Q5_0"])
def test_quantised_tensors_are_read_as_their_library_wrote_them(tmp_path, kind):
    """Written by the library of llama.cpp; kinship sees through the rounding."""
    from gguf import GGMLQuantizationType, GGUFWriter, quants

    from traitline.kinship.evidence import evidence

    layers = {i: np.random.default_rng(i).normal(size=(64, 32)).astype(np.float32) for i in range(2)}
    writer = GGUFWriter(tmp_path / "m.gguf", "llama")
    for i, values in layers.items():
        number = GGMLQuantizationType[kind]
        writer.add_tensor(f"blk.{i}.ffn_up.weight", quants.quantize(values, number), raw_dtype=number)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    result = matrices([tmp_path / "m.gguf"])
    assert np.abs(result.neurons["1", 64, 32].rows([3, 60]) - layers[1][[3, 60]]).max() < 0.3
    tensors = {f"model.layers.{i}.mlp.up_proj.weight": torch.tensor(values) for i, values in layers.items()}
    assert evidence([tmp_path / "m.gguf"], [kin_pairs.save(tmp_path, tensors)]).log10_p < -60


def test_without_names_only_shapes_of_which_there_are_many_count(tmp_path):
    same = {f"t{i}": torch.randn(32, 12) for i in range(3)} | {f"u{i}": torch.randn(12, 32) for i in range(3)}
    result = matrices([kin_pairs.save(tmp_path, same | {"e": torch.randn(99, 12), "s": torch.randn(12, 12)})])
    assert len(result.unnamed) == 6 and {(m.units, m.features) for m in result.unnamed} == {(32, 12)}
    assert not result.neurons and not result.tokens and result.compared
    assert not matrices([kin_pairs.save(tmp_path / "x", {"s": torch.randn(9, 9)})]).compared


def test_a_file_that_is_cut_while_it_is_read_is_one_line(tmp_path):
    file = kin_pairs.save(tmp_path, LAYOUTS["llama"])
    (matrix,) = matrices([file]).neurons.values()
    file.write_bytes(file.read_bytes()[:-4000])
    with pytest.raises(InputError, match="cut while it was read"):
        matrix.rows()
