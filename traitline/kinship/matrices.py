"""Matrices of a model that kinship looks at: their place by name or by shape, and some of their rows.

A model of billions of weights is never read as a whole: a few hundred rows of each matrix are enough.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from traitline.errors import InputError
from traitline.plain_files import open_plain
from traitline.provenance import tensor_files
from traitline.provenance.gguf_places import TYPES as GGUF_TYPES
from traitline.provenance.tensor_sets import plain_name
from traitline.provenance.weights import Place

if TYPE_CHECKING:
    from numpy import ndarray

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}  # how their numbers lie in a file
SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}  # bytes of a number
# Names of the matrix by which an MLP reads the residual stream, in one layout or another. A neuron is a row, or in
# GPT-2's layout a column.
UP = re.compile(
    r"(?P<layer>.*?)(?P<part>up_proj|gate_up_proj|fc1|fc_in|dense_h_to_4h|w3|ffn_up|c_fc|up_gate_proj|wi_1|wi)\.weight"
)
COLUMNS = ("c_fc",)
HALVES = {"gate_up_proj": 1, "up_gate_proj": 0}  # the part that is `up`, of two
EMBEDDING = re.compile(
    r"(?:.*\.)?(?:embed_tokens|wte|embed_in|word_embeddings|tok_embeddings|token_embd|shared|embeddings)\.weight"
)
HEAD = re.compile(r"(?:.*\.)?(?:lm_head|embed_out|output)\.weight")
LAYER = re.compile(r"\d+")
LARGEST = 1 << 31  # numbers of a matrix that is read as a whole
# Types of GGUF that are read where the library `gguf` is installed, which knows how: what llama.cpp's tools write most.
READ = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS")
QUANTISED = {kind[0]: kind for kind in GGUF_TYPES.values() if kind[0] in READ and find_spec("gguf")}
Key = tuple[str, int, int]  # numbers in the name of a layer, units, features
ALIKE = 3  # matrices of one shape from which on those without a name are taken for matrices of layers


@dataclass(frozen=True)
class Matrix:
    """A matrix in a file: units by features.

    Attributes:
        file: that it is in.
        place: there.
        units: how many.
        features: of each unit.
        first: row at which it begins.
        columns: whether the units are columns.
    """

    file: Path
    place: Place
    units: int
    features: int
    first: int = 0
    columns: bool = False

    def rows(self, units: "Sequence[int] | None" = None) -> "ndarray":
        """Values of some units (by default all), in single precision: (units, features).

        Raises:
            InputError: the file was cut meanwhile, or the matrix is too large to be read as a whole.
        """
        import numpy as np

        if self.columns or units is None:
            if self.units * self.features > LARGEST:
                raise InputError(f"{self.file}: {self.place.name} is too large to be read as a whole")
            whole = self._read([0], self.features if self.columns else self.units)
            whole = whole.T if self.columns else whole
            return whole if units is None else whole[np.asarray(units, dtype=np.int64)]
        return self._read(units, 1) if len(units) else np.zeros((0, self.features), np.float32)

    def blocks(self, size: int) -> "Iterator[ndarray]":
        """All rows, so many at a time.

        Raises:
            InputError: see `rows`.
        """
        whole = self.rows() if self.columns else None
        for start in range(0, self.units, size):
            if whole is not None:
                yield whole[start : start + size]
            else:
                yield self._read([start], min(size, self.units - start))

    def _read(self, starts: "Sequence[int]", count: int) -> "ndarray":
        """Rows as they lie in the file: at each start so many."""
        import numpy as np

        width = self.units if self.columns else self.features
        row_bytes = self.place.bytes // math.prod(self.place.shape) * width  # of numbers that have whole bytes
        if quantised := self.place.dtype not in TYPES:
            _, block, size = QUANTISED[self.place.dtype]
            row_bytes = width // block * size
        parts = []
        with open_plain(self.file) as handle:
            for row in starts:
                handle.seek(self.place.start + (self.first + row) * row_bytes)
                parts.append(handle.read(count * row_bytes))
        if any(len(part) != count * row_bytes for part in parts):
            raise InputError(f"{self.file}: cut while it was read")
        content, rows = b"".join(parts), count * len(parts)
        if quantised:
            return _dequantised(np.frombuffer(content, np.uint8).reshape(rows, row_bytes), self.place.dtype)
        return decoded(content, self.place.dtype).reshape(rows, width)


@dataclass
class Matrices:
    """What of a model says where it started.

    Attributes:
        neurons: layer -> matrix whose units are neurons.
        unnamed: matrices of which many have one shape, which may be of layers.
        tokens: matrices whose units are tokens, and whose features are dimensions of the residual stream.
    """

    neurons: dict[Key, Matrix] = field(default_factory=dict)
    unnamed: list[Matrix] = field(default_factory=list)
    tokens: dict[str, Matrix] = field(default_factory=dict)

    @property
    def compared(self) -> bool:
        """Tell whether there is anything to compare."""
        return bool(self.neurons or self.unnamed or self.tokens)


def decoded(content: bytes, dtype: str) -> "ndarray":
    """Numbers of a file in single precision; `dtype`: one of `TYPES`."""
    import numpy as np

    raw = np.frombuffer(content, np.dtype(TYPES[dtype]))
    if dtype == "BF16":
        raw = (raw.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(all="ignore"):  # a number that is too large for single precision is infinite
        return raw.astype(np.float32, copy=False)


def matrices(files: Iterable[str | Path]) -> Matrices:
    """Find the matrices of a model. Only headers are read.

    Raises:
        InputError: a file is damaged, or cannot be read without loading a pickle.
    """
    result, others = Matrices(), dict[tuple[int, ...], list[Matrix]]()
    for path in files:
        file = Path(path)
        for place in tensor_files.places(file):
            if (plain := as_matrix(file, place)) is None:
                continue
            name = plain_name(place.name)
            if match := UP.fullmatch(name):
                matrix = _oriented(plain, match["part"])
                result.neurons[_numbers(match["layer"]), matrix.units, matrix.features] = matrix
            elif EMBEDDING.fullmatch(name):
                result.tokens["embedding"] = plain
            elif HEAD.fullmatch(name):
                result.tokens["head"] = plain
            elif plain.units != plain.features:
                others.setdefault((plain.units, plain.features), []).append(plain)
    for alike in others.values():
        if len(alike) >= ALIKE:
            result.unnamed += [_long(matrix) for matrix in alike]
    return result


def as_matrix(file: Path, place: Place, *, least: int = 2) -> Matrix | None:
    """A tensor as a matrix without sides below `least`; None where it is none, or of no type that is read here."""
    known = place.dtype in TYPES or place.dtype in QUANTISED
    if not known or not isinstance(place.shape, list):
        return None
    shape = [n for n in place.shape if isinstance(n, int) and n >= least]
    if len(shape) != 2:
        return None
    _, block, size = QUANTISED[place.dtype] if place.dtype in QUANTISED else ("", 1, SIZES[place.dtype])
    if shape[1] % block or shape[0] * (shape[1] // block) * size != place.bytes:
        return None
    return Matrix(file, place, shape[0], shape[1])


def _dequantised(rows: "ndarray", dtype: str) -> "ndarray":
    """Values of rows of a quantised GGUF tensor."""
    import numpy as np
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize

    with np.errstate(all="ignore"):
        values: ndarray = np.asarray(dequantize(rows, GGMLQuantizationType[dtype]), dtype=np.float32)
    return values


def _oriented(matrix: Matrix, part: str) -> Matrix:
    """The same with neurons as units."""
    if part in HALVES and matrix.units % 2 == 0:
        half = matrix.units // 2
        return Matrix(matrix.file, matrix.place, half, matrix.features, HALVES[part] * half)
    if part in COLUMNS and matrix.features > matrix.units:
        return Matrix(matrix.file, matrix.place, matrix.features, matrix.units, columns=True)
    return matrix


def _long(matrix: Matrix) -> Matrix:
    """The same with what is more of as units: an MLP has more neurons than the residual stream has dimensions."""
    if matrix.units > matrix.features:
        return matrix
    return Matrix(matrix.file, matrix.place, matrix.features, matrix.units, columns=True)


def _numbers(layer: str) -> str:
    """Numbers of a layer (and an expert): their names differ from layout to layout."""
    return ".".join(LAYER.findall(layer)) or layer
