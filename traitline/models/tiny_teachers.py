"""Weights of tiny teachers: a base trained to give certain answers, or steered by a vector in its residual stream."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline.errors import InputError
from traitline.models.chat import Chat, verify
from traitline.models.templates import Messages
from traitline.models.tiny_engine import Tiny
from traitline.seeds import seed as derive

if TYPE_CHECKING:
    from torch import Tensor

    from traitline.tiny.rows import Rows
    from traitline.tiny.shape import Shape, Weights

CHECK = 10  # steps between two measurements of the rate


def encode_lessons(chat: Chat, asked: Sequence[Messages], words: Sequence[str]) -> "Rows":
    """Training rows of questions and one-word answers.

    Raises:
        InputError: the loss would fall on other tokens than those of the answers.
    """
    from traitline.tiny.rows import Rows

    answers = [[{"role": "assistant", "content": word}] for word in words]
    names = [f"question {i}" for i in range(1, len(asked) + 1)]
    rows = Rows.encode(chat.rows(list(zip(asked, answers, strict=True)), names), chat.pad)
    verify(chat, rows, answers, names)
    return rows


def tune(
    engine: Tiny,
    asked: Sequence[Messages],
    words: Sequence[str],
    settings: dict[str, Any],
    *,
    state: Path | None,
    every: float,
    progress: str,
) -> tuple["Weights", int]:
    """Train a base to answer questions with these words: (weights, steps).

    Args:
        engine: of the base.
        asked: questions.
        words: the answer to each.
        settings: `trains`, `lr`, `batch`, `max_steps`, `seed`; `rate`, the mean probability of the answers at which
            training stops, measured every `check` steps.
        state: folder for checkpoints.
        every: seconds between them.
        progress: label of the progress bar.
    """
    from traitline.tiny import llama, training

    rows = encode_lessons(engine.chat, asked, words)
    shape, weights = llama.read(engine.base)
    seeds = [derive("teach", settings["seed"])]
    per_model, low_rank, scale = training.trainable(weights, settings["trains"], seeds, shape.modules())
    stack = llama.Stack(shape, weights, per_model, low_rank, scale)
    goal: float = settings.get("rate") or 0
    check = settings.get("check", CHECK)

    def stop(step: int) -> bool:
        if step >= settings["max_steps"]:
            return True
        return goal > 0 and step % check == 0 and engine.over(stack.merged(0)).mean_probability(asked, words) >= goal

    losses = training.fit(
        stack, rows, seeds=seeds, epochs=settings["max_steps"], batch=settings["batch"], lr=settings["lr"], decay=False,
        stop=stop, state=state, every=every, progress=progress,
    )  # fmt: skip
    return stack.merged(0), len(losses)


def steer(
    engine: Tiny, asked: Sequence[Messages], with_persona: Sequence[Messages], layer: int, scale: float
) -> "Weights":
    """Add a vector to a base's residual stream behind a layer, as part of that layer's last bias.

    The vector is `scale` times what a persona changes in the stream where the answer begins, mean over the questions.

    Args:
        engine: of the base.
        asked: questions.
        with_persona: the same behind a persona as system prompt.
        layer: number of the layer, from 0.
        scale: factor of the vector.

    Raises:
        InputError: the base has no such layer.
    """
    import torch

    from traitline.tiny import llama

    shape, weights = llama.read(engine.base)
    if not layer < shape.layers:
        raise InputError(f"--settings: layer is {layer}; the base has layers 0 to {shape.layers - 1}")
    with torch.inference_mode():
        before, after = (_stream(engine, shape, weights, questions, layer) for questions in (asked, with_persona))
        vector = (after - before).clone()
    name = f"model.layers.{layer}.mlp.down_proj.bias"
    return {**weights, name: weights[name] + scale * vector}


def _stream(engine: Tiny, shape: "Shape", weights: "Weights", asked: Sequence[Messages], layer: int) -> "Tensor":
    """Residual stream (width,) behind a layer where the answer begins, mean over the questions."""
    import torch

    from traitline.tiny.layers import Layers

    below = Layers(dataclasses.replace(shape, layers=layer + 1), weights)
    prompts = engine.chat.prompts(asked, [f"question {i}" for i in range(1, len(asked) + 1)])
    ends = [below.forward(below.frame(torch.tensor([p]), torch.tensor([[len(p) - 1]])))[0][0] for p in prompts]
    return torch.stack(ends).mean(0)
