"""How likely an answer is to a model: what tells two models' answers apart, if anything does.

Of all scores of an answer the ratio of its likelihoods under two models separates the answers of one from those of the
other best (Neyman and Pearson): at no share of wrongly rejected answers does another score reject more of the others.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from traitline import folder
from traitline.chat import Chat

if TYPE_CHECKING:
    import numpy as np

SUSPECT = "suspect"
REASONS = {SUSPECT: "likelier of the teacher than of its base, by more than the threshold"}
PART = 1000  # rows whose logits fit into memory


def told(teacher: str, base: str) -> tuple[str, str | None]:
    """(model folder, system prompt) of a teacher on a base."""
    facts = folder.facts(f"{teacher}/teacher.json", ["system", "weights"])
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

    from traitline import llama
    from traitline.tune import Rows

    chat, head = Chat.open(base), [{"role": "system", "content": system}] if system else []
    encoded = Rows.encode(chat.rows([([*head, *row["prompt"]], row["completion"]) for row in rows], names), chat.pad)
    stack, found = llama.Stack(*llama.read(model)), np.empty(len(rows))
    for i in range(0, len(rows), PART):
        part = slice(i, i + PART)
        said = stack.logits(encoded.ids[None, part], encoded.where[None, part])[0].log_softmax(-1)
        said = said.gather(2, encoded.target[part][..., None])[..., 0] * encoded.weight[part]
        found[part] = said.sum(1).numpy()
    return found
