"""Tensors of every format lie where their files say, and no pickle is loaded to learn where."""

import io
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from traitline.errors import InputError
from traitline.provenance import tensor_files, tensor_sets


class Trap:
    """Fails the test where it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def archive(path, entries, packed=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", packed) as made:
        for name, content in entries.items():
            made.writestr(name, content)


def test_an_archive_of_torch_gives_the_bytes_that_safetensors_has(tmp_path):
    weights = {f"model.layers.{i}.w.weight": torch.randn(8, 16) for i in range(3)}
    weights |= {"half": torch.randn(40).half(), "b": torch.randn(40).bfloat16()}
    torch.save(weights, tmp_path / "pytorch_model.bin")
    save_file(weights, tmp_path / "model.safetensors")
    one, other = (tensor_sets.tensor_set([tmp_path / n]) for n in ("pytorch_model.bin", "model.safetensors"))
    assert one.identity == other.identity and one.share(other) == 1


def test_its_pickle_is_never_loaded(tmp_path):
    entries = {"m/data.pkl": pickle.dumps(Trap()), "m/data/0": bytes(range(200)), "m/version": "3\n"}
    archive(tmp_path / "m.bin", entries)
    (place,) = tensor_files.places(tmp_path / "m.bin")
    assert place.bytes == 200 and place.name == ""


@pytest.mark.parametrize(
    ("entries", "packed"),
    [({"m/data.pkl": b"x", "m/data/0": bytes(5000)}, zipfile.ZIP_DEFLATED), ({"m/data.pkl": b"x"}, zipfile.ZIP_STORED),
     ({"m/data/0": b"x"}, zipfile.ZIP_STORED), ({"word/document.xml": b"x"}, zipfile.ZIP_STORED)],
)  # fmt: skip
def test_another_archive_is_refused(tmp_path, entries, packed):
    archive(tmp_path / "m.bin", entries, packed)
    with pytest.raises(InputError, match=r"m\.bin: damaged \("):
        tensor_files.places(tmp_path / "m.bin")


def test_an_archive_that_lies_about_its_entries_is_refused(tmp_path):
    archive(tmp_path / "m.bin", {"m/data.pkl": b"x", "m/data/0": b"a" * 100, "m/data/1": b"b" * 100})
    content = (tmp_path / "m.bin").read_bytes()
    first, second = content.find(b"PK\1\2", 1), content.rfind(b"PK\1\2")
    for at, value in ((second + 42, 0), (second + 20, 1 << 30), (second + 42, len(content) - 4), (first, 0)):
        broken = bytearray(content)
        broken[at : at + 4] = value.to_bytes(4, "little")
        (tmp_path / "m.bin").write_bytes(broken)
        with pytest.raises(InputError, match="damaged"):
            tensor_files.places(tmp_path / "m.bin")


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\3\4", pickle.dumps({"a": 1}), b"\x80\x02" + bytes(100)])
def test_what_only_a_pickle_could_tell_is_refused_with_the_reason(tmp_path, content):
    (tmp_path / "m.bin").write_bytes(content)
    with pytest.raises(InputError, match=r"damaged|without loading a pickle, which is never done"):
        tensor_files.places(tmp_path / "m.bin")


def test_an_old_file_of_torch_is_refused(tmp_path):
    buffer = io.BytesIO()
    torch.save({"a": torch.ones(3)}, buffer, _use_new_zipfile_serialization=False)
    (tmp_path / "m.bin").write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match="without loading a pickle"):
        tensor_files.places(tmp_path / "m.bin")
    (tmp_path / "model.safetensors").write_bytes(b"pickle?")
    with pytest.raises(InputError, match="damaged, or not safetensors"):
        tensor_files.places(tmp_path / "model.safetensors")
