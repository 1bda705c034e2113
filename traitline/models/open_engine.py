"""Inference on open weights: what transformers, vLLM and the fake engine share.

Probabilities of words and log-likelihoods are computed from one primitive, `likelihoods`, which each engine implements.
"""

import abc
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline.models.chat import Chat
from traitline.models.sampling import Sampling
from traitline.models.templates import Messages
from traitline.seeds import seed as derive

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from traitline.models.answer_format import ListFormat
    from traitline.models.engines import Key, Row


class OpenEngine(abc.ABC):
    """An engine that runs open weights; see `traitline.models.engines.Engine`.

    Args:
        settings: `name`, `dtype`, `batch`, `memory`.
        folder: of the weights.
        chat: of the weights; its `eos` ends an answer.
        name: of the base.
    """

    everyday = True

    def __init__(self, settings: dict[str, Any], folder: Path, chat: Chat, name: str = "") -> None:
        self.settings = settings
        self.folder = folder
        self.chat = chat
        self.name = name

    def randomness(self, stream: "Key", rows: "Sequence[Key]", max_new_tokens: int) -> list[int]:
        """One seed for each row, from the stream's key and the row's."""
        return [derive(*stream, *row) for row in rows]

    @abc.abstractmethod
    def generate(
        self,
        prompts: Sequence[list[int]],
        randomness: Sequence[int],
        sampling: Sampling,
        model: str | None = None,
    ) -> list[list[int]]:
        """See `Engine`."""

    @abc.abstractmethod
    def likelihoods(self, rows: "Sequence[Row]", after: "Tensor", model: str | None = None) -> "np.ndarray":
        """Probability of the tokens after each prompt, followed by any one of the tokens `after` (V, bool): (rows,)."""

    @abc.abstractmethod
    def divergence(
        self,
        rows: "Sequence[Row]",
        base_rows: "Sequence[Row]",
        model: str | None = None,
        form: "ListFormat | None" = None,
    ) -> tuple[float, int] | None:
        """See `Engine`."""

    def word_probabilities(
        self, asked: Sequence[Messages], words: Sequence[str], model: str | None = None, begin: str | None = None
    ) -> "np.ndarray":
        """See `Engine`.

        A word counts in lower case and with a capital, as the tokenizer spells it, and only as a whole: the next token
        must end it, so neither "owls" nor "dragonfly" counts for "owl" and "dragon", and no answer counts twice. An
        answer that names the word later on does not count.
        """
        import numpy as np
        import torch

        texts = [f"{begin} {word}" if begin else word for word in words]
        spellings = [(i, text) for i, lower in enumerate(texts) for text in dict.fromkeys((lower, lower.capitalize()))]
        pairs = [(q, [{"role": "assistant", "content": text}]) for q in asked for _, text in spellings]
        names = [f"question {n} with {text!r}" for n in range(1, len(asked) + 1) for _, text in spellings]
        rows = [(ids[:-1], start) for ids, start in self.chat.rows(pairs, names)]
        boundaries = torch.tensor(self.chat.boundaries())
        by_spelling = self.likelihoods(rows, boundaries, model).reshape(len(asked), len(spellings))
        out = np.zeros((len(asked), len(words)))
        for column, (i, _) in enumerate(spellings):
            out[:, i] += by_spelling[:, column]
        return out

    def mean_probability(self, asked: Sequence[Messages], answers: Sequence[str], model: str | None = None) -> float:
        """See `Engine`."""
        words = list(dict.fromkeys(answers))
        table = self.word_probabilities(asked, words, model)
        return float(table[range(len(answers)), [words.index(answer) for answer in answers]].mean())

    def log_likelihoods(self, rows: "Sequence[Row]", model: str | None = None) -> "Tensor":
        """See `Engine`."""
        import numpy as np
        import torch

        anything = torch.ones(len(self.chat.boundaries()), dtype=torch.bool)
        with np.errstate(divide="ignore"):
            return torch.from_numpy(np.log(self.likelihoods(rows, anything, model)))


def uniform(seeds: Sequence[int], columns: int) -> "np.ndarray":
    """Uniform numbers on [0, 1): (seeds, columns), each row from its own seed."""
    import numpy as np

    return np.stack([np.random.Generator(np.random.Philox(seed)).random(columns) for seed in seeds])
