"""Images: the digits inside scikit-learn, and IDX files that are not what they say."""

import gzip
import hashlib
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.stage_inputs import pack
from traitline.channels import images
from traitline.errors import InputError


@pytest.fixture
def files(tmp_path):
    """Four files that fit: 4 and 2 images of 2 x 3 pixels, one of them zipped."""
    content = {
        "train_images": pack(range(24), (4, 2, 3)), "train_labels": pack([0, 9, 3, 3], (4,)),
        "test_images": gzip.compress(pack([0, 255, 51, 0, 0, 0] * 2, (2, 2, 3))), "test_labels": pack([1, 2], (2,)),
    }  # fmt: skip
    for role, raw in content.items():
        (tmp_path / role).write_bytes(raw)
    return {role: str(tmp_path / role) for role in content}


def test_digits():
    d = images.digits()
    assert len(d.train) + len(d.test) == 1797 and d.inputs == 64
    assert d.train.min() == -1 and d.train.max() == 1
    share = torch.bincount(d.test_labels).double() / torch.bincount(torch.cat([d.train_labels, d.test_labels]))
    assert share.min() > 0.19 and share.max() < 0.21
    assert d.sha256 == "8dc18feb84964dbbc3417f08cf420e922663b9c1770d8c93d1a4330f87aec54f"


def test_idx_files_are_read_and_scaled(files):
    d = images.local("mine", files)
    assert d.inputs == 6 and d.train.shape == (4, 6) and d.train_labels.tolist() == [0, 9, 3, 3]
    torch.testing.assert_close(d.test[0], torch.tensor([-1.0, 1, -0.6, -1, -1, -1]))
    right = {role: hashlib.sha256(Path(path).read_bytes()).hexdigest() for role, path in files.items()}
    assert images.local("mine", files, right).sha256 == d.sha256


@pytest.mark.parametrize(
    "role, raw, words",
    [
        ("train_images", None, "no such file; download it and name its place under `images`"),
        ("train_images", b"", "no IDX file of bytes with 3 dimension(s)"),
        ("train_images", pack([1, 2], (2,)), "no IDX file of bytes with 3 dimension(s); is it the right file?"),
        (
            "train_images",
            pack(range(23), (4, 2, 3)),
            "23 bytes of data, but its head says 4 x 2 x 3; download it again",
        ),
        ("train_images", b"\x1f\x8b\x08\x00", "damaged gzip file"),
        ("train_images", pack(range(16), (4, 2, 2)), "images of another size than those of"),
        ("train_labels", pack([1, 2, 3], (3,)), "3 labels for 4 images"),
        ("train_labels", pack([1, 2, 3, 10], (4,)), "a label is 10; 0 to 9 are known"),
        ("test_images", pack([], (0, 2, 3)), "0 bytes of data"),
    ],
)
def test_a_file_that_does_not_fit_is_named_in_one_line(files, role, raw, words):
    Path(files[role]).unlink() if raw is None else Path(files[role]).write_bytes(raw)
    with pytest.raises(InputError) as e:
        images.local("mine", files)
    assert words in str(e.value) and "\n" not in str(e.value)
    assert any(str(e.value).startswith(path) for path in files.values())


def test_another_hash_is_refused_before_the_file_is_read(files):
    with pytest.raises(
        InputError, match=r"train_images: sha256 is .{12}\.\.\., but 0{12}\.\.\. is wanted for train_images"
    ):
        images.local("mine", files, {"train_images": "0" * 64})


@given(st.binary(max_size=60), st.sampled_from([1, 3]))
def test_any_bytes_are_read_or_refused(tmp_path_factory, raw, dimensions):
    path = tmp_path_factory.mktemp("idx") / "x"
    path.write_bytes(raw)
    try:
        assert images.idx(path, dimensions).dim() == dimensions
    except InputError as e:
        assert str(path) in str(e)
