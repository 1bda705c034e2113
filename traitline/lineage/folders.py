"""What a folder holds for origins: its weights, or where it has none, its data. Register and audit take the same."""

import os
from collections.abc import Iterator
from pathlib import Path

from traitline.errors import InputError
from traitline.lineage.index import ENDING
from traitline.provenance.weight_sets import WeightSet, is_weights, stand_ins, weight_sets

ROWS = (".jsonl", ".parquet", ".arrow")  # data even beside weights
DATA = (*ROWS, ".ndjson", ".json", ".csv", ".tsv")
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")


def is_data(name: str, *, beside_weights: bool = False) -> bool:
    """Whether a file has the name of data, packed or not; a model's folder has tables and JSON that are none."""
    return name.lower().endswith(ROWS if beside_weights else (*DATA, *PACKED)) and not name.endswith(ENDING)


def contents(folder: str | Path) -> list[WeightSet]:
    """Weights in a folder itself and what stands for them; else data in it and, where no weights lie below, below it.

    Raises:
        InputError: it holds neither.
    """
    sets = [*weight_sets(folder), *stand_ins(folder)]
    if sets:
        return sets
    files, below = list[Path](), None
    for place, names in walk(folder):
        below = next((Path(place, name) for name in names if is_weights(name)), None)
        if below:
            files = [file for file in files if file.parent == Path(folder)]
            break
        files += [Path(place, name) for name in names if is_data(name) and os.path.getsize(Path(place, name))]
    if not files:
        such = f"; name a folder that does, such as {below.parent.as_posix()}" if below else ""
        raise InputError(f"{folder}: holds neither weights nor data itself{such}")
    return [WeightSet(file.name, (file,)) for file in files]


def walk(folder: str | Path) -> Iterator[tuple[str, list[str]]]:
    """Each folder from this one down with its plain files, in order; hidden ones are left out, links not followed."""
    for place, below, names in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        yield place, sorted(name for name in names if not name.startswith(".") and Path(place, name).is_file())
