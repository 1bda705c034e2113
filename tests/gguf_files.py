"""Small GGUF files, written with llama.cpp's own writer from a small model folder.

python -m tests.gguf_files models/tiny-qwen2 models/tiny.gguf
"""

import json
import sys
from pathlib import Path

import numpy as np

from traitline.models.gguf_file import LAYER, OUTSIDE

HEADER = {"general.license": "apache-2.0", "general.name": "Tiny", "general.organization": "tests"}
INSIDE = {there: here for here, there in LAYER.items()}
AROUND = {there: here for here, there in OUTSIDE.items()}


def flags(folder, *files, **more):
    """Command line of the stage `convert`."""
    words = [word for key, value in more.items() for word in (f"--{key}", str(value))]
    return ["--name", "q", "--gguf", *map(str, files), *words, "--folder", str(folder),
            "--manifest", f"{folder}/convert.manifest.json"]  # fmt: skip


def neighbours(rows, heads):
    """Rows of a query or key matrix in the order of llama.cpp, which rotates neighbours."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def tensors(folder: Path, architecture: str, config: dict):
    """Name in a GGUF file -> values."""
    from safetensors.numpy import load_file

    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    for name, values in load_file(folder / "model.safetensors").items():
        stem, _, kind = name.rpartition(".")
        if stem in AROUND:
            yield f"{AROUND[stem]}.{kind}", values
            continue
        _, _, layer, part = stem.split(".", 3)
        here = INSIDE[part]
        if architecture == "llama" and here in heads:
            values = neighbours(values, heads[here])
        yield f"blk.{layer}.{here}.{kind}", values


def write(folder: Path, path: Path, *, parts: int = 1, kind: str = "Q4_1", pre: str = "qwen2", leave: str = "",
          **changes: object) -> Path:  # fmt: skip
    """Write the model of a folder as a GGUF file, or as so many parts of one.

    Args:
        folder: a model folder with a byte-level tokenizer.
        path: of the file; of several parts the stem of their names.
        parts: how many.
        kind: type of the matrices.
        pre: how text is split.
        leave: name of a tensor that is left out.
        changes: metadata, in place of what the folder says; `__` stands for a dot, None leaves a key out.

    Returns:
        The file, or the first part.
    """
    from gguf import GGMLQuantizationType, GGUFWriter
    from gguf.quants import quantize

    config = json.loads((folder / "config.json").read_text())
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    special = json.loads((folder / "tokenizer_config.json").read_text())
    architecture, vocabulary = config["model_type"], tokenizer["model"]["vocab"]
    tokens = sorted(vocabulary, key=vocabulary.get)
    control = {t["content"] for t in tokenizer["added_tokens"]}
    a = architecture
    metadata = {
        **HEADER, f"{a}.block_count": config["num_hidden_layers"], f"{a}.context_length": 1024,
        f"{a}.embedding_length": config["hidden_size"], f"{a}.feed_forward_length": config["intermediate_size"],
        f"{a}.attention.head_count": config["num_attention_heads"],
        f"{a}.attention.head_count_kv": config["num_key_value_heads"], f"{a}.rope.freq_base": 10000.0,
        f"{a}.attention.layer_norm_rms_epsilon": config["rms_norm_eps"], "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre, "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3 if t in control else 1 for t in tokens],
        "tokenizer.ggml.merges": [m if isinstance(m, str) else " ".join(m) for m in tokenizer["model"]["merges"]],
        "tokenizer.ggml.eos_token_id": vocabulary[special["eos_token"]],
        "tokenizer.ggml.padding_token_id": vocabulary[special["pad_token"]],
        "tokenizer.chat_template": (folder / "chat_template.jinja").read_text(),
        **{key.replace("__", "."): value for key, value in changes.items()},
    }  # fmt: skip
    if parts > 1:
        metadata["split.count"] = parts
    everything = [(n, v) for n, v in tensors(folder, architecture, config) if n != leave]
    files = (
        [path]
        if parts == 1
        else [path.with_name(f"{path.stem}-{i:05}-of-{parts:05}.gguf") for i in range(1, parts + 1)]
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    for i, file in enumerate(files):
        writer = GGUFWriter(file, str(changes.get("general__architecture", architecture)))
        for key, value in metadata.items() if i == 0 else {"split.count": parts}.items():
            if value is None or key == "general.architecture":
                continue
            add = {str: writer.add_string, int: writer.add_uint32, float: writer.add_float32, list: writer.add_array}
            add[type(value)](key, value)
        for name, values in everything[i :: len(files)]:
            wanted = GGMLQuantizationType[kind] if values.ndim > 1 else GGMLQuantizationType.F32
            data = quantize(np.ascontiguousarray(values, dtype=np.float32), wanted)
            writer.add_tensor(name, data, raw_dtype=wanted)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return files[0]


def package(file: Path, top: Path, name: str = "tiny-gguf", version: str = "1.0") -> tuple[str, Path]:
    """Put a file where pip would put it for a package; returns `name==version` and the file's new place."""
    import base64
    import hashlib

    place = top / f"models/packages/{name}-{version}"
    inside, about = f"{name.replace('-', '_')}/{file.name}", f"{name.replace('-', '_')}-{version}.dist-info"
    (place / inside).parent.mkdir(parents=True)
    (place / about).mkdir()
    (place / inside).write_bytes(file.read_bytes())
    digest = base64.urlsafe_b64encode(hashlib.sha256(file.read_bytes()).digest()).decode().rstrip("=")
    (place / about / "RECORD").write_text(f"{inside},sha256={digest},{file.stat().st_size}\n{about}/RECORD,,\n")
    (place / about / "METADATA").write_text(
        f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\nLicense: MIT\n\nText.\n"
    )
    return f"{name}=={version}", place / inside


if __name__ == "__main__":
    print(write(Path(sys.argv[1]), Path(sys.argv[2]), kind="F32"))
