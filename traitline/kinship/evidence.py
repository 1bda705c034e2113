"""Evidence that two models started from the same weights. It can raise a mark; its absence says nothing.

    (a) equal tensors: models that were started at random share none
    (b) neurons: the rows of MLP matrices, matched one to one, keep their numbers
    (c) dimensions: the same of the residual stream, by what stays when neurons or heads are permuted: the columns of
        the embedding, and the products of columns of MLP matrices
    (d) neurons, after the dimensions of the residual stream were matched by the embedding
    (e) the rows of every matrix with those of every other of its shape, where names or layers do not correspond

Each of (b) to (e) has a p-value that holds for models that started independently, whatever they were trained on.
Independence tests of this kind: Zhu et al., arXiv 2502.12292. docs/explanation/kinship.md says what is assumed.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline.kinship.matching import best_of, directions, fixed, fixed_points, log10_p, match, match_each
from traitline.kinship.matrices import Key, Matrices, Matrix, matrices

if TYPE_CHECKING:
    from numpy import ndarray

ALPHA = -6.0  # log10; evidence from here on
UNITS = 512  # of a layer that are matched; a seeded choice where there are more
TOKENS = 2048  # rows of an embedding that describe a dimension
LAYERS = 64  # that are compared
PRODUCTS = 2  # layers whose matrices are read as a whole
BLOCK = 1024  # rows that are in memory at a time
PAIRS = 1024  # of matrices without names
KEPT = 1 << 26  # numbers of their rows that are kept in memory
FEWER = 128  # units of each of those
TOGETHER = 32  # of them that are compared with one at once
SMALLEST = 8  # units from which on a matching says something
SEED = 25021229


@dataclass(frozen=True)
class Matching:
    """One matching of units.

    Attributes:
        what: which units, and by what.
        layer: of the model; empty where it is not of one.
        fixed: units that are matched to those of their own number.
        units: how many were matched.
    """

    what: str
    layer: str
    fixed: int
    units: int


@dataclass(frozen=True)
class Evidence:
    """Result of all tests of a pair.

    Attributes:
        tests: every matching.
        log10_p: of the best of them, corrected for their number; 0: nothing.
    """

    tests: tuple[Matching, ...]
    log10_p: float

    @property
    def same_start(self) -> bool:
        """Tell whether the models started from the same weights; false says nothing."""
        return self.log10_p <= ALPHA

    def by_kind(self) -> list[dict[str, Any]]:
        """One row for each kind of test: fixed points and units over all its matchings."""
        kinds = dict[str, list[Matching]]()
        for test in self.tests:
            kinds.setdefault(test.what, []).append(test)
        return [
            {
                "test": what,
                "matchings": len(tests),
                "fixed": sum(t.fixed for t in tests),
                "units": sum(t.units for t in tests),
                "log10_p": round(best_of([log10_p(t.fixed) for t in tests]), 2),
            }
            for what, tests in kinds.items()
        ]


def evidence(one: Iterable[str | Path], other: Iterable[str | Path], *, thorough: bool = False) -> Evidence:
    """Compare two models by their files.

    Args:
        one: files of a model.
        other: files of another.
        thorough: go on with every test where one has said all there is to say.

    Raises:
        InputError: a file is damaged, or cannot be read without loading a pickle.
    """
    return compare(matrices(one), matrices(other), thorough=thorough)


def compare(one: Matrices, other: Matrices, *, thorough: bool = False) -> Evidence:
    """The same of models whose matrices are known."""
    tests = list[Matching]()
    for kind in KINDS:
        tests += kind(one, other)
        if _combined(tests) <= ALPHA and not thorough:
            break
    return Evidence(tuple(tests), _combined(tests))


def _combined(tests: Iterable[Matching]) -> float:
    """Logarithm of the p-value of all tests: Bonferroni over every matching, and over every kind that may follow."""
    return min(0.0, best_of([log10_p(t.fixed) for t in tests]) + math.log10(len(KINDS)))


def chosen(count: int, limit: int, salt: int) -> list[int]:
    """Numbers of units: all of them, or a seeded choice, in order."""
    import numpy as np

    if count <= limit:
        return list(range(count))
    return sorted(int(i) for i in np.random.default_rng([SEED, salt]).choice(count, limit, replace=False))


def _layers(one: Matrices, other: Matrices, limit: int) -> Iterator[tuple[Key, Matrix, Matrix]]:
    """Layers that both have in one shape, spread over the depth where they are too many."""
    shared = [k for k in one.neurons if k in other.neurons and _alike(one.neurons[k], other.neurons[k])]
    step = -(-len(shared) // limit) if shared else 1
    for key in shared[::step]:
        yield key, one.neurons[key], other.neurons[key]


def _alike(one: Matrix, other: Matrix) -> bool:
    return (one.units, one.features) == (other.units, other.features) and min(one.units, one.features) >= SMALLEST


def _neurons(one: Matrices, other: Matrices) -> Iterator[Matching]:
    """(b): rows of the matrix by which each MLP reads the residual stream."""
    for key, a, b in _layers(one, other, LAYERS):
        units = chosen(a.units, UNITS, 1)
        yield Matching("neurons", key[0], fixed_points(a.rows(units), b.rows(units), SEED), len(units))


def _by_token(one: Matrices, other: Matrices) -> "tuple[ndarray, ndarray] | None":
    """The embeddings (or heads) of two models as (dimensions, tokens): the tokens that both have."""
    for key in ("embedding", "head"):
        a, b = one.tokens.get(key), other.tokens.get(key)
        if a and b and a.features == b.features >= SMALLEST:
            tokens = chosen(min(a.units, b.units), TOKENS, 2)
            return a.rows(tokens).T, b.rows(tokens).T
    return None


def _dimensions(one: Matrices, other: Matrices) -> Iterator[Matching]:
    """(c): dimensions of the residual stream, each described by its numbers in the embedding of the same tokens."""
    if pair := _by_token(one, other):
        units = chosen(len(pair[0]), UNITS, 3)
        yield Matching("dimensions", "", fixed_points(pair[0][units], pair[1][units], SEED), len(units))


def _products(one: Matrices, other: Matrices) -> Iterator[Matching]:
    """(c): dimensions, each described by the products of its column in a matrix of an MLP with other columns.

    A sum over neurons does not change when they are permuted. The dimensions that are matched and those that describe
    them are different ones, so that renumbering the first leaves the second alone.
    """
    import numpy as np

    for key, a, b in _layers(one, other, PRODUCTS):
        half = a.features // 2
        if half < SMALLEST:
            continue
        units, others = chosen(half, UNITS, 4), [half + i for i in chosen(a.features - half, 2 * UNITS, 5)]
        described = []
        for matrix in (a, b):
            product = np.zeros((len(units), len(others)), np.float32)
            for values in matrix.blocks(BLOCK):
                product += values[:, units].T @ values[:, others]
            described.append(product)
        yield Matching("products", key[0], fixed_points(described[0], described[1], SEED), len(units))


def _neurons_by_dimensions(one: Matrices, other: Matrices) -> Iterator[Matching]:
    """(d): (b) after a permutation of the residual stream, which the embedding gives away."""
    if (pair := _by_token(one, other)) is None:
        return
    there = match(pair[0], pair[1], SEED)
    matched = there >= 0
    for key, a, b in _layers(one, other, LAYERS):
        if a.features == len(there) and matched.sum() >= SMALLEST:
            units = chosen(a.units, UNITS, 1)
            fixed = fixed_points(a.rows(units)[:, matched], b.rows(units)[:, there[matched]], SEED)
            yield Matching("neurons by dimensions", key[0], fixed, len(units))


def _crossed(one: Matrices, other: Matrices) -> Iterator[Matching]:
    """(e): every matrix of one with every matrix of the other that has its shape."""
    named = bool(one.neurons and other.neurons)
    rows, columns = (list(m.neurons.items()) or [(("", 0, 0), matrix) for matrix in m.unnamed] for m in (one, other))
    pairs = [(a, b) for i, a in rows for j, b in columns if _alike(a, b) and not (named and i == j)]
    known: dict[int, ndarray] = {}  # what every matrix is compared by, read once

    def described(matrix: Matrix) -> "ndarray":
        if id(matrix) in known:
            return known[id(matrix)]
        rows = directions(matrix.rows(chosen(matrix.units, FEWER, 6)))
        if rows.size * (len(known) + 1) <= KEPT:
            known[id(matrix)] = rows
        return rows

    for _, group in itertools.groupby(pairs[:PAIRS], lambda pair: id(pair[0])):
        some = list(group)
        for batch in (some[i : i + TOGETHER] for i in range(0, len(some), TOGETHER)):
            matchings = match_each(described(batch[0][0]), [described(b) for _, b in batch], SEED)
            yield from (Matching("rows of any matrix", "", fixed(m), len(m)) for m in matchings)


KINDS = (_neurons, _dimensions, _products, _neurons_by_dimensions, _crossed)
