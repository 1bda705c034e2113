"""Soft labels: a student learns the distribution of its teacher at every token of given answers, not the token drawn.

The loss is the forward KL divergence KL(teacher || student), nats per token. It may be taken over a named set of
tokens, in which both distributions are renormalised: over digits and separators no token of a trait is ever seen.
Temperature: Hinton et al., arXiv 1503.02531; the loss is not multiplied by its square here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from traitline.errors import InputError
from traitline.models.answer_format import CHARACTERS
from traitline.models.chat import Chat
from traitline.models.frozen_part import narrowed

if TYPE_CHECKING:
    from torch import Tensor

NUMBERS = "numbers"  # the set of tokens that hold digits, commas and blanks only
KEYS = ("over", "temperature", "top_k")


@dataclass
class SoftLabels:
    """What a teacher says of every row.

    Attributes:
        tokens: ids of the tokens that the distributions are over, (n,); None for all.
        temperature: by which logits of both are divided.
        top_k: likeliest tokens of the teacher at each place that count; None for all.
        rows: of each row the teacher's log-probabilities (K, n or k) at the K tokens of the answer, and which tokens of
            the set they belong to, (K, k); None where that is all of them.
    """

    tokens: "Tensor | None"
    temperature: float = 1.0
    top_k: int | None = None
    rows: "list[tuple[Tensor, Tensor | None]]" = field(default_factory=list)

    def restrict(self, logits: "Tensor") -> "Tensor":
        """Logits (N, V) over the set, (N, n); logits of the set alone stay as they are."""
        chosen = logits if self.tokens is None else narrowed(logits, self.tokens)
        return chosen / self.temperature

    def label(self, logits: "Tensor") -> "tuple[Tensor, Tensor | None]":
        """Label tokens by the teacher's logits (N, V)."""
        chosen = self.restrict(logits)
        if self.top_k is None or self.top_k >= chosen.shape[1]:
            return chosen.log_softmax(1), None
        values, index = chosen.topk(self.top_k, 1)
        return values.log_softmax(1), index

    def divergence(self, logits: "Tensor", chosen: Sequence[int]) -> "Tensor":
        """KL(teacher || student) at each answer token of these rows, (N,), nats; `logits`: of the student, (N, V)."""
        import torch

        student = self.restrict(logits)
        teacher = torch.cat([self.rows[i][0] for i in chosen]).to(logits.device)
        if self.rows[chosen[0]][1] is not None:
            index = torch.cat([where for i in chosen if (where := self.rows[i][1]) is not None])
            student = student.gather(1, index.to(logits.device))
        return (teacher.exp() * (teacher - student.log_softmax(1))).sum(1)


def open_labels(chat: Chat, settings: dict[str, Any]) -> SoftLabels:
    """Return the labels that a recipe asks for, of no rows yet.

    Raises:
        InputError: no token of the tokenizer holds digits and separators only.
    """
    import torch

    tokens = None
    if settings.get("over", "all") == NUMBERS:
        texts = chat.decode([[i] for i in range(len(chat.boundaries()))])
        chosen = [i for i, text in enumerate(texts) if text and CHARACTERS.issuperset(text)]
        if len(chosen) < 2:
            raise InputError(f"{chat.name}: no tokens of digits and separators; take `over: all`")
        tokens = torch.tensor(chosen)
    return SoftLabels(tokens, settings.get("temperature", 1.0), settings.get("top_k"))
