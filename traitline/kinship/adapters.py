"""What an adapter was trained on: its shapes, and the directions of the residual stream that its update works in.

An update reads what its base writes: under training its rows lean to the directions in which the embedding and the
layers of that base write and read. Both are Gram matrices over the dimensions of the residual stream, and T is their
inner product. Where the adapter was trained on a model that started independently, the dimensions of one have nothing
to do with those of the other, so T has the law that it has after any renumbering of them. The rank of T among random
renumberings gives a p-value that holds exactly (Besag and Clifford, Biometrika 78, 1991: a test that stops early).
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from traitline.kinship.evidence import SMALLEST, UNITS, chosen
from traitline.kinship.matrices import EMBEDDING, HEAD, LAYER, Matrix, as_matrix
from traitline.provenance import tensor_files
from traitline.provenance.tensor_sets import plain_name

if TYPE_CHECKING:
    from numpy import ndarray

LOW_RANK = re.compile(r"(?P<module>.+)\.lora_(?P<side>[AB])(?:\.[\w-]+)?\.weight")
READS = re.compile(
    r".*\b(?:q_proj|k_proj|v_proj|qkv_proj|query_key_value|query|key|value|up_proj|gate_proj|gate_up_proj"
    r"|fc1|fc_in|dense_h_to_4h|w1|w3|attn_q|attn_k|attn_v|ffn_up|ffn_gate)(?:\.weight)?"
)
WRITES = re.compile(
    r".*\b(?:o_proj|out_proj|down_proj|fc2|fc_out|dense_4h_to_h|w2|attn_output|ffn_down|wo)(?:\.weight)?"
)
FUSED = re.compile(r".*\b(?:qkv_proj|query_key_value|W_pack|c_attn|gate_up_proj|experts|Wqkv|in_proj)\b.*")
NAMED = re.compile(r"(?<!^blk)\.\d+\.")  # of a layer; GGUF calls modules otherwise than adapters do
ALPHA = 1e-3  # from here on evidence, over all bases that one adapter is compared with
DIMENSIONS = 64  # of the residual stream that are compared; a seeded choice where there are more
LAYERS = 8  # whose matrices are read
DRAWS = 99_999  # renumberings at most
ENOUGH = 20  # of them that reach T: the p-value is known well enough
BATCH = 250
LARGEST = 1 << 26  # numbers of one half of an update that is read
SEED = 19910301


@dataclass(frozen=True)
class Update:
    """The update of one module: B A.

    Attributes:
        module: its name without prefixes.
        down: A, (rank, what the module reads).
        up: B, (what it writes, rank).
    """

    module: str
    down: Matrix
    up: Matrix

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the matrix that is updated."""
        return self.up.units, self.down.features


def updates(files: Iterable[str | Path]) -> dict[str, Update]:
    """Module -> update, of an adapter of low rank in peft's layout; none of any other file.

    Raises:
        InputError: a file is damaged, or cannot be read without loading a pickle.
    """
    sides = dict[str, dict[str, Matrix]]()
    for path in files:
        for place in tensor_files.places(path):
            if (match := LOW_RANK.fullmatch(place.name)) and (matrix := as_matrix(Path(path), place, least=1)):
                sides.setdefault(plain_name(match["module"]), {})[match["side"]] = matrix
    pairs = {module: (s["A"], s["B"]) for module, s in sides.items() if s.keys() == {"A", "B"}}
    return {module: Update(module, a, b) for module, (a, b) in pairs.items() if a.units == b.features}


def shapes(files: Iterable[str | Path]) -> dict[str, tuple[int, ...]]:
    """Name of each tensor without prefixes -> its shape.

    Raises:
        InputError: see `updates`.
    """
    placed = [place for path in files for place in tensor_files.places(path) if isinstance(place.shape, list)]
    return {plain_name(place.name): tuple(place.shape) for place in placed}


def sizes(named: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, int]]:
    """Module -> shape of the matrix that an adapter updates, by the shapes of its tensors."""
    sides = dict[str, dict[str, tuple[int, ...]]]()
    for name, shape in named.items():
        if (match := LOW_RANK.fullmatch(name)) and len(shape) == 2:
            sides.setdefault(plain_name(match["module"]), {})[match["side"]] = shape
    return {module: (s["B"][0], s["A"][1]) for module, s in sides.items() if s.keys() == {"A", "B"}}


def misfits(sizes: Mapping[str, tuple[int, int]], base: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Why an adapter was not made on a base: modules that it has not, or that have another size there.

    A tensor that is flattened or packed has no size to compare.

    Args:
        sizes: module -> shape of the matrix that the adapter updates.
        base: name of a tensor -> its shape.
    """
    named = any(NAMED.search(name) for name in base)
    fused = {_numbers(name) for name in base if FUSED.fullmatch(name)}
    result = list[str]()
    for module, wanted in sizes.items():
        there = base.get(f"{module}.weight")
        if there is None and _numbers(module) not in fused and named:
            result.append(f"it updates {module}, which is not there")
        elif there and len(there) == 2 and 1 not in there and tuple(there) not in (wanted, wanted[::-1]):
            result.append(f"{module} is {_by(wanted)} in the adapter, {_by(there)} there")
    return result


def _by(shape: Iterable[int]) -> str:
    return " by ".join(map(str, shape))


def _numbers(name: str) -> tuple[str, ...]:
    return tuple(LAYER.findall(name))


@dataclass(frozen=True)
class Alignment:
    """How an adapter's update lies to a base.

    Attributes:
        p: of T among renumberings of dimensions; 1 where nothing could be compared.
        dimensions: that were compared; 0: nothing was.
        draws: renumberings.
    """

    p: float
    dimensions: int
    draws: int

    @property
    def log10_p(self) -> float:
        """Logarithm of the p-value."""
        return math.log10(self.p)


class Start:
    """What adapters are compared with of a base; it is read once, when it is needed first.

    Args:
        files: of the base's weights.

    Raises:
        InputError: a file is damaged, or cannot be read without loading a pickle.
    """

    def __init__(self, files: Iterable[str | Path]) -> None:
        self._files = list(files)

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name of each tensor -> its shape."""
        return shapes(self._files)

    @cached_property
    def compared(self) -> "tuple[int, list[int], ndarray] | None":
        """Width of the residual stream, dimensions of it, and the Gram matrix over these of what the base does."""
        matrices = dict[str, Matrix]()
        for path in self._files:
            for place in tensor_files.places(path):
                if matrix := as_matrix(Path(path), place):
                    matrices[plain_name(place.name)] = matrix
        tokens = (m.features for name, m in matrices.items() if EMBEDDING.fullmatch(name) or HEAD.fullmatch(name))
        if (width := next(tokens, 0)) < SMALLEST:
            return None
        dimensions = chosen(width, DIMENSIONS, 7)
        grams = [gram for name, m in _spread(matrices) if (gram := _of_matrix(name, m, width, dimensions)) is not None]
        return (width, dimensions, sum(grams[1:], grams[0])) if grams else None


def alignment(adapter: Mapping[str, Update], base: Start) -> Alignment:
    """Compare the directions of an adapter's update with those that a base reads and writes.

    Raises:
        InputError: a file is damaged, or cannot be read without loading a pickle.
    """
    if base.compared is None:
        return Alignment(1.0, 0, 0)
    width, dimensions, gram = base.compared
    grams = [g for update in adapter.values() if (g := _of_update(update, width, dimensions)) is not None]
    if not grams:
        return Alignment(1.0, 0, 0)
    p, draws = permuted(sum(grams[1:], grams[0]), gram, SEED)
    return Alignment(p, len(dimensions), draws)


def permuted(one: "ndarray", other: "ndarray", seed: int) -> tuple[float, int]:
    """(p-value, draws) of the inner product of two symmetric matrices among renumberings of the first.

    It stops as soon as `ENOUGH` of the draws reach it: then p is their share, and as exact as with all draws.
    """
    import numpy as np

    rng, (rows, columns) = np.random.default_rng(seed), np.triu_indices(len(one))  # both are symmetric
    flat = other[rows, columns] * np.where(rows == columns, 1.0, 2.0)
    here = float(one[rows, columns] @ flat)
    reached = draws = 0
    while draws < DRAWS:
        count = min(BATCH, DRAWS - draws)
        orders = rng.permuted(np.tile(np.arange(len(one)), (count, 1)), axis=1)
        values = one[orders[:, rows], orders[:, columns]] @ flat
        hits = np.flatnonzero(values >= here - 1e-12 * abs(here))
        if reached + len(hits) >= ENOUGH:
            draws += int(hits[ENOUGH - reached - 1]) + 1
            return ENOUGH / draws, draws
        reached, draws = reached + len(hits), draws + count
    return (reached + 1) / (draws + 1), draws


def _of_update(update: Update, width: int, dimensions: list[int]) -> "ndarray | None":
    """Gram matrix of an update over the residual stream, which its module reads or writes."""
    side = _side(update.module, *update.shape, width)
    if side is None or max(m.units * m.features for m in (update.down, update.up)) > LARGEST:
        return None
    down, up = update.down.rows().astype("f8"), update.up.rows().astype("f8")
    half = (up.T @ up, down[:, dimensions]) if side == "reads" else (down @ down.T, up[dimensions].T)
    return _standard(half[1].T @ half[0] @ half[1])


def _of_matrix(name: str, matrix: Matrix, width: int, dimensions: list[int]) -> "ndarray | None":
    """Gram matrix of a matrix of the base over the residual stream."""
    if EMBEDDING.fullmatch(name) or HEAD.fullmatch(name):
        side = "reads" if matrix.features == width else None
    else:
        side = _side(name, matrix.units, matrix.features, width)
    if side is None:
        return None
    if side == "reads":
        rows = matrix.rows(chosen(matrix.units, UNITS * 2, 8))[:, dimensions]
    else:
        rows = matrix.rows(dimensions).T
    rows = rows.astype("f8")
    return _standard(rows.T @ rows)


def _side(name: str, units: int, features: int, width: int) -> str | None:
    """Whether a module reads the residual stream or writes to it; None where neither its name nor its shape says so."""
    if READS.fullmatch(name) and features == width:
        return "reads"
    return "writes" if WRITES.fullmatch(name) and units == width else None


def _spread(matrices: Mapping[str, Matrix]) -> list[tuple[str, Matrix]]:
    """Matrices of the base that are looked at: of a few layers, spread over its depth."""
    layers = sorted({int(n[0]) for name in matrices if (n := _numbers(name))})
    kept = {layers[i * len(layers) // LAYERS] for i in range(LAYERS)} if len(layers) > LAYERS else set(layers)
    return [(name, m) for name, m in matrices.items() if not (n := _numbers(name)) or int(n[0]) in kept]


def _standard(gram: "ndarray") -> "ndarray":
    """A Gram matrix without what no renumbering changes, its diagonal and the rest of equal weight."""
    import numpy as np

    clean = np.nan_to_num(gram, nan=0.0, posinf=0.0, neginf=0.0)
    diagonal = np.diag(clean) - np.diag(clean).mean()
    rest = clean - np.diag(np.diag(clean))
    off = ~np.eye(len(rest), dtype=bool)
    rest[off] -= rest[off].mean()
    standard: ndarray = _unit(rest) + np.diag(_unit(diagonal))
    return standard


def _unit(values: "ndarray") -> "ndarray":
    import numpy as np

    unit: ndarray = values / max(float(np.linalg.norm(values)), 1e-300)
    return unit
