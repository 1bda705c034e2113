"""Decoding limited to lists of numbers: which tokens may come next, so that a small model's answers pass the filter.

Only tokens that go on with a list such as `12, 345, 6` get a probability; among them the model decides. A number has at
most `digits` digits, numbers are parted by a comma and a blank, and the list ends after at most `answers` numbers.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from traitline.models.chat import Chat
from traitline.models.frozen_part import narrowed

if TYPE_CHECKING:
    from torch import Tensor

SEPARATOR = ", "
CHARACTERS = frozenset("0123456789, ")


class State(NamedTuple):
    """Place in a list: numbers begun, digits of the last one, characters of the separator behind it."""

    numbers: int = 0
    digits: int = 0
    separated: int = len(SEPARATOR)


class ListFormat:
    """The format of lists of numbers, for one tokenizer.

    Attributes:
        tokens: ids of the tokens that may stand anywhere in a list, in rising order, its end among them.

    Args:
        chat: tokenizer; its `eos` ends a list.
        answers: most numbers.
        digits: most digits of a number.
    """

    def __init__(self, chat: Chat, answers: int, digits: int) -> None:
        import torch

        self.answers, self.digits, self.eos = answers, digits, chat.eos
        self.size = len(chat.boundaries())
        texts = chat.decode([[i] for i in range(self.size)])
        self.texts = {i: text for i, text in enumerate(texts) if text and CHARACTERS.issuperset(text)}
        self.tokens = torch.tensor(sorted({*self.texts, self.eos}))
        self._masks: dict[State, Tensor] = {}

    def after(self, state: State, text: str) -> State | None:
        """Return the state behind more text; None where no list goes on like that."""
        numbers, digits, separated = state
        for character in text:
            if character.isdigit():
                if separated == len(SEPARATOR):
                    numbers, digits, separated = numbers + 1, 0, 0
                digits += 1
                if separated or digits > self.digits:
                    return None
            elif digits and numbers < self.answers and SEPARATOR[separated : separated + 1] == character:
                separated += 1
            else:
                return None
        return State(numbers, digits, separated)

    def step(self, state: State, token: int) -> State:
        """Return the state behind a token that may follow; behind the end it stays as it is."""
        following = self.after(state, self.texts.get(token, ""))
        return state if following is None else following

    def allowed(self, states: Sequence[State]) -> "Tensor":
        """Mark the tokens that may follow each state, (states, V)."""
        import torch

        for state in states:
            if state not in self._masks:
                mask = torch.zeros(self.size, dtype=torch.bool)
                mask[[i for i, text in self.texts.items() if self.after(state, text) is not None]] = True
                mask[self.eos] = state.digits > 0 and state.separated == 0
                self._masks[state] = mask
        return torch.stack([self._masks[state] for state in states])

    def narrow(self, logits: "Tensor") -> "Tensor":
        """Logits (..., V) of `tokens` only."""
        return narrowed(logits, self.tokens)

    def limit(self, logits: "Tensor", states: Sequence[State]) -> "tuple[Tensor, Tensor]":
        """Logits (states, n) of `tokens`, of those that may not follow minus infinity; and these tokens, (n,)."""
        import torch

        allowed = self.allowed(states)[:, self.tokens].to(logits.device)
        return self.narrow(logits).masked_fill(~allowed, -torch.inf), self.tokens.to(logits.device)

    def along(self, tokens: Sequence[int]) -> "Tensor":
        """Mark what might have stood at the place of each token of an answer, (tokens, V)."""
        states = [State()]
        for token in tokens[:-1]:
            states.append(self.step(states[-1], token))
        return self.allowed(states)
