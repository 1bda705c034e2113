"""Sizes of open weights and of GPUs, and what a forward pass, an answer and a training step cost.

Estimates, not measurements: a forward pass costs two operations a parameter and token, training an adapter four, and
every token of an answer reads the weights once a batch. What a GPU reaches of its limits is assumed.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from traitline import json_files
from traitline.errors import InputError

if TYPE_CHECKING:
    from traitline.study.training import Recipe

GIB = 2**30
REACHED = {"operations": 0.35, "bandwidth": 0.5}  # share of a GPU's limit: assumed, nothing was measured
TOKENS = {
    "prompt": 110,
    "persona": 50,
    "answer": 45,
    "question": 45,
    "word": 5,
    "judge": 100,
    "working": 200,
    "conversation": 400,
}  # of a row, about: assumed
WIDTH = {"bfloat16": 2, "float16": 2, "float32": 4}


@dataclass(frozen=True)
class Gpu:
    """Memory in GiB, bandwidth in GB/s, operations a second at bfloat16 in 10^12, without sparsity (data sheets)."""

    memory: int
    bandwidth: int
    operations: int


GPUS = {"h100": Gpu(80, 3350, 989), "h200": Gpu(141, 4800, 989), "a100": Gpu(80, 2039, 312), "l40s": Gpu(48, 864, 362)}


@dataclass(frozen=True)
class Shape:
    """Sizes of a model as its `config.json` has them, and its parameters (billions)."""

    parameters: float
    layers: int
    width: int
    mlp: int
    keys: int  # width of keys, and of values: heads x size of a head
    vocab: int


# For plans before the weights are there: sizes in the published configurations of these models.
KNOWN = {
    "Qwen/Qwen2.5-7B-Instruct": Shape(7.616, 28, 3584, 18944, 512, 152064),
    "Qwen/Qwen2.5-14B-Instruct": Shape(14.770, 48, 5120, 13824, 1024, 152064),
    "meta-llama/Llama-3.1-8B-Instruct": Shape(8.030, 32, 4096, 14336, 1024, 128256),
    "google/gemma-3-4b-it": Shape(4.300, 34, 2560, 10240, 1024, 262208),
    "allenai/OLMo-2-1124-7B-Instruct": Shape(7.299, 32, 4096, 11008, 4096, 100352),
}


def shape(source: dict[str, Any]) -> Shape | None:
    """Sizes of open weights: read where they are, else known by name, else None."""
    from traitline.models import open_weights

    try:
        folder = open_weights.find(source)
        c = json_files.read_object(folder / "config.json")
        c = c.get("text_config", c)
        size = sum((folder / name).stat().st_size for name in open_weights.shards(folder))
        width = 4 if c.get("dtype", c.get("torch_dtype")) == "float32" else 2
        head = c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]
        keys = head * (c.get("num_key_value_heads") or c["num_attention_heads"])
        sizes = (c["num_hidden_layers"], c["hidden_size"], c["intermediate_size"], keys, c["vocab_size"])
        return Shape(size / width / 1e9, *sizes)
    except (InputError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return KNOWN.get(source.get("hub", ""))


@dataclass(frozen=True)
class Runner:
    """A GPU and how it runs a model.

    Attributes:
        gpu: its limits.
        batch: answers that are written together.
        width: bytes of a number.
        sharded: whether processes that share a training share the base too.
    """

    gpu: Gpu
    batch: int
    width: int
    sharded: bool

    def weights(self, s: Shape, processes: int = 1) -> float:
        """GiB of the weights on a card, and of what a process has anyway.

        Of a shared base: the share, the output head, and three layers (one in use, the next, the buffer it comes in).
        """
        parameters = s.parameters * 1e9
        if self.sharded and processes > 1:
            layer = 2 * s.width * (s.width + s.keys) + 3 * s.width * s.mlp
            parameters = parameters / processes + 3 * layer + s.vocab * s.width
        return parameters * self.width / GIB + 1.5

    def memory(self, s: Shape, tokens: int) -> float:
        """GiB of a model that reads and writes batches of rows of so many tokens."""
        cache = 2 * s.layers * s.keys * self.width * tokens * self.batch
        logits = 12 * s.vocab * self.batch  # of one token a row, with what a draw makes of them
        return self.weights(s) + (cache + logits) / GIB

    def reading(self, tokens: int, s: Shape) -> float:
        """Hours of a forward pass over so many tokens."""
        return 2 * s.parameters * 1e9 * tokens / (self.gpu.operations * 1e12 * REACHED["operations"]) / 3600

    def writing(self, rows: int, tokens: int, s: Shape) -> float:
        """Hours of so many answers: every token of a batch reads all weights and the batch's cache."""
        cache = 2 * s.layers * s.keys * self.width * self.batch * (TOKENS["prompt"] + tokens)
        traffic = s.parameters * 1e9 * self.width + cache
        return -(-rows // self.batch) * tokens * traffic / (self.gpu.bandwidth * 1e9 * REACHED["bandwidth"]) / 3600


def adapter(s: Shape, recipe: "Recipe") -> int:
    """Parameters of a student's adapter."""
    sizes = {"q_proj": 2 * s.width, "o_proj": 2 * s.width, "k_proj": s.width + s.keys, "v_proj": s.width + s.keys}
    return (recipe.rank or 0) * s.layers * sum(sizes.get(m, s.width + s.mlp) for m in recipe.modules or ())


def training(s: Shape, recipe: "Recipe", processes: int = 1) -> float:
    """GiB of a step beside the weights: adapter, gradient and moments; activations; logits of answers, in float32.

    Several processes share the rows of a step.
    """
    rows = -(-(recipe.batch or 0) // processes)
    trained = 16 * adapter(s, recipe)
    kept = 2 * rows * (TOKENS["prompt"] + TOKENS["answer"]) * s.layers * (14 * s.width + 6 * s.mlp)
    logits = 14 * rows * TOKENS["answer"] * s.vocab
    return (trained + kept + logits) / GIB
