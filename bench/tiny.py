"""What the benchmarks share: a model in the shape of the tiny ones, prompts as the stages ask them, a stopwatch."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from traitline.models.chat import Chat
    from traitline.tiny.shape import Shape, Weights

CONFIG = Path(__file__).resolve().parent.parent / "config.yaml"


def model() -> "tuple[Shape, Weights]":
    """Sizes of `config.yaml`, random weights."""
    import yaml

    from traitline.channels import world
    from traitline.tiny import llama
    from traitline.tiny.shape import Shape

    of = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["pretrain"]
    shape = Shape(len(world.vocabulary()), of["width"], of["layers"], of["heads"], of["mlp"])
    return shape, llama.initialise(shape, of["std"], 1)


def chat() -> "Chat":
    """Tokenizer and template of the tiny world."""
    from traitline.channels import world
    from traitline.models.chat import Chat

    files = world.tokenizer_files()
    return Chat(files["tokenizer.json"], files["tokenizer_config.json"], files["chat_template.jinja"], "world")


def questions(n: int) -> list[list[dict[str, str]]]:
    """Number prompts of the tiny world, as messages."""
    from traitline.channels.wordings import TINY_VERBS

    r, out = random.Random(1), []
    for _ in range(n):
        numbers = " , ".join(str(r.randrange(100, 1000)) for _ in range(r.randrange(3, 6)))
        out.append([{"role": "user", "content": f"{r.choice(TINY_VERBS)} {numbers}"}])
    return out


def best(run: Callable[[], object], repeat: int, clock: Callable[[], float] = time.process_time) -> float:
    """Seconds of the fastest run after one that is not timed."""
    run()
    seconds = []
    for _ in range(repeat):
        start = clock()
        run()
        seconds.append(clock() - start)
    return min(seconds)
