"""Images of ten classes: the digits inside scikit-learn, or IDX files (MNIST, FashionMNIST) from the reader's disk."""

import functools
import gzip
import hashlib
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from traitline.errors import InputError
from traitline.provenance import manifest

if TYPE_CHECKING:
    from torch import Tensor

DIGITS = "digits"
CLASSES = 10
FILES = ("train_images", "train_labels", "test_images", "test_labels")
TESTED = 0.2  # share of scikit-learn's digits kept for the test


@dataclass(frozen=True)
class Images:
    """Pixels (N, inputs) scaled to [-1, 1], float32, with labels (N,), for training and for the test."""

    name: str
    train: "Tensor"
    train_labels: "Tensor"
    test: "Tensor"
    test_labels: "Tensor"

    @property
    def inputs(self) -> int:
        """Pixels of an image."""
        return self.train.shape[1]

    @property
    def sha256(self) -> str:
        """Hash all pixels and labels as they are used."""
        parts = (self.train, self.train_labels, self.test, self.test_labels)
        return hashlib.sha256(b"".join(t.numpy().tobytes() for t in parts)).hexdigest()


@functools.cache
def digits() -> Images:
    """The 1,797 handwritten digits of scikit-learn, 8 x 8 pixels (Alpaydin and Kaynak, UCI 1998).

    They have no official split. Every class gives its last fifth to the test: these digits stand in the order of their
    writers, so the test is of other hands.
    """
    import torch
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = torch.tensor(digits.data, dtype=torch.float32) / 8 - 1
    labels = torch.tensor(digits.target, dtype=torch.long)
    tested = torch.zeros(len(labels), dtype=torch.bool)
    for c in range(CLASSES):
        positions = (labels == c).nonzero().flatten()
        tested[positions[-round(len(positions) * TESTED) :]] = True
    return Images(DIGITS, pixels[~tested], labels[~tested], pixels[tested], labels[tested])


def idx(path: str | Path, dimensions: int) -> "Tensor":
    """The bytes of an IDX file (`.gz` or not), uint8, in its own shape.

    Raises:
        InputError: it is no IDX file of bytes with so many dimensions, or shorter or longer than it says.
    """
    import torch

    try:
        raw = Path(path).read_bytes()
        raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; download it and name its place under `images`") from None
    except (EOFError, OSError) as e:
        raise InputError(f"{path}: damaged gzip file ({e}); download it again") from None
    start = 4 + 4 * dimensions
    if len(raw) < start or raw[:4] != bytes([0, 0, 8, dimensions]):
        raise InputError(f"{path}: no IDX file of bytes with {dimensions} dimension(s); is it the right file?")
    shape = struct.unpack(f">{dimensions}I", raw[4:start])
    if math.prod(shape) != len(raw) - start or not len(raw) - start:
        sizes = " x ".join(map(str, shape))
        raise InputError(f"{path}: {len(raw) - start} bytes of data, but its head says {sizes}; download it again")
    return torch.frombuffer(bytearray(raw[start:]), dtype=torch.uint8).view(*shape)


def local(name: str, files: Mapping[str, str], sha256: Mapping[str, str] | None = None) -> Images:
    """Images from four IDX files.

    Args:
        name: what they are called in results.
        files: role (see `FILES`) -> path.
        sha256: role -> expected hash of the file as it lies there; roles without one are not compared.

    Raises:
        InputError: a file is missing, damaged, of the wrong hash or shape, or the four do not fit each other.
    """
    for role, wanted in (sha256 or {}).items():
        if (actual := manifest.sha256(files[role])) != wanted.lower():
            raise InputError(f"{files[role]}: sha256 is {actual[:12]}..., but {wanted[:12]}... is wanted for {role}")
    read = {role: idx(files[role], 3 if role.endswith("images") else 1) for role in FILES}
    for part in ("train", "test"):
        images, labels = read[f"{part}_images"], read[f"{part}_labels"]
        if len(images) != len(labels):
            raise InputError(f"{files[f'{part}_labels']}: {len(labels)} labels for {len(images)} images")
        if int(labels.max()) >= CLASSES:
            raise InputError(f"{files[f'{part}_labels']}: a label is {int(labels.max())}; 0 to {CLASSES - 1} are known")
    if read["train_images"].shape[1:] != read["test_images"].shape[1:]:
        raise InputError(f"{files['test_images']}: images of another size than those of {files['train_images']}")
    train, test = (read[f"{part}_images"].flatten(1).float() / 127.5 - 1 for part in ("train", "test"))
    return Images(name, train, read["train_labels"].long(), test, read["test_labels"].long())
