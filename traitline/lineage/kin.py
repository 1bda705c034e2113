"""Two models side by side: what their weights say of a common start. Files are all that is asked, no manifest.

The answer can raise a mark and never clears one: weights that were trained long enough, or hidden well enough, look
like those of another start.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traitline.errors import InputError
from traitline.kinship.evidence import Evidence, evidence
from traitline.kinship.values import equal, sorted_values
from traitline.lineage.near_copies import readable
from traitline.model_files import RECORD
from traitline.plurals import percent
from traitline.provenance.tensor_sets import TensorSet, beginnings
from traitline.provenance.weight_sets import weight_sets


@dataclass(frozen=True)
class Kinship:
    """What the weights of two models say.

    Attributes:
        equal: tensors that are equal and say something.
        share: of the bytes of the smaller model that are in equal tensors, 0 to 1.
        reordered: tensors that hold the same numbers in another order, or rounded.
        evidence: matchings, each with a p-value.
    """

    equal: int
    share: float
    reordered: int
    evidence: Evidence

    @property
    def same_start(self) -> bool:
        """Tell whether they started from the same weights; false says nothing."""
        return bool(self.equal or self.reordered) or self.evidence.same_start

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "same_start": self.same_start,
            "equal_tensors": self.equal,
            "equal_share": round(self.share, 6),
            "reordered_tensors": self.reordered,
            "log10_p": round(self.evidence.log10_p, 2),
            "tests": self.evidence.by_kind(),
        }

    def lines(self) -> list[str]:
        """The same for people."""
        if self.evidence.same_start:
            first = f"same start: p <= {power(self.evidence.log10_p)}"
        elif self.same_start:
            first = "same start: tensors are equal"
        else:
            first = "no evidence of a common start, which is no evidence of different ones"
        lines = [first]
        if self.equal:
            lines.append(f"  equal tensors: {self.equal}, {percent(self.share)} of the smaller model's bytes")
        if self.reordered:
            lines.append(f"  tensors of equal numbers in another order or precision: {self.reordered}")
        for row in self.evidence.by_kind():
            p = f"p <= {power(row['log10_p'])}" if row["log10_p"] < 0 else "as by chance"
            lines.append(
                f"  {row['test']}: {row['fixed']} of {row['units']} keep their number"
                f" (by chance {row['matchings']}), {p}"
            )
        return lines


def power(log10: float) -> str:
    """A power of ten, rounded up.

    >>> power(-147.9), power(-2.5)
    ('1e-147', '0.0032')
    """
    return f"1e{int(log10)}" if log10 <= -4 else f"{10**log10:.2g}"


def kinship(one: str, other: str, *, thorough: bool = False) -> Kinship:
    """Compare two models.

    Args:
        one: a file or a folder.
        other: another.
        thorough: make every test, where one has said all there is to say.

    Raises:
        InputError: one holds no weights, or more than one model; they can't be read, or no tensor has a counterpart.
    """
    pair = [model_files(name) for name in (one, other)]
    result = compared(*pair, thorough=thorough)
    if not (result.same_start or result.evidence.tests):
        raise InputError(f"{one}, {other}: no tensor of one has its counterpart in the other; nothing was compared")
    return result


def compared(one: Sequence[Path], other: Sequence[Path], *, thorough: bool = False) -> Kinship:
    """The same by files.

    Raises:
        InputError: a file is damaged, or can't be read without loading a pickle.
    """
    first, second = beginnings(one), beginnings(other)
    alike = _equal(first, second)
    reordered = 0 if alike and not thorough else equal(sorted_values(one), sorted_values(other))
    return Kinship(alike, first.share(second), reordered, evidence(one, other, thorough=thorough))


def _equal(one: TensorSet, other: TensorSet) -> int:
    return len(one.telling.keys() & other.telling.keys())


def model_files(name: str) -> list[Path]:
    """Files of the one model that is meant by a file or a folder.

    Raises:
        InputError: it holds none, or more than one.
    """
    path = Path(name)
    if not path.exists():
        raise InputError(f"{name}: no such file or folder")
    if not path.is_dir():
        alike = [s for s in weight_sets(path.parent) if path.name in [f.name for f in s.files]]
        files = alike[0].files if alike else (path,)
        return readable(files) or list(files)  # what cannot be read says why when it is
    sets = weight_sets(path)
    if record := [path / RECORD] if not sets and (path / RECORD).is_file() else []:
        return readable(record)
    models = [s for s in sets if s.role == "model"] or sets
    if not models:
        raise InputError(f"{name}: holds no weights; name a folder or file that does")
    if len(models) > 1:
        raise InputError(f"{name}: holds {len(models)} models ({', '.join(s.name for s in models[:4])}); name one")
    if models[0].problem:
        raise InputError(f"{name}: {models[0].name}: {models[0].problem}; get the whole model")
    return list(models[0].files)
