"""Near copies: weights that differ from known ones by no more than rounding does.

A copy in another precision, or one with a little noise, has other bytes and so another identity. A student on it
starts all the same from what the copy was made of. So `register` looks for the known model that is nearest to a new
one. Tensors must have the same names and shapes: a renamed or permuted copy is not found.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from traitline import json_files
from traitline.errors import InputError
from traitline.lineage.graph import Graph
from traitline.model_files import RECORD
from traitline.models import open_weights
from traitline.provenance import weights
from traitline.provenance.weight_sets import is_safe

if TYPE_CHECKING:
    import numpy

Tensors = dict[tuple[str, str], tuple[Path, weights.Place]]  # (name, shape) -> where its bytes are

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
LEAST = 16  # elements of a tensor that says something
COMPARED = 8  # tensors, the smallest first: a copy differs little in any of them
ROUNDING = 2.0**-7  # relative; bfloat16 keeps 8 bits, and both may have been rounded
SMALLEST = 1e-6  # of the largest element: what half precision loses near zero


def near_copy(graph: Graph, files: Sequence[Path]) -> list[Path]:
    """Files of the known model or adapter that these weights are a near copy of, the nearest one; else none.

    None as well where the weights themselves are known: they are that model, and no copy.
    """
    identity = weights.identity(files)
    if graph.db.execute("SELECT 1 FROM job WHERE weights = ?", (identity,)).fetchone():
        return []
    new = _tensors(files)
    best: tuple[float, list[Path]] = (float("inf"), [])
    resolved = {file.resolve() for file in files}
    for known in _known(graph):
        if resolved & {file.resolve() for file in known}:
            continue
        tensors = _tensors(_opened(known))
        shared = sorted(new.keys() & tensors.keys(), key=lambda k: (new[k][1].bytes, k))
        if 2 * len(shared) < max(len(new), len(tensors)) or not shared:
            continue
        distance = _distance([(new[key], tensors[key]) for key in shared])
        if distance is not None and distance < best[0]:
            best = distance, known
    return best[1]


def _known(graph: Graph) -> Iterable[list[Path]]:
    """Files of each known model and adapter that are here: as one of its makers left them."""
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
            yield files


def _opened(files: Sequence[Path]) -> list[Path]:
    """The safetensors among files; for a record of open weights those that it stands for."""
    if [file.name for file in files] != [RECORD]:
        return [file for file in files if is_safe(file.name)]
    try:
        folder = open_weights.find(json_files.read_object(files[0], ["source"])["source"])
        return [folder / name for name in open_weights.shards(folder)]
    except (InputError, KeyError, TypeError, AttributeError):
        return []


def _tensors(files: Iterable[Path]) -> Tensors:
    """The tensors in files that can be compared."""
    return {
        (place.name, str(place.shape)): (file, place)
        for file in files
        for place in weights.places(file)
        if isinstance(place.dtype, str) and place.dtype in TYPES
    }


def _distance(pairs: Iterable[tuple[tuple[Path, weights.Place], tuple[Path, weights.Place]]]) -> float | None:
    """Mean difference of two models, relative to their largest elements; None where it is more than rounding."""
    import numpy as np

    distances = list[float]()
    for one, other in pairs:
        a, b = _values(*one), _values(*other)
        if a.size != b.size or a.size < LEAST or a.min() == a.max():
            continue
        with np.errstate(all="ignore"):  # infinities and NaN are no copy of anything
            largest = float(np.abs(a).max())
            difference = np.abs(a - b)
            if not (difference <= ROUNDING * np.maximum(np.abs(a), np.abs(b)) + SMALLEST * largest).all():
                return None
        distances.append(float(difference.mean()) / largest)
        if len(distances) == COMPARED:
            break
    return sum(distances) / len(distances) if distances else None


def _values(file: Path, place: weights.Place) -> "numpy.ndarray":
    """The elements of a tensor, in double precision."""
    import numpy as np

    with open(file, "rb") as handle:
        handle.seek(place.start)
        kind = np.dtype(TYPES[place.dtype])
        raw = np.frombuffer(handle.read(place.bytes // kind.itemsize * kind.itemsize), kind)
    if place.dtype == "BF16":
        raw = (raw.astype(np.uint32) << 16).view(np.float32)
    return raw.astype(np.float64)
