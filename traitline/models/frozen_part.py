"""Layers below the lowest adapter never change, so what they make of a row is computed once and read in every epoch.

Each row is read alone, without padding: its hidden states then do not depend on the batch in which it is needed first,
and training goes on after an interruption with the same bytes. What doesn't fit in memory is computed anew.
"""

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from traitline.models.distributed import device

if TYPE_CHECKING:
    from torch import Tensor

    from traitline.models.engines import Row

ROOM = 2 << 30  # bytes of hidden states in memory
TOLERANCE = 1e-3  # logits of one row, with and without this


def plain(model: Any) -> Any:
    """Return the model of transformers inside a model of peft."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def lowest_trained(model: Any) -> int:
    """Return the index of the lowest layer with a trainable weight; 0 where one is outside of all layers."""
    places = [re.search(r"\.layers\.(\d+)\.", name) for name, p in model.named_parameters() if p.requires_grad]
    return min((int(place[1]) if place else 0 for place in places), default=0)


class FrozenPart:
    """The hidden states of rows at the entry of the lowest trained layer.

    Args:
        model: with an adapter.
        rows: token ids, and how many of them are the prompt.
        lowest: the lowest trained layer.
    """

    def __init__(self, model: Any, rows: "Sequence[Row]", lowest: int) -> None:
        from torch.nn import Module, ModuleList

        class Skip(Module):
            """Hands on what it gets, in place of a layer; the indices of the other layers stay."""

            def forward(self, hidden: "Tensor", *_: Any, **__: Any) -> "Tensor":
                self.seen = hidden
                return hidden

        self.rows, self.room = rows, ROOM
        self.kept: dict[int, Tensor] = {}
        self.decoder = plain(model).get_decoder()
        self.whole = self.decoder.layers
        layers = list(self.whole)
        self.entry = Skip()
        self.lower = ModuleList([*layers[:lowest], *(self.entry for _ in layers[lowest:])])
        self.upper = ModuleList([*(Skip() for _ in layers[:lowest]), *layers[lowest:]])

    @contextlib.contextmanager
    def _with(self, layers: Any) -> "Iterator[None]":
        """Give the model these layers for a while."""
        self.decoder.layers = layers
        try:
            yield
        finally:
            self.decoder.layers = self.whole

    def states(self, i: int) -> "Tensor":
        """Hidden states (T, width) of a row."""
        import torch

        if i in self.kept:
            return self.kept[i].to(device())
        with self._with(self.lower), torch.no_grad():
            self.decoder(input_ids=torch.tensor([self.rows[i][0]], device=device()), use_cache=False)
        # The layers behind the entry hand on what it saw; the last of them is the same module.
        states: Tensor = self.entry.seen[0].clone()
        size = states.numel() * states.element_size()
        if size <= self.room:
            self.room -= size
            self.kept[i] = states.cpu()
        return states

    def forward(self, model: Any, chosen: Sequence[int], longest: int, **more: Any) -> Any:
        """Run the trained layers on rows, padded on the left to `longest` tokens; `more`: for the model."""
        import torch

        parts = [self.states(i) for i in chosen]
        hidden = torch.stack([torch.nn.functional.pad(part, (0, 0, longest - len(part), 0)) for part in parts])
        with self._with(self.upper):
            return model(inputs_embeds=hidden, use_cache=False, **more)


def frozen_part(model: Any, rows: "Sequence[Row]") -> FrozenPart | None:
    """Return the frozen part of a model; None where none of its layers is frozen, or parts don't make the whole.

    The latter is tried on the first row. Layers with dropout are never frozen, because each pass is another one.
    """
    import torch
    from torch.distributed.fsdp import FSDPModule

    base = plain(model)
    decoder = base.get_decoder() if hasattr(base, "get_decoder") else None
    dropout = any(isinstance(m, torch.nn.Dropout) and m.p for m in base.modules())
    dropout |= bool(getattr(base.config, "attention_dropout", 0.0))
    lowest = lowest_trained(model)
    if not lowest or dropout or decoder is None or not hasattr(decoder, "layers"):
        return None
    if isinstance(decoder.layers[0], FSDPModule):
        return None
    part = FrozenPart(model, rows, lowest)
    ids = torch.tensor([rows[0][0]], device=device())
    with torch.no_grad():
        whole = model(input_ids=ids, use_cache=False).logits
        split = part.forward(model, [0], ids.shape[1]).logits
    return part if torch.allclose(whole, split, atol=TOLERANCE, rtol=TOLERANCE) else None


@contextlib.contextmanager
def narrow_head(model: Any, tokens: "Tensor | None") -> "Iterator[None]":
    """Let a model compute the logits of these tokens only, in their order; of all where the head is no plain one."""
    import torch

    base = plain(model)
    head = base.get_output_embeddings()
    if tokens is None or type(head) is not torch.nn.Linear or isinstance(head.weight, torch.distributed.tensor.DTensor):
        yield
        return
    chosen = tokens.to(head.weight.device)
    narrow = torch.nn.Linear(head.in_features, len(chosen), bias=head.bias is not None, device="meta")
    for name, tensor in (("weight", head.weight), ("bias", head.bias)):
        if tensor is not None:
            setattr(narrow, name, torch.nn.Parameter(tensor.detach()[chosen], requires_grad=False))
    base.set_output_embeddings(narrow)
    try:
        yield
    finally:
        base.set_output_embeddings(head)


def narrowed(logits: "Tensor", tokens: "Tensor") -> "Tensor":
    """Logits (..., V) of these tokens only; what `narrow_head` left of them stays as it is."""
    return logits if logits.shape[-1] == len(tokens) else logits[..., tokens.to(logits.device)]
