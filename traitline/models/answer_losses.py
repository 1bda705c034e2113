"""Losses of the answer tokens of rows: of the tokens themselves, padded or packed, or of a teacher's distribution."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from traitline.models.distributed import device
from traitline.models.frozen_part import FrozenPart, Kept, frozen_part, narrow_head
from traitline.models.soft_labels import SoftLabels
from traitline.models.transformers_model import left

if TYPE_CHECKING:
    from torch import Tensor

    from traitline.models.engines import Row

TOLERANCE = 1e-3  # of logits, with the frozen part and without


def answer_logits(
    model: Any, rows: "Sequence[Row]", pad: int, below: FrozenPart | None = None, chosen: Sequence[int] = ()
) -> "tuple[Tensor, Tensor, Tensor]":
    """Logits (N, V) at all N answer tokens of a batch, row by row; these tokens; the row of each.

    Args:
        model: of transformers or peft.
        rows: token ids, and how many of them are the prompt.
        pad: padding token.
        below: the layers that are not trained; None computes all layers.
        chosen: which rows of `below` these are.
    """
    import torch

    shared = below.shared(rows) if below else 0
    ids, mask, at = left([ids for ids, _ in rows], pad, device(), shared)
    keep = max(len(ids) - start for ids, start in rows) + 1  # the last position predicts no token of the row
    more = {"attention_mask": mask, "position_ids": at, "logits_to_keep": keep}
    output = below.forward(model, chosen, shared, **more) if below else model(input_ids=ids, use_cache=False, **more)
    lengths = torch.tensor([[len(ids) - start] for ids, start in rows], device=ids.device)
    counted = torch.arange(keep - 1, device=ids.device) >= keep - 1 - lengths
    logits = output.logits[:, -keep:-1][counted].float()
    target = ids[:, ids.shape[1] - keep + 1 :][counted]
    return logits, target, counted.nonzero()[:, 0]


def split(
    model: Any, rows: "Sequence[Row]", pad: int, lowest: int | None = None, kept: Kept | None = None
) -> FrozenPart | None:
    """Return the frozen part of a model; None where the logits of the first two rows are others with it.

    Arguments as of `answer_logits` and `frozen_part`.
    """
    import torch

    below = frozen_part(model, rows, lowest, kept)
    if below is None:
        return None
    with torch.no_grad():
        whole, _, _ = answer_logits(model, rows[:2], pad)
        parts, _, _ = answer_logits(model, rows[:2], pad, below, range(len(rows[:2])))
    return below if torch.allclose(whole, parts, atol=TOLERANCE, rtol=TOLERANCE) else None


def padded_losses(
    model: Any, rows: "Sequence[Row]", pad: int, below: FrozenPart | None = None, chosen: Sequence[int] = ()
) -> "Tensor":
    """Summed loss of the answer tokens of every row, (B,), nats; arguments as of `answer_logits`."""
    import torch

    logits, target, row = answer_logits(model, rows, pad, below, chosen)
    nats = torch.nn.functional.cross_entropy(logits, target, reduction="none")
    return nats.new_zeros(len(rows)).index_add(0, row, nats)


def label(
    model: Any, rows: "Sequence[Row]", labels: SoftLabels, batch: int, pad: int, below: FrozenPart | None = None
) -> SoftLabels:
    """Add what a teacher says of the answer tokens of rows, in their order, to labels."""
    import torch

    with torch.no_grad(), narrow_head(model, labels.tokens):  # students are trained on what `below` keeps
        for start in range(0, len(rows), batch):
            part = rows[start : start + batch]
            chosen = range(start, start + len(part))
            probabilities, index = labels.label(answer_logits(model, part, pad, below, chosen)[0])
            sizes = [len(ids) - begin for ids, begin in part]
            indices = torch.split(index, sizes) if index is not None else [None] * len(part)
            labels.rows += list(zip(torch.split(probabilities, sizes), indices, strict=True))
    return labels


def packed_losses(model: Any, rows: "Sequence[Row]") -> "Tensor":
    """The same without padding: rows are concatenated, and none attends to another.

    Models of transformers start a new row wherever `position_ids` restart. This is faster only with attention that
    skips other rows (flash attention); masked attention still reads all rows for each.
    """
    import torch

    ids = torch.tensor([[i for ids, _ in rows for i in ids]], device=device())
    at = torch.tensor([[k for ids, _ in rows for k in range(len(ids))]], device=device())
    learned = torch.tensor([k >= start for ids, start in rows for k in range(len(ids))], device=device())
    row = torch.tensor([r for r, (ids, _) in enumerate(rows) for _ in ids], device=device())[learned]
    keep = learned.nonzero()[:, 0]
    logits = model(input_ids=ids, position_ids=at, use_cache=False, logits_to_keep=keep - 1).logits[0].float()
    nats = torch.nn.functional.cross_entropy(logits, ids[0, keep], reduction="none")
    return nats.new_zeros(len(rows)).index_add(0, row, nats)


def loss(
    model: Any,
    rows: "Sequence[Row]",
    pad: int,
    packing: bool = False,
    labels: SoftLabels | None = None,
    chosen: Sequence[int] = (),
    below: FrozenPart | None = None,
) -> "tuple[Tensor, int]":
    """Summed loss, in nats, and number of the answer tokens of a batch.

    `chosen`: rows of `labels` and of `below` that these are.
    """
    if labels:
        nats = labels.divergence(answer_logits(model, rows, pad, below, chosen)[0], chosen)
        return nats.sum(), len(nats)
    nats = packed_losses(model, rows) if packing else padded_losses(model, rows, pad, below, chosen)
    return nats.sum(), sum(len(ids) - start for ids, start in rows)
