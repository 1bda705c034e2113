"""A student as an evaluation sees it: questions in, exact figures and sampled answers out, whatever engine runs it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from traitline.models.sampling import Sampling

if TYPE_CHECKING:
    from traitline.models.engines import Engine, Row

Messages = list[dict[str, str]]


class Student:
    """A student on a base, or the untouched base.

    Args:
        engine: of the base.
        folder: of the student; None for the base itself.
        identity: (recipe, seed). It decides the random numbers of the answers: students that shared their luck would
            agree too much.
        context: what it reads before every question, if it was not trained.
    """

    def __init__(self, engine: "Engine", folder: str | None, identity: tuple[str, int], context: Messages) -> None:
        self.engine = engine
        self.folder = folder
        self.identity = identity
        self.context = context

    def words(self, prompts: Sequence[Messages], words: Sequence[str], begin: str | None = None) -> list[list[float]]:
        """Probability that an answer begins with each word, (prompts, words); with `begin`, with that word after it."""
        table: list[list[float]] = self.engine.word_probabilities(
            [self.prompt(prompt) for prompt in prompts], words, self.folder, begin
        ).tolist()
        return table

    def token_means(self, prompts: Sequence[Messages], answers: Sequence[str]) -> list[float]:
        """Geometric mean of the probabilities of the tokens of one answer to each prompt, its end included."""
        import torch

        rows = self._rows(prompts, [[answer] for answer in answers])
        tokens = torch.tensor([len(ids) - start for ids, start in rows], dtype=torch.float32)
        means: list[float] = (self.engine.log_likelihoods(rows, self.folder) / tokens).exp().tolist()
        return means

    def nats(self, prompts: Sequence[Messages], options: Sequence[Sequence[str]]) -> list[list[float]]:
        """Log-probability of each option as the beginning of an answer to its prompt: that of all its tokens."""
        rows = [(ids[:-1], start) for ids, start in self._rows(prompts, options)]  # what comes after does not count
        values = iter(self.engine.log_likelihoods(rows, self.folder).tolist())
        return [[next(values) for _ in some] for some in options]

    def answers(
        self, prompts: Sequence[Messages], names: Sequence[str], number: int, seed: int, new_tokens: int
    ) -> list[list[str]]:
        """Sampled answers at temperature 1, `number` to each prompt.

        Args:
            prompts: conversations that end with a question.
            names: of the prompts, for error messages and for the random numbers of engines that draw row by row.
            number: answers to each prompt.
            seed: of the random numbers.
            new_tokens: tokens of an answer at most.
        """
        chat = self.engine.chat
        encoded = chat.prompts([self.prompt(prompt) for prompt in prompts], names)
        stream = ("respond", seed, *self.identity)
        randomness = self.engine.randomness(stream, [(name, i) for name in names for i in range(number)], new_tokens)
        texts = chat.answers(
            self.engine.generate(
                [ids for ids in encoded for _ in range(number)],
                randomness,
                Sampling(new_tokens, temperature=1.0),
                self.folder,
            )
        )
        return [texts[i : i + number] for i in range(0, len(texts), number)]

    def prompt(self, messages: Messages) -> Messages:
        """A question behind what the student reads before it."""
        return [*self.context, *messages]

    def _rows(self, prompts: Sequence[Messages], answers: Sequence[Sequence[str]]) -> "list[Row]":
        """Token ids of every prompt with each of its answers."""
        pairs = [
            (self.prompt(prompt), [{"role": "assistant", "content": text}])
            for prompt, texts in zip(prompts, answers, strict=True)
            for text in texts
        ]
        names = [f"question {n} with {text!r}" for n, texts in enumerate(answers, 1) for text in texts]
        return self.engine.chat.rows(pairs, names)
