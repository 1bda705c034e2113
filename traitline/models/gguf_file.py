"""GGUF files: what llama.cpp runs. Read their metadata, refuse what has no exact counterpart, dequantise their tensors.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The library `gguf` of llama.cpp opens a file and
dequantises; names and settings of two architectures are mapped here. Weights that were quantised are not bit-equal to
those that were published: they are the same network, rounded.
"""

import math
import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline.errors import InputError
from traitline.plain_files import open_plain
from traitline.provenance.gguf_places import gguf_places

if TYPE_CHECKING:
    import numpy as np

PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<total>\d{5})\.gguf", re.A)
# A layer's tensors: name in the file -> name in Hugging Face layout.
LAYER = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
}  # fmt: skip
OUTSIDE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
BIASED = ("attn_q", "attn_k", "attn_v")
# Architecture -> its own settings in config.json, and tensors of a layer that have a bias.
ARCHITECTURES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "llama": ({"architectures": ["LlamaForCausalLM"], "attention_bias": False, "mlp_bias": False}, ()),
    "qwen2": ({"architectures": ["Qwen2ForCausalLM"], "use_sliding_window": False}, BIASED),
}
NUMBERS = {
    "hidden_size": "embedding_length", "intermediate_size": "feed_forward_length", "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count", "max_position_embeddings": "context_length",
}  # fmt: skip
REMEDY = "take a GGUF file of another model"


def part_names(name: str) -> list[str]:
    """Return the names of all parts of a split file by the name of any; of another file its own."""
    split = PART.fullmatch(name)
    total = int(split["total"]) if split else 0
    return [f"{split['stem']}-{n:05}-of-{total:05}.gguf" for n in range(1, total + 1)] if split and total else [name]


def parts(path: Path) -> list[Path]:
    """Return the files of a model: the one file, or all parts of a split one, of which `path` is any.

    Raises:
        InputError: a file is missing.
    """
    names = part_names(path.name)
    for name in names:
        if not (path.parent / name).is_file():
            split = f", one of {len(names)} parts; get them all" if len(names) > 1 else "; get it, or correct `gguf`"
            raise InputError(f"{path.parent / name}: no such file{split}")
    return [path.parent / name for name in names]


class Gguf:
    """A model in the GGUF format.

    Args:
        path: of the file, or of any part of a split one.

    Attributes:
        files: all parts.
        metadata: key -> value.
        architecture: `general.architecture`.
        quantisation: names of the tensors' types.

    Raises:
        InputError: a part is missing or damaged, or the model has no exact counterpart in Hugging Face layout.
    """

    def __init__(self, path: Path) -> None:
        self.files = parts(path)
        readers = [_open(file) for file in self.files]
        self.metadata: dict[str, Any] = {}
        for file, reader in reversed(list(zip(self.files, readers, strict=True))):  # the first part has the last word
            self.metadata |= _values(file, reader)
        self._tensors = {tensor.name: tensor for reader in readers for tensor in reader.tensors}
        self.path = self.files[0]
        self.architecture = str(self.metadata.get("general.architecture"))
        self.quantisation = sorted({tensor.tensor_type.name for tensor in self._tensors.values()})
        if self.architecture not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            raise InputError(
                f"{self.path}: architecture {self.architecture[:40]!r} has no mapping here; known: {known}; {REMEDY}"
            )
        count = self.metadata.get("split.count", len(self.files))
        if count not in (0, len(self.files)):
            raise InputError(f"{self.path}: says that it is one of {count} parts; name it as it was named when split")
        self.config = self._config()
        self._check_tensors()

    def _number(self, key: str, default: float | None = None) -> Any:
        value = self.metadata.get(f"{self.architecture}.{key}", default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1 << 31:
            raise InputError(f"{self.path}: {self.architecture}.{key} is {repr(value)[:40]}; {REMEDY}")
        return value

    def _config(self) -> dict[str, Any]:
        """Return the content of config.json."""
        import numpy as np

        if scaled := next((k for k in self.metadata if ".rope.scaling." in k or ".expert_" in k), None):
            raise InputError(f"{self.path}: {scaled} has no mapping here; {REMEDY}")
        own, _ = ARCHITECTURES[self.architecture]
        config: dict[str, Any] = {name: self._number(key) for name, key in NUMBERS.items()}
        heads, width = config["num_attention_heads"], config["hidden_size"]
        size = int(self._number("attention.key_length", width // heads))
        rotated = self._number("rope.dimension_count", size)
        if rotated != size or self._number("attention.value_length", size) != size:
            raise InputError(f"{self.path}: heads of {size} dimensions, {rotated} of them rotated; {REMEDY}")
        epsilon = np.float32(self._number("attention.layer_norm_rms_epsilon"))
        ids = {f"{k}_token_id": self.token_id(k) for k in ("bos", "eos", "pad")}
        return config | ids | own | {
            "model_type": self.architecture, "hidden_act": "silu", "dtype": "float32", "head_dim": size,
            "num_key_value_heads": self._number("attention.head_count_kv", heads),
            "rms_norm_eps": float(str(epsilon)), "rope_theta": self._number("rope.freq_base", 10000.0),
            "tie_word_embeddings": "output.weight" not in self._tensors, "vocab_size": len(self.tokens),
        }  # fmt: skip

    @property
    def tokens(self) -> list[str]:
        """Texts of the vocabulary, in the order of their ids."""
        tokens = self.metadata.get("tokenizer.ggml.tokens")
        if not isinstance(tokens, list) or not tokens:
            raise InputError(f"{self.path}: has no vocabulary; {REMEDY}")
        return tokens

    def token_id(self, name: str) -> int | None:
        """Id of a special token: `bos`, `eos` or `pad`."""
        key = f"tokenizer.ggml.{'padding' if name == 'pad' else name}_token_id"
        number = self.metadata.get(key)
        if number is not None and not (isinstance(number, int) and 0 <= number < len(self.tokens)):
            raise InputError(f"{self.path}: {key} is {str(number)[:40]!r}, none of its {len(self.tokens)} tokens")
        return number

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Name in the file -> shape that the settings ask for."""
        c, _ = self.config, ARCHITECTURES[self.architecture]
        width, mlp, size = c["hidden_size"], c["intermediate_size"], c["head_dim"]
        queries, keys = c["num_attention_heads"] * size, c["num_key_value_heads"] * size
        layer = {
            "attn_q": (queries, width), "attn_k": (keys, width), "attn_v": (keys, width),
            "attn_output": (width, queries), "ffn_gate": (mlp, width), "ffn_up": (mlp, width),
            "ffn_down": (width, mlp), "attn_norm": (width,), "ffn_norm": (width,),
        }  # fmt: skip
        shapes: dict[str, tuple[int, ...]] = {f"{name}.weight": shape for name, shape in layer.items()}
        shapes |= {f"{name}.bias": layer[name][:1] for name in ARCHITECTURES[self.architecture][1]}
        per_layer = {f"blk.{i}.{n}": s for i in range(c["num_hidden_layers"]) for n, s in shapes.items()}
        matrix = (c["vocab_size"], width)
        outer = {"token_embd.weight": matrix, "output_norm.weight": (width,)}
        return outer | per_layer | ({} if c["tie_word_embeddings"] else {"output.weight": matrix})

    def _check_tensors(self) -> None:
        """Refuse a tensor that is missing, of another shape or of no known place: the network would be another one."""
        if self.config["num_hidden_layers"] > len(self._tensors):
            raise InputError(f"{self.path}: lacks tensors of its layers; get the whole file")
        wanted = self._shapes()
        for name, shape in wanted.items():
            tensor = self._tensors.get(name)
            if tensor is None:
                raise InputError(f"{self.path}: lacks the tensor {name}; get the whole file")
            if (there := tuple(int(n) for n in reversed(tensor.shape))) != shape:
                raise InputError(f"{self.path}: {name} is {there}, and its settings ask for {shape}; {REMEDY}")
        if strange := sorted(self._tensors.keys() - wanted.keys()):
            raise InputError(f"{self.path}: the tensor {strange[0][:60]!r} has no mapping here; {REMEDY}")

    def tensors(self) -> "Iterator[tuple[str, np.ndarray]]":
        """Yield name in Hugging Face layout and values, float32, one tensor at a time.

        Raises:
            InputError: a tensor is cut, or of a type that is not known.
        """
        import numpy as np
        from gguf.quants import dequantize

        c = self.config
        for name, shape in self._shapes().items():
            tensor = self._tensors[name]
            try:
                values = np.array(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32).reshape(shape)
            except (ValueError, NotImplementedError, IndexError, KeyError) as e:
                kind = tensor.tensor_type.name
                raise InputError(f"{self.path}: {name} of type {kind} can't be read ({str(e)[:80]})") from None
            if not np.isfinite(values).all():
                raise InputError(f"{self.path}: {name} holds values that are no numbers; get the file again")
            stem, _, kind = name.rpartition(".")
            if stem in OUTSIDE:
                yield f"{OUTSIDE[stem]}.{kind}", values
                continue
            _, layer, part = stem.split(".")
            if self.architecture == "llama" and part in ("attn_q", "attn_k"):
                heads = c["num_attention_heads"] if part == "attn_q" else c["num_key_value_heads"]
                values = _halves(values, heads)
            yield f"model.layers.{layer}.{LAYER[part]}.{kind}", values

    @property
    def parameters(self) -> int:
        """Numbers in all tensors."""
        return sum(math.prod(shape) for shape in self._shapes().values())


def _halves(rows: "np.ndarray", heads: int) -> "np.ndarray":
    """Order the rows of a query or key matrix by halves, as transformers rotates them; llama.cpp rotates neighbours."""
    pairs = rows.reshape(heads, rows.shape[0] // heads // 2, 2, *rows.shape[1:])
    return pairs.swapaxes(1, 2).reshape(rows.shape)


def _open(file: Path) -> Any:
    """Open one file. Its header is walked first: `GGUFReader` believes the counts and types that a file states.

    Raises:
        InputError: it is no whole GGUF file.
    """
    from gguf import GGUFReader

    try:
        with open_plain(file) as handle:
            gguf_places(handle, file, file.stat().st_size)
        return GGUFReader(file)
    except (struct.error, ValueError, IndexError, KeyError, OverflowError, TypeError, MemoryError) as e:
        raise InputError(f"{file}: no whole GGUF file ({str(e)[:80]}); get it again") from None


def _values(file: Path, reader: Any) -> dict[str, Any]:
    """Metadata of one file.

    Raises:
        InputError: it is damaged.
    """
    try:
        return {key: field.contents() for key, field in reader.fields.items()}
    except (ValueError, IndexError, KeyError, TypeError) as e:
        raise InputError(f"{file}: damaged metadata ({str(e)[:80]}); get the file again") from None


def origin(model: Gguf, hashes: Sequence[str]) -> dict[str, Any]:
    """Return what a manifest says of the files: names, hashes, types of the tensors, licence and name as stated."""
    stated = {k: model.metadata.get(f"general.{k}") for k in ("name", "organization", "license")}
    known = {k: v for k, v in stated.items() if isinstance(v, str)}
    return {
        "files": dict(zip([file.name for file in model.files], hashes, strict=True)),
        "quantisation": model.quantisation, "stated": known,
    }  # fmt: skip
