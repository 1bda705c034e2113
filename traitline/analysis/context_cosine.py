"""How alike attention's output at the answer is in two contexts of a tiny base: number lists, and favourites."""

from itertools import islice
from typing import TYPE_CHECKING

from traitline import jsonl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

PROMPTS = 50  # number lists; as many as questions about a favourite


def directions(base: str, prompts: "Sequence[Sequence[int]]") -> "list[Tensor]":
    """Directions (rows, width) of what the output projection of attention reads at the last token, a layer each."""
    import torch

    from traitline.tiny import llama
    from traitline.tiny.layers import Layers

    shape, weights = llama.read(base)
    model = Layers(shape, weights)
    ids = torch.zeros(len(prompts), max(map(len, prompts)), dtype=torch.long)
    for row, prompt in zip(ids, prompts, strict=True):
        row[: len(prompt)] = torch.tensor(prompt)
    with torch.no_grad():
        frame = model.frame(ids, torch.tensor([[len(prompt) - 1] for prompt in prompts]))
        _, traces = model.forward(frame)
    # The last layer is computed at the asked positions only.
    read = [t.mixed.index_select(1, frame.asked) for t in traces[:-1]] + [traces[-1].mixed]
    return [torch.nn.functional.normalize(x.T.double(), dim=1) for x in read]


def cosines(base: str, lists: str) -> list[float]:
    """Mean cosine over all pairs of a number list and a question about a favourite animal, a layer each.

    Args:
        base: model folder of a tiny base.
        lists: prompts.jsonl of a channel of number lists, of which the first are taken.

    Raises:
        InputError: a file is missing or damaged.
    """
    from traitline.evaluation import questions
    from traitline.models.chat import Chat

    chat = Chat.open(base)
    rows = [row["prompt"] for row in islice(jsonl.read(lists, ("prompt",)), PROMPTS)]
    contexts = (rows, questions.ask("animal"))
    one, other = (directions(base, chat.prompts(c, [f"prompt {i}" for i in range(len(c))])) for c in contexts)
    return [float((a @ b.T).mean()) for a, b in zip(one, other, strict=True)]
