"""Content of a folder for origins: its weights, or where it has none, its data. Register and audit take the same."""

import os
from collections.abc import Iterator
from pathlib import Path

from traitline.errors import InputError
from traitline.lineage.index import ENDING
from traitline.model_files import ADAPTER_CONFIG, OTHERS, SUPPORT
from traitline.provenance.weight_sets import INDEX, WeightSet, is_weights, stand_ins, weight_sets

REGISTERED = "register.manifest.json"  # how the names of manifests end that `register` writes
ROWS = (".jsonl", ".parquet", ".arrow")  # data even beside weights
DATA = (*ROWS, ".ndjson", ".json", ".csv", ".tsv")
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")
SETTINGS = (
    *SUPPORT, *OTHERS, ADAPTER_CONFIG, "chat_template.json", "vocab.txt", "merges.txt", "processor_config.json",
)  # fmt: skip
CODE = (".py", ".pyc", ".so", ".jinja", INDEX)  # pickles count as weights


def is_data(name: str, *, beside_weights: bool = False) -> bool:
    """Tell whether a file has the name of data, packed or not; a model's folder has tables and JSON that are none."""
    return name.lower().endswith(ROWS if beside_weights else (*DATA, *PACKED)) and not name.endswith(ENDING)


def is_loaded(name: str) -> bool:
    """Tell whether a loader would take a file of this name for a part of a model: weights, settings or code."""
    return is_weights(name) or name.lower() in SETTINGS or name.lower().endswith(CODE)


def contents(folder: str | Path) -> list[WeightSet]:
    """Weights in a folder and what stands for them; else data in it and below it.

    Folders below belong to it unless a stage made what is in them: a study keeps students below their teachers.

    Raises:
        InputError: it holds neither, or only weights that stages made below it.
    """
    sets, files, staged = list[WeightSet](), list[Path](), None
    for place, names in walk(folder):
        if place != os.fspath(folder) and any(n.endswith(ENDING) and not n.endswith(REGISTERED) for n in names):
            staged = staged or next((place for name in names if is_weights(name)), None)
            continue
        sets += [*weight_sets(place), *stand_ins(place)]
        files += [Path(place, name) for name in names if is_data(name) and os.path.getsize(Path(place, name))]
    if sets:
        return sets
    if staged:
        raise InputError(f"{folder}: holds no weights itself; name a folder or file that does, such as {staged}")
    if not files:
        raise InputError(f"{folder}: holds neither weights nor data")
    return [WeightSet(file.name, (file,)) for file in files]


def walk(folder: str | Path) -> Iterator[tuple[str, list[str]]]:
    """Each folder from this one down with its plain files, in order; hidden ones are left out, links not followed."""
    for place, below, names in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        yield place, sorted(name for name in names if not name.startswith(".") and Path(place, name).is_file())
