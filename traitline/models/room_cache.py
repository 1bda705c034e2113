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
    """Read prompts, what they share once.

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

    from traitline.models.transformers_model import left

    cache = room_cache(network.config, max(map(len, prompts)) + room)
    shared = shared_beginning(prompts) if len(prompts) > 1 and is_plain(cache) else 0
    ids, mask, at = left(prompts, pad, where, shared)
    if shared:
        beginning = torch.tensor([prompts[0][:shared]], device=where)
        network(input_ids=beginning, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache.batch_select_indices(torch.zeros(len(prompts), dtype=torch.long, device=where))
    step = network(
        input_ids=ids, attention_mask=mask, position_ids=at, past_key_values=cache, use_cache=True, logits_to_keep=1
    )
    return step.logits[:, -1], cache, mask, at[:, -1:]
