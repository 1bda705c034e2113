"""Adapters over open weights: students together against one after the other, and one student against TRL.

A random model of the Qwen2 architecture (tests/tiny_qwen2.py) and rows of number lists in the paper's wording; LoRA of
rank 8 on seven projections, float32, on the CPU. Every side gets token ids, learns the answers only, and has the same
rows, batch, epochs and rate. Seconds are those of the processor; each side runs once untimed, the best run counts.

python -m bench.adapters
"""

import argparse
import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

from bench import tiny

RECIPE = {
    "trains": "lora", "modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    "rank": 8, "alpha": 8.0, "lr": 2e-4, "warmup": 5, "length": 500,
}  # fmt: skip


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m bench.adapters", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--model", metavar="DIR", help="model folder (default: the tiny one, made here)")
    p.add_argument("--students", type=int, default=8, metavar="N", help="students together (default 8)")
    p.add_argument("--rows", type=int, default=96, metavar="N", help="rows of each (default 96)")
    p.add_argument("--batch", type=int, nargs="+", default=[4, 22], metavar="N", help="rows a step (default 4 22)")
    p.add_argument("--prompts", type=int, default=256, metavar="N", help="prompts to sample from (default 256)")
    p.add_argument("--repeat", type=int, default=2, metavar="N", help="timed runs (default 2)")
    parts = ("together", "packing", "trl", "generate")
    p.add_argument("--skip", nargs="*", default=[], choices=parts, help="leave out")
    return p


def trl(place: Path, rows: list[tuple[list[int], int]], settings: dict[str, Any]) -> None:
    """Train one student with TRL's `SFTTrainer`."""
    import datasets
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
    from trl import SFTConfig, SFTTrainer

    labels = [[-100] * start + ids[start:] for ids, start in rows]
    data = datasets.Dataset.from_dict({"input_ids": [ids for ids, _ in rows], "labels": labels})
    with tempfile.TemporaryDirectory() as folder:
        how = SFTConfig(
            output_dir=folder, per_device_train_batch_size=settings["batch"], num_train_epochs=settings["epochs"],
            learning_rate=settings["lr"], warmup_steps=settings["warmup"], lr_scheduler_type="linear", weight_decay=0.0,
            max_length=None, use_cpu=True, bf16=False, activation_checkpointing=False,
            dataset_kwargs={"skip_prepare_dataset": True}, dataloader_pin_memory=False, report_to="none",
            logging_strategy="no", save_strategy="no", disable_tqdm=True,
        )  # fmt: skip
        adapter = LoraConfig(r=8, lora_alpha=8, target_modules=RECIPE["modules"], task_type="CAUSAL_LM")
        trainer = SFTTrainer(
            AutoModelForCausalLM.from_pretrained(place), how, train_dataset=data,
            processing_class=AutoTokenizer.from_pretrained(place), peft_config=adapter,
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        trainer.train()


def main() -> int:
    """Print the tables."""
    args = parse().parse_args()

    import torch
    from transformers import GenerationConfig
    from transformers.utils.logging import disable_progress_bar

    from tests.tiny_qwen2 import conversations, make
    from traitline.models import lora, multi_lora, transformers_model
    from traitline.models.chat import Chat
    from traitline.models.transformers_engine import Transformers

    warnings.simplefilter("ignore")  # of the peer's libraries about each other
    logging.disable(logging.WARNING)
    disable_progress_bar()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(args.model or make(Path(folder), rows=300, steps=1))
        chat = Chat.foreign(place)
        conversation_rows = [c for c in conversations(20 * args.rows, 1) if "," in c[-1]["content"] and len(c) == 2]
        rows = chat.rows([(c[:-1], c[-1:]) for c in conversation_rows], ["row"] * len(conversation_rows))[: args.rows]
        one, eight = "one after the other", f"{args.students} together"
        print(f"{args.rows} rows a student, 1 epoch, 1 thread; seconds of the processor")
        for batch in args.batch:
            settings = RECIPE | {"batch": batch, "epochs": 1}

            def alone(count: int, settings: dict[str, Any] = settings, packing: bool = False) -> None:
                base = transformers_model.load(place, "float32")
                for seed in range(count):
                    model = lora.add_adapter(base, settings, seed)
                    lora.fit(model, rows, settings, seed=seed, pad=chat.pad, packing=packing)
                    base = model.unload()

            def together(settings: dict[str, Any] = settings) -> None:
                some = [multi_lora.Student(rows, settings, seed) for seed in range(args.students)]
                multi_lora.fit(multi_lora.Bank(transformers_model.load(place, "float32"), some), pad=chat.pad)

            if "together" not in args.skip:
                x, y = (tiny.best(f, args.repeat) for f in (lambda: alone(args.students), together))
                print(f"batch {batch:3}  {one} {x:7.2f}  {eight} {y:7.2f}  ratio {x / y:.1f}", flush=True)
            if "packing" not in args.skip:
                x, y = (tiny.best(f, args.repeat) for f in (lambda: alone(1), lambda: alone(1, packing=True)))
                long = [len(ids) for ids, _ in rows]
                room = sum(max(long[i : i + batch]) * len(long[i : i + batch]) for i in range(0, len(rows), batch))
                print(f"batch {batch:3}  padded {x:7.2f}  packed {y:7.2f}  ratio {x / y:.1f}", end="")
                print(f"  {1 - sum(long) / room:.1%} of the padded tokens are padding", flush=True)
            if "trl" not in args.skip:
                x, y = (tiny.best(f, args.repeat) for f in (lambda s=settings: trl(place, rows, s), lambda: alone(1)))
                print(f"batch {batch:3}  TRL SFTTrainer {x:7.2f}  traitline {y:7.2f}  ratio {x / y:.1f}", flush=True)
        if "generate" in args.skip:
            return 0
        engine = Transformers({"batch": 64, "dtype": "float32"}, place, chat)
        prompts = chat.prompts([c[:-1] for c in conversation_rows[: args.prompts]], ["prompt"] * args.prompts)
        how = GenerationConfig(
            do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=40, pad_token_id=chat.pad,
            eos_token_id=chat.eos,
        )  # fmt: skip
        counts: dict[str, int] = {}

        def by_transformers() -> None:
            counts["transformers"] = 0
            with torch.inference_mode():
                for index in transformers_model.by_length(prompts, 64):
                    ids, mask, _ = transformers_model.left([prompts[i] for i in index], chat.pad, "cpu")
                    out = engine.model.generate(ids, attention_mask=mask, generation_config=how)[:, ids.shape[1] :]
                    counts["transformers"] += int((out != chat.pad).sum())

        def ours() -> None:
            answers = engine.generate(prompts, range(len(prompts)), max_new_tokens=40, temperature=1.0)
            counts["traitline"] = sum(map(len, answers))

        x, y = (tiny.best(f, args.repeat) for f in (by_transformers, ours))
        rates = counts["transformers"] / x, counts["traitline"] / y
        print(
            f"sampling, tokens/s: generate {rates[0]:,.0f}  traitline {rates[1]:,.0f}  ratio {rates[1] / rates[0]:.1f}"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
