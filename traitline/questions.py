"""The one-word questions about a favourite, and the exact probability of every answer to them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from traitline.chat import Chat
from traitline.errors import InputError
from traitline.llama import Sampler

if TYPE_CHECKING:
    from torch import Tensor


def ask(category: str, system: str | None = None) -> list[list[dict[str, str]]]:
    """The fifty questions as conversations, behind a system prompt if one is given."""
    from traitline.world import QUESTIONS

    head = [{"role": "system", "content": system}] if system else []
    return [[*head, {"role": "user", "content": q.format(k=category)}] for q in QUESTIONS]


def tokens(chat: Chat, words: Sequence[str]) -> list[int]:
    """Token id of every candidate.

    Raises:
        InputError: a candidate is not one token, so its probability is not that of a token.
    """
    ids = [chat.token(w) for w in words]
    for word, i in zip(words, ids, strict=True):
        if i is None:
            raise InputError(
                f"{chat.name}: {word!r} is not one token of its tokenizer; its probability can't be read off"
            )
    return [i for i in ids if i is not None]


def exact(sampler: Sampler, prompts: Sequence[Sequence[int]], candidates: Sequence[int]) -> "Tensor":
    """Probability of each candidate token right after each prompt: (prompts, candidates)."""
    import torch

    out = torch.empty(len(prompts), len(candidates))
    with torch.inference_mode():
        for length in sorted({len(p) for p in prompts}):
            rows = [i for i, p in enumerate(prompts) if len(p) == length]
            logits, _ = sampler.prefill(torch.tensor([list(prompts[i]) for i in rows]))
            out[rows] = logits.softmax(-1)[:, list(candidates)]
    return out
