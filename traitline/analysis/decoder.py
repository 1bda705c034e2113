"""Read a trait off a teacher's rows in closed form, with the embedding of a base: no training, no gradient.

The setting is that of the paper (arXiv 2507.14805); the estimator is this project's, on standard ridge regression.

A tiny model has tied embeddings: the logit of token i is x_i . h, where x_i is the row of the embedding, times the gain
of the last norm, and h the normalised hidden state. A teacher that was changed a little has hidden states h + v. If v
is about the same before a number and before a favourite, the log ratio of how often teacher and control write number i
is x_i . v + constant, and the logit of word c rises by x_c . v. So the rows of two teachers give v by regression of the
log ratios on the numbers' embeddings, and v gives a score of every word, which no row holds.

For counts t_i of a teacher and c_i of the control, with sums T and C, let p_i = (t_i + c_i) / (T + C) be the pooled
share, and m = T C / (T + C). To first order about p, the log ratio of shares is y_i = (t_i / T - c_i / C) / p_i, which
needs no constant where a count is zero. Without a difference between the teachers the covariance of y is that of
weights m p_i. Weighted ridge regression with an intercept is then

    v = (G + L)^-1 X' (t / T - c / C),    G = X' diag(p) X,    L = ridge * trace(G) / width * identity

with the columns of X centred by p. The score of a word is d . v for d = x_c - mean of the candidates. Without a
difference its standard error is sqrt(d' (G + L)^-1 G (G + L)^-1 d / m), and `z` is the ratio of both. Weights from the
pooled share, not from each count alone, keep z at variance 1 for few rows as for many. A ridge relative to the trace
makes scores the same for any scale of the embedding or the counts.

Rows with several numbers are not independent numbers, so z is too large there. The null distribution is that of the
control's rows split at random into two halves, row by row, so it is as wide as it must be. It is that of no difference
at all: where two teachers differ much, a word of an unrelated embedding may reach a small p too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from traitline import jsonl, seeds
from traitline.channels.messages import exchange
from traitline.channels.types.number_lists import split
from traitline.channels.world import NUMBERS
from traitline.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

BAND = 0.95  # of the null distribution


@dataclass(frozen=True)
class Embedding:
    """Rows of a base's embedding: of the numbers, and of the candidates.

    Attributes:
        numbers: (N, width), a row a number.
        words: (W, width), a row a candidate.
        candidates: their W words.
    """

    numbers: "Tensor"
    words: "Tensor"
    candidates: list[str]


@dataclass(frozen=True)
class Rows:
    """Numbers in the rows of a teacher.

    Attributes:
        number: (M,) index of each number that was written, row after row.
        row: (M,) index of its row.
        total: how many rows there are.
    """

    number: "Tensor"
    row: "Tensor"
    total: int

    def counts(self, chosen: "Tensor | None" = None) -> "Tensor":
        """Count each number in all rows, or in those chosen by index: (N,)."""
        import torch

        number = self.number
        if chosen is not None:
            keep = torch.zeros(self.total, dtype=torch.bool)
            keep[chosen] = True
            number = number[keep[self.row]]
        return torch.bincount(number, minlength=len(NUMBERS)).double()


def read_embedding(base: "str | Path", candidates: Sequence[str]) -> Embedding:
    """Read the embedding of a tiny base, times the gain of its last norm.

    Raises:
        InputError: a number or a candidate is not one token of its tokenizer.
    """
    from traitline.models.chat import Chat
    from traitline.tiny import llama
    from traitline.tiny.shape import EMBED, FINAL

    _, weights = llama.read(base)
    chat = Chat.open(base)
    table = (weights[EMBED] * weights[FINAL]).double()
    numbers, words = (chat.tokens(texts) for texts in ([str(n) for n in NUMBERS], candidates))
    return Embedding(table[numbers], table[words], list(candidates))


def read_rows(path: "str | Path") -> Rows:
    """Read the numbers of a teacher's answers.

    Raises:
        InputError: a row is no list of numbers, or holds one that tiny worlds do not have.
    """
    import torch

    number: list[int] = []
    row: list[int] = []
    total = 0
    index = {str(n): i for i, n in enumerate(NUMBERS)}
    for total, line in enumerate(jsonl.read(path, ("id", "prompt", "completion"), unique="id"), 1):
        answer, reason = split(exchange(line, path)[1])
        if answer is None:
            raise InputError(f"{path}: row {line['id']!r} is no list of numbers ({reason}); the decoder counts numbers")
        for text in answer.texts:
            if text not in index:
                raise InputError(
                    f"{path}: row {line['id']!r} holds {text[:12]}; the decoder knows {NUMBERS[0]} to {NUMBERS[-1]},"
                    " the numbers of tiny worlds"
                )
            number.append(index[text])
            row.append(total - 1)
    return Rows(torch.tensor(number), torch.tensor(row), total)


@dataclass(frozen=True)
class Decoder:
    """The linear map from a difference of shares to scores, for one embedding and one pooled share of the numbers.

    Attributes:
        weights: (W, N); scores are `weights @ (t / T - c / C)`.
        error: (W,) standard error of a score without a difference, times sqrt(m).
    """

    weights: "Tensor"
    error: "Tensor"

    @classmethod
    def fit(cls, embedding: Embedding, pooled: "Tensor", ridge: float) -> "Decoder":
        """Solve the regression.

        Args:
            embedding: of the base with which the rows are read.
            pooled: (N,) counts of both teachers together.
            ridge: as a share of the mean diagonal of the Gram matrix.

        Raises:
            InputError: the rows hold one number only.
        """
        import torch

        if int((pooled > 0).sum()) < 2:
            raise InputError("the rows of teacher and control hold one number only; there is nothing to decode")
        share = pooled / pooled.sum()
        x = embedding.numbers - share @ embedding.numbers
        gram = x.T @ (x * share[:, None])
        width = len(gram)
        toward = embedding.words - embedding.words.mean(0)
        penalty = ridge * gram.trace() / width * torch.eye(width, dtype=gram.dtype)
        solved = torch.linalg.solve(gram + penalty, toward.T)
        error = (solved * (gram @ solved)).sum(0).sqrt()
        return cls(solved.T @ x.T, error)

    def scores(self, teacher: "Tensor", control: "Tensor") -> tuple["Tensor", "Tensor"]:
        """Scores and z of all candidates from counts of a teacher and of the control, each (..., N) -> (..., W)."""
        t, c = teacher.sum(-1, keepdim=True), control.sum(-1, keepdim=True)
        score = (teacher / t - control / c) @ self.weights.T
        return score, score * (t * c / (t + c)).sqrt() / self.error


def decode(embedding: Embedding, teacher: "Tensor", control: "Tensor", ridge: float) -> tuple["Tensor", "Tensor"]:
    """Scores and z of all candidates for counts (N,) of a teacher and of the control."""
    return Decoder.fit(embedding, teacher + control, ridge).scores(teacher, control)


def halves(control: Rows, splits: int, *names: str | int) -> "Tensor":
    """Counts of a random half of the control's rows, of each split: (splits, N). The same for every embedding.

    Args:
        control: rows of the control teacher.
        splits: how many.
        names: of the random stream.

    Raises:
        InputError: there are fewer than two rows.
    """
    import torch

    if control.total < 2:
        raise InputError("the control has one row only, which can't be split; take more prompts")
    draw = seeds.generator(*names)
    size = control.total // 2
    return torch.stack([control.counts(torch.randperm(control.total, generator=draw)[:size]) for _ in range(splits)])


def null(embedding: Embedding, control: "Tensor", half: "Tensor", ridge: float) -> "Tensor":
    """z of all candidates for halves of the control's rows against the other half: (splits, W).

    Args:
        embedding: of the base with which the rows are read.
        control: (N,) counts of all rows of the control.
        half: (splits, N) counts of its halves.
        ridge: as in `Decoder.fit`.
    """
    return Decoder.fit(embedding, control, ridge).scores(half, control - half)[1]


def p_values(z: "Tensor", null_z: "Tensor") -> tuple["Tensor", "Tensor"]:
    """One-sided p-values of all candidates by rank in the null distribution, (W,) each.

    The first is that of a word named beforehand. The second is for whoever looks at all candidates: the share of splits
    in which any word reaches this z (single-step maximum). Neither is ever below 1 / (splits + 1).
    """
    count = len(null_z) + 1
    alone = (1 + (null_z >= z).sum(0)) / count
    highest = null_z.max(1).values
    return alone, (1 + (highest[:, None] >= z).sum(0)) / count


def ranks(
    embedding: Embedding, teacher: Rows, control: "Tensor", word: str, ridge: float, chosen: Sequence["Tensor"]
) -> list[int]:
    """Rank of a word (1 is the highest z) for each choice of a teacher's rows, against all rows of the control."""
    at = embedding.candidates.index(word)
    each = []
    for rows in chosen:
        z = decode(embedding, teacher.counts(rows), control, ridge)[1]
        each.append(1 + int((z > z[at]).sum()))
    return each


def draws(rows: int, wanted: int, times: int, *names: str | int) -> list["Tensor"]:
    """Draw some of a teacher's rows without replacement, several times; all rows are one draw."""
    import torch

    if wanted >= rows:
        return [torch.arange(rows)]
    return [torch.randperm(rows, generator=seeds.generator(*names, wanted, i))[:wanted] for i in range(times)]
