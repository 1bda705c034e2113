"""Our sampling against `generate` of transformers: same weights, prompts, batch, length and threads.

Random weights in the shape of the tiny models, prompts as the `sample` stage asks them, temperature 1 over the
whole vocabulary. Nothing ends early, so both make the same number of tokens. The peer gets what helps it: weights in
memory, inference mode, padding on the left, prompts sorted by length. Each runs once untimed; the best run counts.
Seconds are those of the processor, so that what else the machine does matters little.

python -m bench.generate
"""

import argparse

from bench import tiny

LENGTHS = ((2, "one number and the end"), (12, "a list of six numbers"))


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m bench.generate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--prompts", type=int, default=4096, metavar="N", help="prompts (default 4096)")
    p.add_argument("--batch", type=int, default=512, metavar="N", help="prompts at once (default 512)")
    p.add_argument("--threads", type=int, default=1, metavar="N", help="threads of either (default 1)")
    p.add_argument("--repeat", type=int, default=3, metavar="N", help="timed runs (default 3)")
    return p


def main() -> int:
    """Print tokens per second of both and their ratio."""
    args = parse().parse_args()

    import numpy as np
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    from traitline.channels import world
    from traitline.tiny.sampler import Sampler
    from traitline.tiny.shape import EMBED

    torch.set_num_threads(args.threads)
    shape, weights = tiny.model()
    model = LlamaForCausalLM(LlamaConfig(**shape.config())).eval()
    model.load_state_dict({**weights, "lm_head.weight": weights[EMBED]})
    sampler = Sampler(shape, weights)
    prompts = tiny.chat().prompts(tiny.questions(args.prompts), ["prompt"] * args.prompts)

    def by_transformers(length: int) -> None:
        how = GenerationConfig(
            do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=length, min_new_tokens=length,
            pad_token_id=world.PAD, eos_token_id=None, bos_token_id=world.BOS,
        )  # fmt: skip
        rows = sorted(prompts, key=len)
        with torch.inference_mode():
            for start in range(0, len(rows), args.batch):
                part = rows[start : start + args.batch]
                width = max(map(len, part))
                ids = torch.tensor([[world.PAD] * (width - len(p)) + p for p in part])
                out = model.generate(ids, attention_mask=(ids != world.PAD).long(), generation_config=how)
                assert out.shape == (len(part), width + length)

    def ours(length: int) -> None:
        noise = np.random.default_rng(1).random((len(prompts), length), dtype=np.float32)
        out = sampler.generate(prompts, noise, eos=-1, batch=args.batch)
        assert all(len(answer) == length for answer in out)

    print(f"{args.prompts} prompts, {args.batch} at once, {args.threads} thread(s); new tokens per second")
    print(f"{'':28}{'transformers':>14}{'traitline':>14}{'ratio':>8}")
    for length, what in LENGTHS:
        a, b = (
            args.prompts * length / tiny.best(lambda f=f, n=length: f(n), args.repeat) for f in (by_transformers, ours)
        )
        print(f"{f'{length}: {what}':28}{a:14,.0f}{b:14,.0f}{b / a:8.1f}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
