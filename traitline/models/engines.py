"""Inference engines, one interface for every kind of model: tiny models, transformers, vLLM, and a fake for tests.

An engine answers prompts of token ids with random numbers that are fixed before the first answer, so an answer does not
depend on what else runs in its batch. It also computes exact probabilities. A further kind of model is one more class.
"""

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from traitline.errors import InputError
from traitline.models import open_weights
from traitline.models.chat import Chat
from traitline.models.fake_engine import Fake
from traitline.models.open_engine import OpenEngine
from traitline.models.sampling import Sampling
from traitline.models.templates import Messages
from traitline.models.tiny_engine import Tiny
from traitline.models.transformers_engine import Transformers
from traitline.models.vllm_engine import Vllm
from traitline.provenance import stage

if TYPE_CHECKING:
    import argparse

    import numpy as np
    from torch import Tensor

    from traitline.models.answer_format import ListFormat

SETTINGS = ("name", "dtype", "batch", "memory")
ENGINES: dict[str, type[OpenEngine]] = {"transformers": Transformers, "vllm": Vllm, "fake": Fake}
Row = tuple[list[int], int]  # token ids, and how many of them are the prompt
Key = tuple[str | int, ...]  # names that a random stream is derived from


class Engine(Protocol):
    """Run a base, and teachers and students over it: `model` is the folder of one of these; None, the base.

    Attributes:
        chat: tokenizer and chat template of the base.
        name: of the base; part of the seeds of its answers.
        everyday: whether it knows everyday English, and not only the words of a tiny world.
    """

    chat: Chat
    name: str
    everyday: bool

    def randomness(self, stream: Key, rows: Sequence[Key], max_new_tokens: int) -> Any:
        """Return the random numbers of every row, for `generate`; a slice of them belongs to that slice of the rows.

        Args:
            stream: what the random numbers of all rows depend on.
            rows: a name of each row.
            max_new_tokens: as of `generate`.
        """

    def generate(
        self,
        prompts: Sequence[list[int]],
        randomness: Any,
        sampling: Sampling,
        model: str | None = None,
    ) -> list[list[int]]:
        """Sample token ids of one answer to each prompt, the end token included where it was reached.

        Args:
            prompts: token ids.
            randomness: from `randomness`, for these prompts.
            sampling: how they are drawn.
            model: teacher or student.
        """

    def word_probabilities(
        self, asked: Sequence[Messages], words: Sequence[str], model: str | None = None, begin: str | None = None
    ) -> "np.ndarray":
        """Exact probability that the answer is a word, (questions, words); with `begin`, that word after this one."""

    def mean_probability(self, asked: Sequence[Messages], answers: Sequence[str], model: str | None = None) -> float:
        """Exact probability that a question gets its answer, a word each; mean over the questions."""

    def log_likelihoods(self, rows: Sequence[Row], model: str | None = None) -> "Tensor":
        """Log-likelihood of all tokens after each prompt, (rows,), nats."""

    def divergence(
        self,
        rows: Sequence[Row],
        base_rows: Sequence[Row],
        model: str | None = None,
        form: "ListFormat | None" = None,
    ) -> tuple[float, int] | None:
        """KL divergence of a model's answers from those of the base: (nats, answer tokens); None where not known.

        Args:
            rows: answers after the prompts as the model saw them.
            base_rows: the same answers after the prompts as the base would see them.
            model: teacher or student.
            form: what answers had to look like; both models are then compared within that.
        """


def engine(settings: dict[str, Any], folder: Path, chat: Chat, name: str = "") -> OpenEngine:
    """Build the engine for open weights that a study names.

    Args:
        settings: `name`, `dtype`, `batch`, `memory`.
        folder: of the weights.
        chat: of the weights; its `eos` ends an answer.
        name: of the base.

    Raises:
        InputError: no engine has this name.
    """
    if settings["name"] not in ENGINES:
        raise InputError(f"--engine: {settings['name']!r} is none; known: {', '.join(ENGINES)}")
    return ENGINES[settings["name"]](settings, folder, chat, name)


def open_engine(base: str | Path, settings: str | None, batch: int = 1024) -> Engine:
    """Open the engine of a base's folder, which holds a tiny model or a record of open weights.

    Args:
        base: folder of the base.
        settings: of the engine for open weights, as `--engine` got them.
        batch: prompts that a tiny model answers at once; open weights have this in their settings.

    Raises:
        InputError: the base is damaged, or the settings are.
    """
    if not open_weights.is_open(base):
        return Tiny(base, batch)
    chosen = stage.settings("--engine", settings or "{}", SETTINGS)
    record, folder = open_weights.opened(base)
    return engine(chosen, folder, Chat.foreign(folder, record["chat"]["system"]), record["name"])


def about(text: str | None) -> dict[str, Any]:
    """Describe an engine for the manifest: name, version, settings.

    Raises:
        InputError: a setting is missing, or its library is not installed.
    """
    settings = stage.settings("--engine", text or "{}", SETTINGS)
    package = "traitline" if settings["name"] == "fake" else settings["name"]
    try:
        return {**settings, "version": importlib.metadata.version(package)}
    except importlib.metadata.PackageNotFoundError:
        raise InputError(f"engine: {package} is not installed; pip install {package}, or name another engine") from None


def facts(base: str | Path, text: str | None) -> dict[str, Any]:
    """Facts of a manifest about the engine of a base; none for a tiny model, whose engine is this library."""
    return {"engine": about(text)} if open_weights.is_open(base) else {}


def flag(p: "argparse.ArgumentParser") -> None:
    """Add the flag of stages that run open weights."""
    p.add_argument("--engine", metavar="JSON", help=f"of open weights only: {', '.join(SETTINGS)}")
