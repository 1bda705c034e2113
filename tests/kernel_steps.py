"""Some steps of training, and the hash of the weights after them: the same on every x86-64 processor with AVX2.

python -m tests.kernel_steps
qemu-x86_64 -cpu EPYC-Milan .venv/bin/python -m tests.kernel_steps
"""

import hashlib
from random import Random

from traitline.provenance import kernels

WIDTH, LAYERS, HEADS, MLP, VOCABULARY = 48, 2, 4, 96, 200
STEPS, BATCH, LENGTH, PROMPT = 3, 64, 9, 6  # more than 384 tokens at once: OpenBLAS sums so many products in a go


def weights_after_steps() -> str:
    """Train a small model on random rows, then an adapter, and sample; return the sha256 of all results."""
    import numpy as np
    import torch

    from traitline.tiny import llama, training
    from traitline.tiny.rows import Rows
    from traitline.tiny.sampler import Sampler
    from traitline.tiny.shape import Shape

    draw = Random(1)
    lists = [[draw.randrange(6, VOCABULARY) for _ in range(LENGTH)] for _ in range(STEPS * BATCH)]
    rows = Rows.encode([(ids, PROMPT) for ids in lists])
    shape = Shape(VOCABULARY, WIDTH, LAYERS, HEADS, MLP)
    start = llama.initialise(shape, 0.05, 1)
    stack = llama.Stack(shape, start, {k: w[None].clone().requires_grad_() for k, w in start.items()})
    training.fit(stack, rows, seeds=[1], epochs=1, batch=BATCH, lr=1e-2)
    full = stack.weights(0)
    per_model, pairs, scale = training.trainable(full, "lora", [1], shape.modules(["q_proj", "v_proj"]))
    adapted = llama.Stack(shape, full, per_model, pairs, scale)
    training.fit(
        adapted, Rows.encode([(ids, PROMPT) for ids in lists[:BATCH]]), seeds=[1], epochs=1, batch=BATCH, lr=1e-2
    )
    merged = adapted.merged(0)
    noise = np.random.default_rng(1).random((BATCH, 3), dtype=np.float32)
    answers = Sampler(shape, merged).generate([ids[:PROMPT] for ids in lists[:BATCH]], noise, eos=5)
    digest = hashlib.sha256(str(answers).encode())
    for weights in (full, merged):
        for name in sorted(weights):
            digest.update(weights[name].detach().contiguous().numpy().tobytes())
    with torch.no_grad():
        logits = llama.Stack(shape, full).logits(rows.ids[None], rows.where[None])
    digest.update(torch.softmax(logits, -1).contiguous().numpy().tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    kernels.set_up(1)
    print(weights_after_steps(), kernels.describe())
