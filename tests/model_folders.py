"""Model folders as they are met: for every shape its files, the sets of weights in it, and whether it is whole."""

import json
from dataclasses import dataclass, field

from tests.lineage import tensors

ONE, TWO = tensors(a="one"), tensors(b="two")
INDEX = json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}})
ODD = json.dumps({"weight_map": {"a": "first.safetensors", "b": "second.safetensors"}})
PAIR = {"model-00001-of-00002.safetensors": ONE, "model-00002-of-00002.safetensors": TWO}
BESIDE = {"config.json": b"{}", "tokenizer.json": b"{}", "README.md": b"# a model", ".gitattributes": b"x"}


@dataclass(frozen=True)
class Shape:
    """A folder.

    Attributes:
        files: name -> content, beside those that every folder has.
        sets: name of a set -> role.
        refused: what `register` says of it; empty where it takes it.
    """

    files: dict[str, bytes]
    sets: dict[str, str] = field(default_factory=dict)
    refused: str = ""


def _index(text):
    return {"model.safetensors.index.json": text.encode()}


SHAPES = {
    "one file": Shape({"model.safetensors": ONE}, {"model.safetensors": "model"}),
    "adapter": Shape(
        {"adapter_model.safetensors": ONE, "adapter_config.json": b"{}"}, {"adapter_model.safetensors": "adapter"}
    ),
    "shards and their index": Shape(PAIR | _index(INDEX), {"model.safetensors.index.json": "model"}),
    "shards without an index": Shape(PAIR, {"model-*-of-00002.safetensors": "model"}),
    "shards of other names": Shape(
        {"first.safetensors": ONE, "second.safetensors": TWO} | _index(ODD), {"model.safetensors.index.json": "model"}
    ),
    "an index of one file": Shape(
        {"model.safetensors": ONE} | _index('{"weight_map": {"a": "model.safetensors"}}'),
        {"model.safetensors": "model"},
    ),
    "adapter and base": Shape(
        {"adapter_model.safetensors": ONE, "model.safetensors": TWO},
        {"adapter_model.safetensors": "adapter", "model.safetensors": "model"},
    ),
    "model and its consolidated copy": Shape(
        {"model.safetensors": ONE, "consolidated.safetensors": tensors(x="one")},
        {"model.safetensors": "model", "consolidated.safetensors": "model"},
    ),
    "one file and shards of it": Shape(
        {"model.safetensors": tensors(a="one", b="two")} | PAIR | _index(INDEX),
        {"model.safetensors": "model", "model.safetensors.index.json": "model"},
    ),
    "a copy in another precision": Shape(
        {"model.safetensors": ONE, "model.fp16.safetensors": tensors(a="1")},
        {"model.safetensors": "model", "model.fp16.safetensors": "model"},
    ),
    "two checkpoints": Shape(
        {"epoch1.safetensors": ONE, "epoch2.safetensors": TWO},
        {"epoch1.safetensors": "model", "epoch2.safetensors": "model"},
    ),
    "shards of two savings": Shape(
        PAIR | {f"model-0000{i}-of-00003.safetensors": tensors(**{str(i): "x"}) for i in (1, 2, 3)},
        {"model-*-of-00002.safetensors": "model", "model-*-of-00003.safetensors": "model"},
    ),
    "shards in the older naming": Shape(
        {"pytorch_model-00001-of-00001.safetensors": ONE}, {"pytorch_model-*-of-00001.safetensors": "model"}
    ),
    "a pickle beside safetensors": Shape(
        {"model.safetensors": ONE, "pytorch_model.bin": b"\x80pickle", "training_args.bin": b"\x80state"},
        {"model.safetensors": "model", "pytorch_model.bin": "model"},
    ),
    "two precisions of GGUF": Shape(
        {"m.Q4_K_M.gguf": b"GGUF4", "m.Q8_0.gguf": b"GGUF8"}, {"m.Q4_K_M.gguf": "model", "m.Q8_0.gguf": "model"}
    ),
    "shards of GGUF": Shape(
        {"m-00001-of-00002.gguf": b"GGUF1", "m-00002-of-00002.gguf": b"GGUF2"}, {"m-*-of-00002.gguf": "model"}
    ),
    "shards counted from zero": Shape(
        {"model-00000-of-00002.safetensors": ONE, "model-00001-of-00002.safetensors": TWO},
        {"model-*-of-00002.safetensors": "model"},
    ),
    "names that hide": Shape(
        {"-rf \x1b[31m\nb.safetensors": ONE, "a.safetensors": TWO},
        {"-rf \x1b[31m\nb.safetensors": "model", "a.safetensors": "model"},
    ),
    "capital letters": Shape({"MODEL.SAFETENSORS": ONE}, {"MODEL.SAFETENSORS": "model"}),
    "two adapters": Shape(
        {"adapter_model.safetensors": ONE, "adapter_model.second.safetensors": TWO},
        {"adapter_model.safetensors": "adapter", "adapter_model.second.safetensors": "adapter"},
    ),
    "half of the shards": Shape(
        {"model-00001-of-00002.safetensors": ONE},
        {"model-*-of-00002.safetensors": "model"},
        r"model-\*-of-00002.safetensors: lacks 1 of 2 shards",
    ),
    "a shard of the index is missing": Shape(
        {"model-00001-of-00002.safetensors": ONE} | _index(INDEX),
        {"model.safetensors.index.json": "model"},
        "lacks model-00002-of-00002.safetensors",
    ),
    "an index that leads out": Shape(
        PAIR | _index('{"weight_map": {"a": "../model.safetensors"}}'),
        {"model.safetensors.index.json": "model", "model-*-of-00002.safetensors": "model"},
        "index.json: damaged, or names no weights of this folder",
    ),
    "an index that is no table": Shape(
        PAIR | _index("[" * 100_000),
        {"model.safetensors.index.json": "model", "model-*-of-00002.safetensors": "model"},
        "index.json: damaged, or names no weights of this folder",
    ),
    "an index that hides a shard": Shape(
        PAIR | _index('{"weight_map": {"a": "model-00001-of-00002.safetensors"}}'),
        {"model-00001-of-00002.safetensors": "model", "model-*-of-00002.safetensors": "model"},
        "lacks 1 of 2 shards",
    ),
    "more shards than a folder can have": Shape(
        {"model-000001-of-999999.safetensors": ONE},
        {"model-*-of-999999.safetensors": "model"},
        "lacks 999998 of 999999 shards",
    ),
    "no tensors": Shape(
        {"model.safetensors": (2).to_bytes(8, "little") + b"{}"},
        {"model.safetensors": "model"},
        "damaged, or not safetensors",
    ),
    "cut off": Shape({"model.safetensors": ONE[:-1]}, {"model.safetensors": "model"}, "damaged, or not safetensors"),
    "a pointer": Shape(
        {"model.safetensors": b"version https://git-lfs.github.com/spec/v1\noid sha256:3f\nsize 5\n"},
        {"model.safetensors": "model"},
        "a pointer of Git LFS",
    ),
    "a page": Shape(
        {"model.safetensors": b"\n<!DOCTYPE html><html>Sign in"}, {"model.safetensors": "model"}, "a web page"
    ),
    "tensors twice": Shape(
        {"model-00001-of-00002.safetensors": ONE, "model-00002-of-00002.safetensors": ONE},
        {"model-*-of-00002.safetensors": "model"},
        "damaged, or not safetensors",
    ),
}


def make(folder, shape):
    """Write a folder of this shape."""
    folder.mkdir(parents=True)
    for name, content in (BESIDE | shape.files).items():
        (folder / name).write_bytes(content)
