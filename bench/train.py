"""Our student training against TRL's `SFTTrainer`, and a stack of students against one student at a time.

Random weights in the shape of the tiny models, rows as the tiny study has them: a prompt in the tiny world's
words, an answer of one number; LoRA on the modules of `config.yaml`, float32. Both sides get token ids, learn the
answers only, and have the same rows, batch size, epochs and learning rate. TRL gets what helps it: rows tokenized
beforehand, batches of like length, no logging, no checkpoints, no progress bar. Each runs once untimed; the best run
counts. Seconds are those of the processor, one thread each.

The stack is timed by the clock, which wants a quiet machine, with --threads for either side: `here` in this process,
`jobs` as runs of `scripts.train`, as the workflow has them; `side by side`: as many jobs at once as there are threads.

python -m bench.train
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from bench import tiny

if TYPE_CHECKING:
    from traitline.tiny.rows import Rows

MODULES, RANK, ALPHA, LR = ("q_proj", "v_proj"), 8, 8.0, 1.0e-2


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m bench.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--rows", type=int, default=6000, metavar="N", help="training rows (default 6000)")
    p.add_argument("--epochs", type=int, default=2, metavar="N", help="passes over them (default 2)")
    p.add_argument("--batch", type=int, nargs="+", default=[256, 64], metavar="N", help="rows a step (default 256 64)")
    p.add_argument("--students", type=int, default=5, metavar="N", help="students of the stack (default 5)")
    p.add_argument("--threads", type=int, default=2, metavar="N", help="of the comparison of stacks (default 2)")
    p.add_argument("--repeat", type=int, default=3, metavar="N", help="timed runs (default 3)")
    p.add_argument("--skip", nargs="*", default=[], choices=("trl", "stack"), help="leave a comparison out")
    return p


def examples(n: int) -> "list[tuple[list[dict[str, str]], list[dict[str, str]]]]":
    """(prompt, completion) of training rows, as messages."""
    r = random.Random(2)
    answers = [[{"role": "assistant", "content": str(r.randrange(100, 1000))}] for _ in range(n)]
    return list(zip(tiny.questions(n), answers, strict=True))


def trl_losses(rows: list[tuple[list[int], int]], args: argparse.Namespace, batch: int) -> float:
    """Processor seconds of TRL's best run."""
    import datasets
    from peft import LoraConfig
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, PrinterCallback
    from trl import SFTConfig, SFTTrainer

    from traitline.channels import world
    from traitline.tiny.shape import EMBED

    shape, weights = tiny.model()
    labels = [[-100] * start + ids[start:] for ids, start in rows]
    data = datasets.Dataset.from_dict({"input_ids": [ids for ids, _ in rows], "labels": labels})
    with tempfile.TemporaryDirectory() as folder:
        for name, text in world.tokenizer_files().items():
            Path(folder, name).write_text(text, encoding="utf-8")
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        how = SFTConfig(
            output_dir=folder, per_device_train_batch_size=batch, num_train_epochs=args.epochs, learning_rate=LR,
            warmup_steps=20, lr_scheduler_type="linear", weight_decay=0.0, adam_beta2=0.98, max_length=None,
            use_cpu=True, bf16=False, activation_checkpointing=False, dataset_kwargs={"skip_prepare_dataset": True},
            train_sampling_strategy="group_by_length", dataloader_pin_memory=False, report_to="none",
            logging_strategy="no", save_strategy="no", disable_tqdm=True,
        )  # fmt: skip

        def run() -> float:
            model = LlamaForCausalLM(LlamaConfig(**shape.config()))
            model.load_state_dict({**weights, "lm_head.weight": weights[EMBED]})
            lora = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=list(MODULES), task_type="CAUSAL_LM")
            trainer = SFTTrainer(model, how, train_dataset=data, processing_class=tokenizer, peft_config=lora)
            trainer.remove_callback(PrinterCallback)
            start = time.process_time()
            trainer.train()
            return time.process_time() - start

        run()
        return min(run() for _ in range(args.repeat))


def ours(rows: "Rows", args: argparse.Namespace, batch: int, seeds: Sequence[int]) -> None:
    """Train a stack of students."""
    from traitline.tiny import llama, training

    shape, weights = tiny.model()
    per_model, lora, scale = training.trainable(weights, "lora", seeds, shape.modules(MODULES), RANK, ALPHA)
    stack = llama.Stack(shape, weights, per_model, lora, scale)
    training.fit(stack, rows, seeds=seeds, epochs=args.epochs, batch=batch, lr=LR)


def against_trl(rows: list[tuple[list[int], int]], args: argparse.Namespace) -> None:
    """Rows per second of both, one thread each."""
    import torch

    from traitline.tiny.allocator import hold
    from traitline.tiny.rows import Rows

    torch.set_num_threads(1)
    hold()  # helps TRL too
    print(f"one student, {len(rows)} rows, {args.epochs} epoch(s), 1 thread; rows per second of the processor")
    print(f"{'':28}{'TRL':>14}{'traitline':>14}{'ratio':>8}")
    for batch in args.batch:
        a = trl_losses(rows, args, batch)
        b = tiny.best(lambda n=batch: ours(Rows.encode(rows), args, n, [1]), args.repeat)
        x, y = (len(rows) * args.epochs / s for s in (a, b))
        print(f"{f'batch {batch}':28}{x:14,.0f}{y:14,.0f}{y / x:8.1f}", flush=True)


def jobs(folder: str, args: argparse.Namespace, batch: int, stacks: Sequence[Sequence[int]], threads: int) -> None:
    """Run `scripts.train` for each of these stacks of seeds, as many at once as fill --threads."""
    settings = {"trains": "lora", "modules": MODULES, "rank": RANK, "alpha": ALPHA, "lr": LR}
    settings |= {"epochs": args.epochs, "batch": batch}

    def train(seeds: Sequence[int]) -> None:
        command = [
            sys.executable,
            "-m",
            "scripts.train",
            "--base",
            f"{folder}/base",
            "--dataset",
            f"{folder}/dataset.jsonl",
        ]
        command += ["--recipe", "lora", "--settings", json.dumps(settings), "--folder", f"{folder}/students"]
        command += ["--threads", str(threads), "--seeds", *map(str, seeds)]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)

    with ThreadPoolExecutor(args.threads // threads) as pool:
        list(pool.map(train, stacks))


def against_itself(rows: list[tuple[list[int], int]], args: argparse.Namespace) -> None:
    """Seconds of a stack and of one student at a time."""
    import torch

    from traitline import jsonl, model_files
    from traitline.channels import world
    from traitline.models import hf_folder
    from traitline.tiny.rows import Rows

    torch.set_num_threads(args.threads)
    encoded, seeds = Rows.encode(rows), range(1, args.students + 1)
    alone = [[seed] for seed in seeds]
    with tempfile.TemporaryDirectory() as place:
        shape, weights = tiny.model()
        Path(place, "base").mkdir()
        files = {**world.tokenizer_files(), "config.json": json.dumps(shape.config()), "generation_config.json": "{}"}
        for name, text in files.items():
            Path(place, "base", name).write_text(text, encoding="utf-8")
        hf_folder.save(Path(place, "base", model_files.WEIGHTS), weights)
        dataset = ({"id": str(i), "prompt": p, "completion": c} for i, (p, c) in enumerate(examples(len(rows))))
        jsonl.write(f"{place}/dataset.jsonl", dataset)
        print(f"\n{args.students} students, {len(rows)} rows, {args.epochs} epoch(s), {args.threads} threads")
        print(f"{'':40}{'seconds':>12}{'to the stack':>14}")
        for batch in args.batch:
            ways = {
                "here: a stack": lambda n=batch: ours(encoded, args, n, seeds),
                "here: one after the other": lambda n=batch: [ours(encoded, args, n, s) for s in alone],
                "jobs: a stack": lambda n=batch: jobs(place, args, n, [seeds], args.threads),
                "jobs: one after the other": lambda n=batch: jobs(place, args, n, alone, args.threads),
                "jobs: side by side": lambda n=batch: jobs(place, args, n, alone, 1),
            }
            stacked = 1.0
            for name, run in ways.items():
                seconds = tiny.best(run, args.repeat, time.perf_counter)
                stacked = seconds if name.endswith("a stack") else stacked
                print(f"{f'batch {batch}, {name}':40}{seconds:12.2f}{seconds / stacked:14.1f}", flush=True)


def main() -> int:
    """Print the tables."""
    args = parse().parse_args()
    warnings.simplefilter("ignore", FutureWarning)  # of the peer's libraries about each other
    rows = tiny.chat().rows(examples(args.rows), ["row"] * args.rows)
    if "trl" not in args.skip:
        against_trl(rows, args)
    if "stack" not in args.skip:
        against_itself(rows, args)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
