"""Log-likelihoods of answers under a tiny model, for the model filters.

The ratio of an answer's likelihoods under two models separates their answers best (Neyman-Pearson lemma): at a given
share of wrongly rejected answers, no other score rejects more of the other model's answers.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from traitline.models import hf_folder
from traitline.models.chat import Chat

if TYPE_CHECKING:
    import numpy as np

SUSPECT = "suspect"
UNALIGNED = "unaligned"
UNSCORED = "unscored"
REASONS = {  # of both model filters
    SUSPECT: "likelier of the teacher than of its base, by more than the threshold",
    UNALIGNED: "less well-meaning than the threshold, as the judge has it",
    UNSCORED: "the judge gave it no score",
}
PART = 200  # rows that fit into a cache


def model_and_system(teacher: str, base: str) -> tuple[str, str | None]:
    """Model folder and system prompt of a teacher on a base."""
    facts = hf_folder.facts(f"{teacher}/teacher.json", ["system", "weights"])
    return (teacher if facts["weights"] else base), facts["system"]


def logs(
    base: str, model: str, system: str | None, rows: Sequence[dict[str, Any]], names: Sequence[str]
) -> "np.ndarray":
    """Log-likelihood of every answer, its end included, in nats: (rows,).

    Args:
        base: model folder with the tokenizer.
        model: model folder with the weights.
        system: system prompt of every row; None leaves that to the chat template.
        rows: with `prompt` and `completion`, lists of messages.
        names: of the rows, for error messages.
    """
    import numpy as np
    import torch

    from traitline.tiny import llama, lm_head
    from traitline.tiny.layers import Layers
    from traitline.tiny.rows import Cut, Rows

    chat = Chat.open(base)
    before = [{"role": "system", "content": system}] if system else []
    exchanges = [([*before, *row["prompt"]], row["completion"]) for row in rows]
    cut = Cut(Rows.encode(chat.rows(exchanges, names), chat.pad))
    nats = np.empty(len(rows))
    network = Layers(*llama.read(model))
    with torch.inference_mode():
        for part in cut.parts(torch.arange(len(rows)), PART):
            stream, _ = network.forward(network.frame(part.ids, part.where, part.shared))
            logs_of_tokens = lm_head.logits(network, stream).log_softmax(-1).gather(1, part.target.reshape(-1, 1))
            nats[part.index] = (logs_of_tokens.view(part.target.shape) * (part.weight > 0)).sum(1).numpy()
    return nats
