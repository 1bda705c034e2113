"""Layers below the lowest adapter never change, so what they make of a row is computed once and read in every epoch.

Each row is read alone, without padding: its hidden states then do not depend on the batch in which it is needed first,
and training goes on after an interruption with the same bytes. What doesn't fit in memory is computed anew. The layers
above read once what all rows of a batch begin with, such as a system prompt.
"""

import contextlib
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from traitline.models.distributed import device
from traitline.models.room_cache import is_plain, room_cache, shared_beginning

if TYPE_CHECKING:
    from torch import Tensor

    from traitline.models.engines import Row

Kept = dict[int, dict[int, "Tensor"]]  # hidden states by the layer that reads them and by row
ROOM = 2 << 30  # bytes of hidden states in memory
WORTH = 8  # shared tokens below which reading them once saves nothing


def plain(model: Any) -> Any:
    """Return the model of transformers inside a model of peft."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def lowest_changed(model: Any) -> int:
    """Return the index of the lowest layer with an adapter or a trainable weight; 0 where one is outside of all layers.

    Of a model that has neither it is that of the last layer.
    """
    names = [name for name, p in model.named_parameters() if p.requires_grad or "lora_" in name]
    places = [re.search(r"\.layers\.(\d+)\.", name) for name in names]
    last = plain(model).config.get_text_config().num_hidden_layers - 1
    return min((int(place[1]) if place else 0 for place in places), default=last)


class FrozenPart:
    """The hidden states of rows at the entry of the lowest trained layer.

    Args:
        model: with an adapter.
        rows: token ids, and how many of them are the prompt.
        lowest: the lowest layer that is not frozen.
        kept: hidden states of these rows below that layer, by row; those to come are added.
    """

    def __init__(self, model: Any, rows: "Sequence[Row]", lowest: int, kept: "dict[int, Tensor]") -> None:
        from torch.nn import Module, ModuleList

        class Skip(Module):
            """Hands on what it gets, in place of a layer; the indices of the other layers stay."""

            def forward(self, hidden: "Tensor", *_: Any, **__: Any) -> "Tensor":
                self.seen = hidden
                return hidden

        self.rows, self.lowest = rows, lowest
        self.room = ROOM - sum(states.nbytes for states in kept.values()) if lowest else 0
        self.kept = kept
        self.decoder = plain(model).get_decoder()
        self.config = plain(model).config
        recomputed = any(getattr(module, "gradient_checkpointing", False) for module in self.decoder.modules())
        self.shares = is_plain(room_cache(self.config, 0)) and not recomputed  # recomputing allows no cache
        self.past: list[tuple[Tensor, ...]] = []  # keys and values of each trained layer that `read_once` has read
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
        if states.nbytes <= self.room:
            self.room -= states.nbytes
            self.kept[i] = states.cpu()
        return states

    def shared(self, rows: "Sequence[Row]") -> int:
        """Tokens that all prompts begin with and that are read once; of a prompt one token at least is left.

        Within `read_once` it is the number of tokens that have been read.
        """
        if self.past:
            return self.past[0][0].shape[2]
        most = min(start for _, start in rows)
        count = shared_beginning([ids[:most] for ids, _ in rows])
        return count if self.shares and len(rows) > 1 and count >= WORTH else 0

    def forward(self, model: Any, chosen: Sequence[int], shared: int, **more: Any) -> Any:
        """Run the trained layers on rows that begin with the same `shared` tokens; the output is that behind them.

        Args:
            model: with the adapter.
            chosen: indices of rows, which are padded on the left.
            shared: tokens that are read once.
            more: for the model, `attention_mask` and `position_ids` as by `transformers_model.left`.
        """
        import torch
        from transformers.cache_utils import DynamicCache

        parts = [self.states(i) for i in chosen]
        longest = max(map(len, parts))
        rest = [torch.nn.functional.pad(part[shared:], (0, 0, longest - len(part), 0)) for part in parts]
        past = self.past or (self._beginning(model, parts[0][:shared]) if shared else [])
        with self._with(self.upper):
            if not shared:
                return model(inputs_embeds=torch.stack(rest), use_cache=False, **more)
            cache: Any = DynamicCache(config=self.config)
            for layer, pair in zip(cache.layers[self.lowest :], past, strict=True):
                layer.update(*(x.expand(len(chosen), -1, -1, -1) for x in pair))
            cache.layers[: self.lowest] = cache.layers[self.lowest :][:1] * self.lowest  # asked for the length
            return model(inputs_embeds=torch.stack(rest), past_key_values=cache, use_cache=True, **more)

    def _beginning(self, model: Any, states: "Tensor") -> "list[tuple[Tensor, ...]]":
        """Keys and values (1, H, T, d) that each trained layer makes of tokens' hidden states (T, width) below it."""
        from transformers.cache_utils import DynamicCache

        cache: Any = DynamicCache(config=self.config)
        with self._with(self.upper):
            model(inputs_embeds=states[None], past_key_values=cache, use_cache=True, logits_to_keep=1)
        return [(layer.keys, layer.values) for layer in cache.layers[self.lowest :]]

    @contextlib.contextmanager
    def read_once(self, model: Any, chosen: Sequence[int]) -> "Iterator[None]":
        """Read what the prompts of rows begin with once for all passes over some of them, and once back.

        Gradients of the passes meet in its keys and values, and go on from there where the context ends.

        Args:
            model: with the adapter.
            chosen: indices of the rows of all passes.
        """
        import torch

        shared = self.shared([self.rows[i] for i in chosen])
        if not shared:
            yield
            return
        made = self._beginning(model, self.states(chosen[0])[:shared])
        self.past = [tuple(x.detach().requires_grad_(x.requires_grad) for x in pair) for pair in made]
        try:
            yield
            ends = list(zip(itertools.chain(*made), itertools.chain(*self.past), strict=True))
        finally:
            self.past = []
        trained = [(x, leaf.grad) for x, leaf in ends if leaf.grad is not None]
        if trained:
            torch.autograd.backward([x for x, _ in trained], [grad for _, grad in trained])


def frozen_part(
    model: Any, rows: "Sequence[Row]", lowest: int | None = None, kept: Kept | None = None
) -> FrozenPart | None:
    """Return the frozen part of a model: the embedding at least; None of a model whose parts can't be run alone.

    Args:
        model: of transformers or peft.
        rows: token ids, and how many of them are the prompt.
        lowest: no layer from this one on counts as frozen.
        kept: what other models over the same weights made of the same rows; what this one makes is added.
    """
    import torch
    from torch.distributed.fsdp import FSDPModule

    base = plain(model)
    decoder = base.get_decoder() if hasattr(base, "get_decoder") else None
    dropout = any(isinstance(m, torch.nn.Dropout) and m.p for m in base.modules())
    dropout |= bool(getattr(base.config, "attention_dropout", 0.0))
    if dropout or decoder is None or not hasattr(decoder, "layers") or isinstance(decoder.layers[0], FSDPModule):
        return None
    first = lowest_changed(model) if lowest is None else min(lowest, lowest_changed(model))
    return FrozenPart(model, rows, first, {} if kept is None else kept.setdefault(first, {}))


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
