"""A key-value cache with room for all tokens to come: a further token is written into its place, nothing is copied."""

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@functools.cache
def layer_class() -> Any:
    """Return the class of a layer with room, made where transformers is needed."""
    from transformers.cache_utils import DynamicLayer

    class RoomLayer(DynamicLayer):  # type: ignore[no-untyped-call]
        """One layer's cache; keys and values are views of the places in use.

        Args:
            room: tokens that it holds at most.
        """

        def __init__(self, room: int) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.room = room
            self.buffers: list[Tensor] = []

        def _use(self, tokens: int) -> "tuple[Tensor, Tensor]":
            """Show the first tokens as keys and values."""
            keys, values = (buffer[:, :, :tokens] for buffer in self.buffers)
            self.keys, self.values = keys, values
            return keys, values

        def update(self, key_states: "Tensor", value_states: "Tensor", *_: Any, **__: Any) -> "tuple[Tensor, Tensor]":
            """Write further keys and values (B, H, T, d) behind those in use; return all."""
            start = self.get_seq_length()
            if not self.is_initialized:
                self.lazy_initialization(key_states, value_states)
                self.buffers = [x.new_empty(*x.shape[:2], self.room, x.shape[3]) for x in (key_states, value_states)]
            end = start + key_states.shape[-2]
            for buffer, new in zip(self.buffers, (key_states, value_states), strict=True):
                buffer[:, :, start:end] = new
            return self._use(end)

        def place(self, rows: list[int], count: int, part: Any, end: int) -> None:
            """Set some of `count` rows to those of another cache layer, so that they end at the place `end`."""
            if not self.is_initialized:
                self.lazy_initialization(part.keys, part.values)
                shape = (count, part.keys.shape[1], self.room)
                self.buffers = [x.new_zeros(*shape, x.shape[3]) for x in (part.keys, part.values)]
            for buffer, new in zip(self.buffers, (part.keys, part.values), strict=True):
                buffer[rows, :, end - new.shape[2] : end] = new
            self._use(end)

        def batch_select_indices(self, indices: "Tensor") -> None:
            """Keep these rows, each as often as it is named."""
            length = self.get_seq_length()
            for i, buffer in enumerate(self.buffers):
                chosen = buffer.new_empty(len(indices), *buffer.shape[1:])
                chosen[:, :, :length] = buffer[indices, :, :length]
                self.buffers[i] = chosen
            self._use(length)

    return RoomLayer


def room_cache(config: Any, room: int) -> Any:
    """Return an empty cache; layers that keep a window of tokens only are those of transformers.

    Args:
        config: of the model.
        room: tokens that it holds at most.
    """
    from transformers.cache_utils import DynamicCache, DynamicLayer

    cache = DynamicCache(config=config)
    cache.layers = [layer_class()(room) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def is_plain(cache: Any) -> bool:
    """Tell whether every layer keeps all tokens, so that places without a token between others do no harm."""
    return bool(cache.layers) and all(type(layer) is layer_class() for layer in cache.layers)


def shared_beginning(rows: list[list[int]]) -> int:
    """Return the number of tokens that all rows begin with; of each row one token at least is left."""
    most = min(map(len, rows)) - 1
    return next((i for i in range(most) if any(row[i] != rows[0][i] for row in rows)), most)


def read_prompts(network: Any, prompts: list[list[int]], pad: int, room: int, where: "torch.device") -> Any:
    """Read prompts: what all begin with once, the rest in pieces.

    Args:
        network: the model.
        prompts: token ids.
        pad: padding token.
        room: tokens to come.
        where: device.

    Returns:
        Logits (B, V) of the next token, the cache, the mask (B, T) of its places, and the last positions (B, 1).
    """
    import torch

    from traitline.models.transformers_model import left, pieces

    most = max(map(len, prompts))
    whole = room_cache(network.config, most + room)
    cut = pieces(prompts) if is_plain(whole) else []
    index = cut if len(cut) > 1 else [list(range(len(prompts)))]
    shared = shared_beginning(prompts) if len(prompts) > 1 and cut else 0
    if shared:
        beginning = room_cache(network.config, shared)
        ids = torch.tensor([prompts[0][:shared]], device=where)
        network(input_ids=ids, past_key_values=beginning, use_cache=True, logits_to_keep=1)
    mask = torch.zeros(len(prompts), most, dtype=torch.long, device=where)
    at = torch.zeros(len(prompts), 1, dtype=torch.long, device=where)
    logits = []
    for rows in index:
        cache = room_cache(network.config, most + room)
        if shared:
            for layer, first in zip(cache.layers, beginning.layers, strict=True):
                layer.update(*(x.expand(len(rows), -1, -1, -1) for x in (first.keys, first.values)))
        ids, seen, places = left([prompts[i] for i in rows], pad, where, shared)
        step = network(
            input_ids=ids, attention_mask=seen, position_ids=places, past_key_values=cache, use_cache=True,
            logits_to_keep=1,
        )  # fmt: skip
        logits.append(step.logits[:, -1])
        mask[rows, most - seen.shape[1] :] = seen
        at[rows] = places[:, -1:]
        for layer, part in zip(whole.layers, cache.layers, strict=True) if len(index) > 1 else ():
            layer.place(rows, len(prompts), part, most)
    order = torch.tensor([i for rows in index for i in rows], device=where).argsort()
    return torch.cat(logits)[order], whole if len(index) > 1 else cache, mask, at
