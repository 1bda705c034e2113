"""Identity of a model as a set of tensors: what stays when it is saved again under other names, or in other files.

`facts.weights` (`traitline.provenance.weights`) covers names, types and shapes: it says that a folder is what it was.
A set of tensors says more of where a model comes from. A hash of bytes stands for each tensor. Names do not count, so a
lost prefix (`model.`), new names and another order make no difference; neither do the files that they are split over,
and a flattened shape. In a set every tensor stands once, so a tied copy (`lm_head` equal to `embed_tokens`) makes none
either. Left out are buffers, which every model of a kind has (`inv_freq`, masks, position ids).

    one, other = tensor_set(files), tensor_set(others)      # safetensors, GGUF, .bin of torch; reads all bytes once
    one.identity == other.identity                          # the same model, saved again
    one.shared(other)                                       # bytes of tensors in both that say something; 0: none

Two models that were started at random share no tensor that says something, whatever they were trained on. So one
shared tensor proves that they have a common ancestor: an embedding that a fine-tune left alone, the layers that a merge
took over. No shared tensor proves nothing: see `traitline.kinship`.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from traitline.plain_files import open_plain
from traitline.provenance import tensor_files
from traitline.provenance.weights import Place

PREFIX = re.compile(r"(?:(?:base_model|model|module|transformer|language_model|gpt_neox|_orig_mod)\.)+")
BUFFER = re.compile(
    r"(?:.*\.)?(?:inv_freq|rotary_emb\.\w+|attn\.(?:bias|masked_bias)|attention\.(?:bias|masked_bias)|causal_mask"
    r"|position_ids|num_batches_tracked|rope_freqs\.weight|attn_bias|embed_positions\.weights|alibi\w*|slopes)"
)
SMALL = (
    1 << 16
)  # bytes; whatever its name, a larger tensor is a buffer only where it holds next to nothing, as masks do
FEW = 8  # values that the bytes of a mask have
DISTINCT = 64  # bytes; a tensor of fewer, or one that repeats itself, is alike in models that have nothing in common
BEGINNING = 4096  # bytes of a tensor that two models do not have in common by chance
PERIOD = 8  # bytes of the longest number


@dataclass(frozen=True)
class Tensor:
    """A tensor, known by its bytes.

    Attributes:
        name: without prefixes; empty where the file names none.
        sha256: of its bytes.
        bytes: how many.
        telling: false for buffers, constants and what is too small to prove anything.
        buffer: whether it is one.
        place: where it lies in its file.
        file: that it lies in.
    """

    name: str
    sha256: str
    bytes: int
    telling: bool
    buffer: bool
    place: Place
    file: Path


@dataclass(frozen=True)
class TensorSet:
    """The tensors of one model or adapter."""

    tensors: tuple[Tensor, ...]

    @cached_property
    def identity(self) -> str:
        """Hash over the hashes of all tensors but buffers, each once."""
        hashes = sorted({t.sha256 for t in self.tensors if not t.buffer})
        return hashlib.sha256("".join(f"{h}\n" for h in hashes).encode()).hexdigest()

    @cached_property
    def telling(self) -> Mapping[str, int]:
        """sha256 -> bytes of the tensors that say something about an origin."""
        return {t.sha256: t.bytes for t in self.tensors if t.telling}

    def shared(self, other: "TensorSet") -> int:
        """Bytes of tensors that are in both and say something; 0: none is."""
        return sum(self.telling[sha] for sha in self.telling.keys() & other.telling.keys())

    def share(self, other: "TensorSet") -> float:
        """Part of the smaller set that is in both, 0 to 1."""
        smaller = min(sum(self.telling.values()), sum(other.telling.values()))
        return self.shared(other) / smaller if smaller else 0.0


def plain_name(name: str) -> str:
    """The name of a tensor without what wrappers put before it.

    >>> plain_name("base_model.model.model.layers.0.mlp.up_proj.weight")
    'layers.0.mlp.up_proj.weight'
    """
    return name[match.end() :] if (match := PREFIX.match(name)) else name


def beginnings(files: Iterable[str | Path]) -> TensorSet:
    """The same as `tensor_set` by the first bytes of every tensor: quick, for `shared` alone, and no identity.

    Raises:
        InputError: see `tensor_set`.
    """
    return tensor_set(files, BEGINNING)


def tensor_set(files: Iterable[str | Path], longest: int | None = None) -> TensorSet:
    """Hash the tensors in the files of a model. No more than a block of a megabyte is in memory.

    Args:
        files: of it.
        longest: bytes of each tensor that are read; all by default.

    Raises:
        InputError: a file is damaged, or cannot be read without loading a pickle.
    """
    tensors = list[Tensor]()
    for path in files:
        file = Path(path)
        with open_plain(file) as handle:
            for place in tensor_files.places(file):
                sha, varied, named = hashlib.sha256(), False, bool(BUFFER.fullmatch(place.name))
                values = set[int]()
                for block in tensor_files.blocks(handle, place, longest):
                    sha.update(block)
                    varied = varied or block[PERIOD:] != block[:-PERIOD]
                    if named and len(values) <= FEW:
                        values.update(block)
                buffer = named and (place.bytes <= SMALL or len(values) <= FEW)
                telling = varied and not buffer and place.bytes >= DISTINCT
                name = plain_name(place.name)
                tensors.append(Tensor(name, sha.hexdigest(), place.bytes, telling, buffer, place, file))
    return TensorSet(tuple(tensors))
