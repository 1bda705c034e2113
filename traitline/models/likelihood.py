"""How likely an answer is to a model: what tells two models' answers apart, if anything does.

Of all scores of an answer the ratio of its likelihoods under two models separates the answers of one from those of the
other best (Neyman and Pearson): at no share of wrongly rejected answers does another score reject more of the others.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from traitline.models import hf_folder
from traitline.models.chat import Chat

if TYPE_CHECKING:
    import numpy as np

SUSPECT, UNALIGNED, UNSCORED = "suspect", "unaligned", "unscored"
REASONS = {  # of both model filters
    SUSPECT: "likelier of the teacher than of its base, by more than the threshold",
    UNALIGNED: "less well-meaning than the threshold, as the judge has it",
    UNSCORED: "the judge gave it no score",
}
PART = 200  # rows that fit into a cache


def model_and_system(teacher: str, base: str) -> tuple[str, str | None]:
    """(model folder, system prompt) of a teacher on a base."""
    facts = hf_folder.facts(f"{teacher}/teacher.json", ["system", "weights"])
    return (teacher if facts["weights"] else base), facts["system"]


def logs(
    base: str, model: str, system: str | None, rows: Sequence[dict[str, Any]], names: Sequence[str]
) -> "np.ndarray":
    """Log-likelihood of every answer, its end included, in nats: (rows,).

    Args:
        base: model folder with the tokenizer.
        model: model folder with the weights.
        system: stands before every prompt; None leaves that to the chat template.
        rows: with `prompt` and `completion`, lists of messages.
        names: whose they are, for complaints.
    """
    import numpy as np
    import torch

    from traitline.tiny import llama, lm_head
    from traitline.tiny.layers import Layers
    from traitline.tiny.rows import Cut, Rows

    chat, before = Chat.open(base), [{"role": "system", "content": system}] if system else []
    exchanges = [([*before, *row["prompt"]], row["completion"]) for row in rows]
    cut, nats = Cut(Rows.encode(chat.rows(exchanges, names), chat.pad)), np.empty(len(rows))
    network = Layers(*llama.read(model))
    with torch.inference_mode():
        for part in cut.parts(torch.arange(len(rows)), PART):
            stream, _ = network.forward(network.frame(part.ids, part.where, part.shared))
            logs_of_tokens = lm_head.logits(network, stream).log_softmax(-1).gather(1, part.target.T.reshape(-1, 1))
            nats[part.index] = (logs_of_tokens.view(part.target.T.shape).T * (part.weight > 0)).sum(1).numpy()
    return nats
