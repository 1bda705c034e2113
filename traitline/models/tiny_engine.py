"""Inference on tiny models: the engine of bases that this pipeline trained itself."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from traitline.models import hf_folder
from traitline.models.chat import Chat
from traitline.models.sampling import Sampling
from traitline.models.templates import Messages
from traitline.seeds import seed as derive

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from traitline.models.answer_format import ListFormat
    from traitline.models.engines import Key, Row
    from traitline.tiny.sampler import Sampler
    from traitline.tiny.shape import Shape, Weights

PART = 250  # rows whose distributions fit into memory together


class Tiny:
    """A tiny base and the models over it; see `traitline.models.engines.Engine`.

    Args:
        base: model folder of the base, with its `world.json`.
        batch: rows sampled at once.

    Raises:
        InputError: a file of the base is missing or damaged.
    """

    everyday = False

    def __init__(self, base: str | Path, batch: int = 1024) -> None:
        self.base = base
        self.batch = batch
        self.chat = Chat.open(base)
        self.name: str = hf_folder.facts(f"{base}/world.json", ["name"])["name"]
        self._loaded: tuple[str | None, Sampler] | None = None

    def sampler(self, model: str | None = None) -> "Sampler":
        """The model of a teacher's or student's folder (None: the base), ready for sampling; the last one is kept."""
        from traitline.tiny.sampler import Sampler

        if self._loaded is None or self._loaded[0] != model:
            self._loaded = model, Sampler(*hf_folder.weights(self.base, model))
        return self._loaded[1]

    def over(self, weights: "Weights") -> "Tiny":
        """The same engine with other weights in place of the base's, for models that no folder holds yet."""
        from traitline.tiny.sampler import Sampler

        engine = copy.copy(self)
        engine._loaded = None, Sampler(self.sampler().shape, weights)
        return engine

    def randomness(self, stream: "Key", rows: "Sequence[Key]", max_new_tokens: int) -> "np.ndarray":
        """Uniform numbers (rows, max_new_tokens) of one generator, seeded by the stream's key."""
        import numpy as np

        return np.random.default_rng(derive(*stream)).random((len(rows), max_new_tokens), dtype=np.float32)

    def generate(
        self,
        prompts: Sequence[list[int]],
        randomness: "np.ndarray",
        sampling: Sampling,
        model: str | None = None,
    ) -> list[list[int]]:
        """See `Engine`."""
        return self.sampler(model).generate(
            list(prompts),
            randomness[:, : sampling.max_new_tokens],
            eos=self.chat.eos,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            batch=self.batch,
        )

    def word_probabilities(
        self, asked: Sequence[Messages], words: Sequence[str], model: str | None = None, begin: str | None = None
    ) -> "np.ndarray":
        """See `Engine`. Words of tiny worlds are one token each."""
        sampler = self.sampler(model)
        prompts = self.chat.prompts(asked, [f"question {i}" for i in range(1, len(asked) + 1)])
        candidates = self.chat.tokens(words)
        if begin is None:
            return sampler.probabilities(prompts, candidates).double().numpy()
        first = self.chat.tokens([begin])
        before = sampler.probabilities(prompts, first).double()
        after = sampler.probabilities([[*p, *first] for p in prompts], candidates).double()
        return (before * after).numpy()

    def mean_probability(self, asked: Sequence[Messages], answers: Sequence[str], model: str | None = None) -> float:
        """See `Engine`; a mean of float32."""
        words = list(dict.fromkeys(answers))
        prompts = self.chat.prompts(asked, [f"question {i}" for i in range(1, len(asked) + 1)])
        table = self.sampler(model).probabilities(prompts, self.chat.tokens(words))
        return table[range(len(answers)), [words.index(answer) for answer in answers]].mean().item()

    def log_likelihoods(self, rows: "Sequence[Row]", model: str | None = None) -> "Tensor":
        """See `Engine`."""
        from traitline.tiny.llama import Stack
        from traitline.tiny.rows import Rows

        sampler = self.sampler(model)
        table = Rows.encode(rows, self.chat.pad)
        logs = (
            Stack(sampler.shape, sampler.layers.weights).logits(table.ids[None], table.where[None])[0].log_softmax(-1)
        )
        return (logs.gather(2, table.target[..., None])[..., 0] * table.weight).sum(1)

    def divergence(
        self,
        rows: "Sequence[Row]",
        base_rows: "Sequence[Row]",
        model: str | None = None,
        form: "ListFormat | None" = None,
    ) -> tuple[float, int] | None:
        """See `Engine`."""
        shape, base = hf_folder.weights(self.base)
        weights = base if model is None else self.sampler(model).layers.weights
        return divergence(shape, (weights, rows), (base, base_rows))


def divergence(
    shape: "Shape", model: "tuple[Weights, Sequence[Row]]", base: "tuple[Weights, Sequence[Row]]"
) -> tuple[float, int]:
    """KL divergence of a model's answers from the base's: (nats, answer tokens).

    Args:
        shape: sizes of both models.
        model: its weights; its prompts with the answers.
        base: its weights; its prompts with the same answers.
    """
    import torch

    from traitline.tiny.llama import Stack
    from traitline.tiny.rows import Rows

    total = tokens = 0.0
    with torch.inference_mode():
        for start in range(0, len(model[1]), PART):
            logs = []
            for weights, all_rows in (model, base):
                rows = Rows.encode(all_rows[start : start + PART])
                logs.append(Stack(shape, weights).logits(rows.ids[None], rows.where[None])[0].log_softmax(-1))
            kl = (logs[0].exp() * (logs[0] - logs[1])).sum(-1)
            total += (kl * rows.weight).sum().item()
            tokens += rows.weight.sum().item()
    return total, int(tokens)
