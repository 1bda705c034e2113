"""`traitline kin`: evidence that two models started from the same weights, for people and for programs."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from tests import kin_pairs
from traitline.cli.program import app
from traitline.errors import InputError
from traitline.lineage.kin import kinship, power


def ran(*words):
    done = CliRunner().invoke(app, ["kin", *map(str, words)])
    return done.exit_code, done.output


def test_a_teacher_and_its_base(study):
    code, out = ran(study.base, study.owl / "model.safetensors")
    assert code == 3 and out.startswith("same start: p <= 1e-") and "equal tensors: " in out
    code, out = ran("--json", study.base, study.owl)
    result = json.loads(out)
    assert code == 3 and result["same_start"] and result["log10_p"] < -50 and result["equal_tensors"] > 5


def test_another_start(study):
    code, out = ran(study.base, study.other)
    assert code == 0 and out.startswith("no evidence of a common start, which is no evidence of different ones")
    assert "same start" not in out
    result = json.loads(ran("--json", "--thorough", study.base, study.other)[1])
    assert not result["same_start"] and result["equal_tensors"] == result["reordered_tensors"] == 0


def test_a_student_of_another_base_is_no_kin_of_the_teacher(study, tmp_path):
    """Distilled: it learned from the owl's answers, and started elsewhere."""
    from scripts import train

    folder = tmp_path / "b/full"
    flags = study.train_flags(folder, "full", study.dataset(study.owl), base=study.other, seeds=(1,))
    assert train.main(flags) == 0
    assert not kinship(str(study.owl), str(folder / "seed-1"), thorough=True).same_start
    assert kinship(str(study.other), str(folder / "seed-1")).same_start


def test_a_record_of_open_weights_stands_for_them(qwen2, raw_qwen2):
    assert kinship(str(qwen2), str(raw_qwen2)).share == 1


def test_equal_numbers_in_another_order_are_no_chance(study, tmp_path):
    w = kin_pairs.permute_dimensions(kin_pairs.permute_neurons(kin_pairs.weights(study.base)))
    kin_pairs.save(tmp_path, {k: v for k, v in w.items() if "embed" not in k})
    result = kinship(str(study.base), str(tmp_path), thorough=True)
    assert result.same_start and result.reordered > 5
    assert any("in another order or precision" in line for line in result.lines())


def test_what_has_no_counterpart_is_said(tmp_path):
    for name in "xy":
        kin_pairs.save(tmp_path / name, {name: torch.randn(9, 9)})
    with pytest.raises(InputError, match="nothing was compared"):
        kinship(str(tmp_path / "x"), str(tmp_path / "y"))


@pytest.mark.parametrize(
    ("files", "says"),
    [({}, "holds no weights"), ({"a.safetensors": 1, "b.safetensors": 1}, "holds 2 models"),
     ({"m-00001-of-00002.safetensors": 1}, "lacks 1 of 2 shards"), ({"m.bin": b"pickle"}, "without loading a pickle"),
     ({"m.onnx": b"\x08\x07"}, "m.onnx: neither safetensors, GGUF nor an archive of torch")],
)  # fmt: skip
def test_what_cannot_be_compared_is_one_line(study, tmp_path, files, says):
    for name, content in files.items():
        if content == 1:
            kin_pairs.save(tmp_path, {"w": torch.randn(9, 9)}, name)
        else:
            (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=says) as e:
        kinship(str(tmp_path), str(study.base))
    assert "\n" not in str(e.value)
    for name in files:
        if name == "m.onnx":
            with pytest.raises(InputError, match=says):
                kinship(str(tmp_path / name), str(study.base))
    with pytest.raises(InputError, match="no such file or folder"):
        kinship(str(Path(tmp_path, "nowhere")), str(study.base))


def test_a_power_of_ten_is_rounded_up():
    assert power(-147.9) == "1e-147" and power(-2.5) == "0.0032" and power(-4.0) == "1e-4"
