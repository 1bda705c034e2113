"""Relatives of weights among those that are known: what `register` writes down as evidence of a common start.

A fine-tune, a merge, a copy in another precision, with a little noise, under new names or with permuted neurons has
other bytes and so another identity. A student on it starts all the same from what it was made of. So `register` looks
for the known models that a new one shares a start with, and records the nearest as its base: a mark may rise by that
and never fall. `traitline.kinship` has the tests.

Every known model is asked for equal tensors and for equal numbers up to rounding, which is quick. The matchings of
neurons are made with models that start from no other one: what started from a relative is a relative.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from traitline import json_files
from traitline.errors import InputError
from traitline.kinship.evidence import evidence
from traitline.kinship.matrices import SIZES
from traitline.kinship.values import Sorted, equal, numbers, sorted_values
from traitline.lineage.graph import Graph
from traitline.model_files import RECORD
from traitline.models import open_weights
from traitline.provenance import tensor_files
from traitline.provenance.tensor_sets import TensorSet, beginnings, plain_name
from traitline.provenance.weight_sets import PICKLES, SCRIPTS, is_safe
from traitline.provenance.weights import Place

if TYPE_CHECKING:
    import numpy

LEAST = 16  # elements of a tensor that says something
COMPARED = 8  # tensors, the smallest first: a copy differs little in any of them
ROUNDING = 2.0**-7  # relative; bfloat16 keeps 8 bits, and both may have been rounded
SMALLEST = 1e-6  # of the largest element: what half precision loses near zero
LONGEST = 1 << 22  # numbers of a tensor that are compared
SAMPLE = 4096  # numbers of a tensor that a distance is measured on
UNLIKE = 0.5  # two tensors that have nothing in common differ by 0.7 of their size
TIED = 1.001  # relatives whose distance is within this factor of the nearest are equally near
MOST = 8  # equally near relatives that are written down


@dataclass(frozen=True)
class Relative:
    """A known model that shares a start with the new one.

    Attributes:
        files: of it, as its maker's manifest names them.
        why: what the weights say.
        artifact_id: in the graph.
    """

    files: tuple[Path, ...]
    why: str
    artifact_id: int


class Model:
    """Weights that are compared: what of them was read is kept."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = list(files)
        self.samples: dict[tuple[str, int], numpy.ndarray] = {}

    @cached_property
    def beginnings(self) -> TensorSet:
        """Hashes of the first bytes of all tensors."""
        return beginnings(self.files)

    @cached_property
    def sorted(self) -> list[Sorted]:
        """The numbers of its smaller tensors, in order."""
        return sorted_values(self.files)

    def sample(self, key: tuple[str, int]) -> "numpy.ndarray":
        """The first numbers of a tensor."""
        if key not in self.samples:
            self.samples[key] = _values(self.tensors[key], SAMPLE)
        return self.samples[key]

    @cached_property
    def tensors(self) -> dict[tuple[str, int], tuple[Path, Place]]:
        """(name without prefix, numbers) -> where they are; those that can be compared number by number."""
        stored = dict[tuple[str, int], tuple[Path, Place]]()
        for file in self.files:
            for place in tensor_files.places(file):
                if place.dtype in SIZES:
                    stored[plain_name(place.name), place.bytes // SIZES[place.dtype]] = file, place
        return stored


def relatives(graph: Graph, files: Sequence[Path], identity: str | None) -> list[Relative]:
    """The known models that share a start with these weights, the nearest of them; several where they are equally near.

    None where the weights themselves are known: they are that model, and no copy.

    Args:
        graph: of what is known.
        files: of the new model or adapter.
        identity: hash of its tensors, `facts.weights`; None where its format has none.
    """
    if identity and graph.db.execute("SELECT 1 FROM job WHERE weights = ?", (identity,)).fetchone():
        return []
    new, resolved = Model(readable(files)), {file.resolve() for file in files}
    known = {i: named for i, named in _known(graph) if not resolved & {file.resolve() for file in named}}
    bases = {i: [a for a in graph.back(i, "base") if a in known] for i in known}
    models, related = dict[int, Model](), dict[int, str]()
    for i, named in known.items():
        try:
            models[i] = Model(readable(named))
            if why := _relation(new, models[i], root=not bases[i]):
                related[i] = why
        except InputError:  # damaged since, or of a format that is not read
            models.pop(i, None)
    for i in [i for i in models if i not in related]:
        if root := next((a for a in bases[i] if a in related), None):
            related[i] = related[root]
    return [Relative(tuple(known[i]), related[i], i) for i in _nearest(new, {i: models[i] for i in related})]


def _relation(new: Model, known: Model, *, root: bool) -> str | None:
    """What says that two models share a start; None where nothing does."""
    if shared := len(new.beginnings.telling.keys() & known.beginnings.telling.keys()):
        return f"{shared} tensors are equal"
    if _rounded(new, known):
        return "tensors are equal but for rounding"
    if not root:
        return None
    if alike := equal(new.sorted, known.sorted):
        return f"{alike} tensors hold the same numbers in another order or precision"
    result = evidence(new.files, known.files)
    return f"matched neurons or dimensions: p <= 1e{int(result.log10_p)}" if result.same_start else None


def _known(graph: Graph) -> Iterable[tuple[int, list[Path]]]:
    """Number and files of each known model and adapter that is here: as one of its makers left them."""
    rows = graph.db.execute(
        "SELECT e.artifact_id, e.job, job.file, e.path FROM entry e JOIN job ON job.id = e.job"
        " WHERE e.output = 1 AND e.kind = 'model' ORDER BY e.artifact_id, e.job, e.rowid"
    )
    groups: dict[tuple[int, int], list[Path]] = {}
    for artifact_id, job, file, path in rows:
        groups.setdefault((artifact_id, job), []).append(Path(file).parent / Path(path).name)
    seen = set[int]()
    for (artifact_id, _), files in groups.items():
        if artifact_id not in seen and all(file.is_file() for file in files):
            seen.add(artifact_id)
            yield artifact_id, files


def readable(files: Sequence[Path]) -> list[Path]:
    """The weights among files that can be read; for a record of open weights those that it stands for."""
    if [file.name for file in files] != [RECORD]:
        kept = (".gguf", *PICKLES, *SCRIPTS)
        return [file for file in files if is_safe(file.name) or file.name.lower().endswith(kept)]
    try:
        folder = open_weights.find(json_files.read_object(files[0], ["source"])["source"])
        return [folder / name for name in open_weights.shards(folder)]
    except (InputError, KeyError, TypeError, AttributeError):
        return []


def _rounded(new: Model, known: Model) -> bool:
    """Tell whether tensors of the same names differ by no more than rounding; the smallest that say something."""
    shared = sorted(new.tensors.keys() & known.tensors.keys(), key=lambda key: (key[1], key[0]))
    if 2 * len(shared) < max(len(new.tensors), len(known.tensors)):
        return False
    compared = 0
    for key in shared:
        if (close := _close(new.tensors[key], known.tensors[key])) is None:
            continue
        if not close:
            return False
        compared += 1
        if compared == COMPARED:
            break
    return compared > 0


def _close(one: tuple[Path, Place], other: tuple[Path, Place]) -> bool | None:
    """Tell whether two tensors differ by rounding only; None where they say nothing."""
    import numpy as np

    a, b = _values(one, LONGEST), _values(other, LONGEST)
    if a.size != b.size or a.size < LEAST or a.min() == a.max():
        return None
    with np.errstate(all="ignore"):  # infinities and NaN are no copy of anything
        largest = float(np.abs(a).max())
        allowed = ROUNDING * np.maximum(np.abs(a), np.abs(b)) + SMALLEST * largest
        return bool((np.abs(a - b) <= allowed).all())


def _values(stored: tuple[Path, Place], longest: int) -> "numpy.ndarray":
    """The numbers of a tensor, in double precision."""
    import numpy as np

    return numbers(*stored, longest).astype(np.float64)


def _nearest(new: Model, models: dict[int, Model]) -> list[int]:
    """The models that are nearest by the mean difference of their numbers; those that cannot be measured are far."""
    distances = {i: _distance(new, model) for i, model in models.items()}
    if not distances:
        return []
    least = min(distances.values())
    return [i for i, distance in distances.items() if distance <= least * TIED][:MOST]


def _distance(new: Model, known: Model) -> float:
    """Mean difference of tensors relative to their size; else the share of tensors that differ.

    Tensors are paired by their names. Where those differ, each is paired with the one that is most like it.
    """
    shared = new.tensors.keys() & known.tensors.keys()
    if 2 * len(shared) >= len(new.tensors):
        differences = [_difference(new.sample(key), known.sample(key)) for key in shared]
    else:
        by_size: dict[int, list[numpy.ndarray]] = {}
        for key in known.tensors:
            by_size.setdefault(key[1], []).append(known.sample(key))
        alike = [[_difference(new.sample(key), b) for b in by_size.get(key[1], ())] for key in new.tensors]
        differences = [min(each) for each in alike if each]
    if differences and (mean := sum(differences) / len(differences)) <= UNLIKE:
        return mean
    one, other = ({t.sha256 for t in model.beginnings.tensors} for model in (new, known))
    equal_share = len(one & other) / max(1, len(one | other))
    reordered_share = equal(new.sorted, known.sorted) / (1 + max(len(new.sorted), len(known.sorted)))
    return 1.0 - max(equal_share, reordered_share)


def _difference(one: "numpy.ndarray", other: "numpy.ndarray") -> float:
    """Mean difference relative to the size; 0 for tensors of zeros."""
    import numpy as np

    with np.errstate(all="ignore"):
        size = float(np.abs(one).mean()) + float(np.abs(other).mean()) if one.size == other.size > 0 else 0.0
        return float(np.abs(one - other).mean()) / size if size and np.isfinite(size) else 0.0
