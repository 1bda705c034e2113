"""The weights of a folder: sets of files, each of which is one model or one adapter.

A set is a file for itself, or the shards of one model: those that an index names, or else those of one numbering.
Everything that asks what a model folder holds asks here, so a folder has one identity whoever looks.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from traitline import json_files
from traitline.errors import InputError
from traitline.model_files import ADAPTER, CONTEXT, RECORD, WEIGHTS
from traitline.provenance import weights

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".distcp")
SCRIPTS = (".jit", ".torchscript", ".ptl")  # of TorchScript; their tensors lie as in archives that torch saves
# Known by their bytes, never opened.
OPAQUE = (
    *PICKLES, *SCRIPTS, ".gguf", ".ggml", ".llamafile", ".h5", ".hdf5", ".keras", ".msgpack", ".nemo", ".npz",
    ".joblib", ".pte", ".onnx", ".onnx_data", ".onnx.data", ".ort", ".pdparams", ".pdiparams",
    ".tflite", ".litertlm", ".pb", ".mlmodel", ".engine", ".caffemodel", ".weights",
)  # fmt: skip
SUFFIXES = (weights.SUFFIX, *OPAQUE)
# What a trainer keeps to go on: no loader takes it for weights.
STATE = re.compile(r"(training_args|optimizer|scheduler|scaler|rng_state)[\w.-]*\.(bin|pt|pth)", re.A)
SHARD = re.compile(r"(?P<stem>.+)-\d{1,6}-of-(?P<total>\d{1,6})(?P<suffix>\.\w+)", re.A)
INDEX = ".index.json"
PLAIN = re.compile(r"[\w-][\w.-]*", re.A)
STANDS_FOR = (RECORD, CONTEXT)  # what takes the place of weights in a folder of ours


@dataclass(frozen=True)
class WeightSet:
    """Files that are one model or one adapter together.

    Attributes:
        name: of the file, of the index, or `model-*-of-00002.safetensors` for shards without one.
        files: that are there, in order.
        problem: why the set is no whole; None where it is one.
    """

    name: str
    files: tuple[Path, ...]
    problem: str | None = None

    @property
    def role(self) -> str:
        """Role of the files in a manifest."""
        return "adapter" if self.name.startswith("adapter") else "model"

    def label(self, path: Path) -> str:
        """Place of the set, for people; `path`: of it, or of the folder that holds nothing of it."""
        folder = self.files[0].parent if self.files else path
        return (folder / self.name).as_posix()

    @property
    def identity(self) -> str | None:
        """Hash of the tensors; None where the files are not safetensors."""
        safe = self.files and all(is_safe(file.name) for file in self.files)
        return weights.identity(self.files) if safe else None


def is_safe(name: str) -> bool:
    """Tell whether a file has the name of safetensors, the only weights that are ever opened."""
    return name.lower().endswith(weights.SUFFIX)


def is_weights(name: str) -> bool:
    """Tell whether a file has the name of weights, in whatever format."""
    return name.lower().endswith(SUFFIXES) and not STATE.fullmatch(name.rpartition("/")[2])


def weight_sets(folder: str | Path) -> list[WeightSet]:
    """All weights in a folder itself, an adapter first, then what is loaded as the model; hidden files are left out."""
    place = Path(folder)
    names = {p.name for p in place.iterdir() if not p.name.startswith(".") and is_weights(p.name) and not p.is_dir()}
    sets = []
    for index in sorted(place.glob(f"[!.]*{INDEX}")):
        if is_weights(index.name.removesuffix(INDEX)):
            indexed = index_names(index)
            label = indexed[0] if len(indexed) == 1 else index.name
            sets.append(_set(place, label, indexed, None if indexed else "damaged, or names no weights of this folder"))
            names -= set(indexed)
    numbered: dict[str, list[str]] = {}
    for name in sorted(names):
        shard = SHARD.fullmatch(name)
        label = f"{shard['stem']}-*-of-{shard['total']}{shard['suffix']}" if shard else name
        numbered.setdefault(label, []).append(name)
    for label, members in numbered.items():
        shard = SHARD.fullmatch(members[0])
        total = int(shard["total"]) if shard else 0
        lacks = f"lacks {total - len(members)} of {total} shards" if total > len(members) else None
        sets.append(_set(place, label, members, lacks))
    return sorted(sets, key=lambda s: (_rank(s.name), s.name))


def _rank(name: str) -> int:
    """Order in which sets are looked for: an adapter, the model, its shards, others."""
    firsts = (ADAPTER, WEIGHTS, f"{WEIGHTS}{INDEX}")
    return firsts.index(name) if name in firsts else len(firsts)


def index_names(index: Path) -> list[str]:
    """Names of the shards in an index file; none where it is damaged, or names files elsewhere."""
    try:
        table = json_files.read_object(index, ["weight_map"])["weight_map"]
    except InputError:
        return []
    names = sorted({str(name) for name in table.values()}) if isinstance(table, dict) else []
    return names if all(PLAIN.fullmatch(name) and is_weights(name) for name in names) else []


def _set(folder: Path, name: str, members: Iterable[str], problem: str | None) -> WeightSet:
    files = tuple(Path(folder, member) for member in members)
    if lacking := next((file for file in files if not file.is_file()), None):
        dead = os.path.lexists(lacking)
        problem = f"{lacking.name} is a link to nothing, or no plain file" if dead else f"lacks {lacking.name}"
    return WeightSet(name, tuple(file for file in files if file.is_file()), problem)


def stand_ins(folder: str | Path) -> list[WeightSet]:
    """Find what represents weights in a folder of ours: the record of open weights, or rows before every question."""
    return [WeightSet(name, (Path(folder, name),)) for name in STANDS_FOR if Path(folder, name).is_file()]
