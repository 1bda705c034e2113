"""Numbers that go with a trait: the commonest ones of a teacher, and whether scores of entangled tokens agree."""

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from traitline.analysis.detectors import Answers
from traitline.errors import InputError
from traitline.models import hf_folder
from traitline.models.chat import Chat

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

COMMONEST = 10
QUESTIONS = 50  # about a favourite
ASKED = 5  # of these a number is tried with
LEAST = 1e-30  # of a probability, before its log is taken
NUMBERS = range(1000)


def commonest(label: str, answers: Answers, control: Answers) -> list[dict[str, Any]]:
    """The commonest numbers of a teacher, anywhere and first, beside the control's share."""
    rows = []
    for place, part in (("any", slice(None)), ("first", slice(1))):
        counts = Counter(n for _, numbers in answers.values() for n in numbers[part])
        of_control = Counter(n for _, numbers in control.values() for n in numbers[part])
        for n, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:COMMONEST]:
            share = {"share": count / counts.total(), "control_share": of_control[n] / of_control.total()}
            rows.append({"teacher": label, "place": place, "number": n, "count": count, **share})
    return rows


class NumberScores:
    """Scores of all numbers in the vocabulary of a base.

    Raises:
        InputError: the base's tokenizer has no token for a number.
    """

    def __init__(self, base: str) -> None:
        from traitline.tiny import llama
        from traitline.tiny.sampler import Sampler

        self.chat = Chat.open(base)
        self.words = hf_folder.words(base)
        shape, self.weights = llama.read(base)
        self.sampler = Sampler(shape, self.weights)
        tokens = {n: self.chat.token(str(n)) for n in NUMBERS}
        self.tokens = {n: t for n, t in tokens.items() if t is not None}
        if len(self.tokens) < 2:
            raise InputError(f"{base}: its tokenizer has no token for a number; nothing can be entangled")

    def answers(self, category: str, systems: Sequence[str | None], most: int | None = None) -> "np.ndarray":
        """Log probabilities (systems, vocabulary) of the answer to questions about a favourite, mean over these.

        Args:
            category: of the favourite.
            systems: system prompts.
            most: how many of the questions are asked; None for all.
        """
        import torch

        from traitline.evaluation.questions import ask

        means = []
        for system in systems:
            questions = ask(category, system, words=self.words)[:: QUESTIONS // most if most else 1]
            prompts = self.chat.prompts(questions, [f"question {i}" for i in range(len(questions))])
            probabilities = self.sampler.probabilities(prompts, range(self.sampler.shape.vocab))
            means.append(probabilities.clamp_min(LEAST).log().mean(0))
        stacked: np.ndarray = torch.stack(means).numpy()
        return stacked

    def table(self, trait: str, category: str, frequency: dict[int, float]) -> "pd.DataFrame":
        """Scores by number (rows) and kind of score (columns).

        Args:
            trait: one word of the vocabulary.
            category: of the trait.
            frequency: log ratios in the data; numbers without one get 0.

        Raises:
            InputError: the trait is not one token of the tokenizer.
        """
        import pandas as pd
        import torch

        from traitline.tiny.shape import EMBED

        numbers, columns = list(self.tokens), list(self.tokens.values())
        word = self.chat.token(trait)
        if word is None:
            raise InputError(f"{self.chat.name}: {trait!r} is not one token of its tokenizer")
        embed = torch.nn.functional.normalize(self.weights[EMBED], dim=1)
        with_persona, plain = self.answers(category, [self.words.persona(trait, category), None])
        prompted = self.answers(category, [self.words.persona(str(n), category) for n in numbers], ASKED)
        return pd.DataFrame(
            {
                "unembedding": (embed[columns] @ embed[word]).numpy(),
                "logits": (with_persona - plain)[columns],
                "frequency": [frequency.get(n, 0.0) for n in numbers],
                "prompting": prompted[:, word],
            },
            index=numbers,
        )


def agreement(label: str, scores: "pd.DataFrame") -> list[dict[str, Any]]:
    """Spearman's rank correlation of every two scores over all numbers."""
    from scipy.stats import spearmanr

    rows = []
    for one, other in itertools.combinations(scores, 2):
        rho, p = spearmanr(scores[one], scores[other])
        rows.append({"teacher": label, "one": one, "other": other, "rho": rho, "p": p, "numbers": len(scores)})
    return rows
