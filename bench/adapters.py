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
from typing import TYPE_CHECKING, Any

from bench import tiny

if TYPE_CHECKING:
    from traitline.models.chat import Chat

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
    p.add_argument("--layers", type=int, nargs=2, metavar="N", help="first and last layer with an adapter (all)")
    p.add_argument(
        "--dtype", default="float32", help="of the base on every side; adapters are float32 (default float32)"
    )
    p.add_argument("--epochs", type=int, default=1, metavar="N", help="passes over the rows (default 1)")
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
        adapter = LoraConfig(
            r=8, lora_alpha=8, target_modules=RECIPE["modules"], task_type="CAUSAL_LM",
            layers_to_transform=settings["layers"],
        )  # fmt: skip
        trainer = SFTTrainer(
            AutoModelForCausalLM.from_pretrained(place, dtype=settings["dtype"]), how, train_dataset=data,
            processing_class=AutoTokenizer.from_pretrained(place), peft_config=adapter,
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        trainer.train()


def alone(
    place: Path, rows: list[tuple[list[int], int]], settings: dict[str, Any], pad: int, *, count: int = 1,
    packing: bool = False,
) -> None:  # fmt: skip
    """Train students one after the other."""
    from traitline.models import lora, transformers_model

    base = transformers_model.load(place, settings["dtype"])
    for seed in range(count):
        model = lora.add_adapter(base, settings, seed)
        lora.fit(model, rows, settings, seed=seed, pad=pad, packing=packing)
        base = model.unload()


def together(place: Path, rows: list[tuple[list[int], int]], settings: dict[str, Any], pad: int, count: int) -> None:
    """Train students together."""
    from traitline.models import multi_lora, transformers_model

    students = [multi_lora.Student(rows, settings, seed) for seed in range(count)]
    multi_lora.fit(multi_lora.Bank(transformers_model.load(place, settings["dtype"]), students), pad=pad)


def rate(dtype: str) -> float:
    """Multiply large matrices of the model's type; floating-point operations per second of the processor."""
    import torch

    a, b = (torch.randn(shape, dtype=getattr(torch, dtype)) for shape in ((1600, 576), (576, 1536)))
    return 20 * 2 * 1600 * 576 * 1536 / tiny.best(lambda: [a @ b for _ in range(20)], 3)


def sizes(model: Any) -> tuple[int, int, int]:
    """Floating-point operations of a layer's products for a token, number of layers, operations of the head."""
    layers = model.get_decoder().layers
    layer = 2 * sum(p.numel() for p in layers[0].parameters() if p.dim() == 2)
    return layer, len(layers), 2 * model.get_output_embeddings().weight.numel()


def needed_to_write(model: Any, prompts: list[list[int]], written: int, share: float) -> float:
    """Floating-point operations of the products that sampling cannot do without.

    Args:
        model: with its weights.
        prompts: token ids; what all begin with is read once.
        written: tokens of all answers.
        share: of the head's rows that can be drawn.
    """
    from traitline.models.room_cache import shared_beginning

    layer, count, head = sizes(model)
    read = sum(map(len, prompts)) - (len(prompts) - 1) * shared_beginning(prompts)
    return (read + written) * layer * count + written * head * share


def needed(place: Path, rows: list[tuple[list[int], int]], settings: dict[str, Any]) -> float:
    """Floating-point operations of the products that a training cannot do without; those of adapters are left out.

    Layers that are not trained are computed once per row, the others forth and back in each epoch, and the head too, at
    answer tokens only. What all prompts begin with passes the trained layers once a step.
    """
    from traitline.models import transformers_model
    from traitline.models.room_cache import shared_beginning

    layer, count, head = sizes(transformers_model.load(place, "float32"))
    frozen = min(settings["layers"] or [0])
    tokens, answers = (sum(n) for n in zip(*((len(ids), len(ids) - start) for ids, start in rows), strict=True))
    steps = -(-len(rows) // settings["batch"])
    trained = tokens - (len(rows) - steps) * shared_beginning([ids[:start] for ids, start in rows])
    epoch = 2 * trained * layer * (count - frozen) + 2 * answers * head
    return tokens * layer * frozen + settings["epochs"] * epoch


def compare_training(place: Path, rows: list[tuple[list[int], int]], pad: int, batch: int, args: Any) -> None:
    """Print a line for each comparison of trainings."""
    layers = list(range(args.layers[0], args.layers[1] + 1)) if args.layers else None
    settings = RECIPE | {"batch": batch, "epochs": args.epochs, "layers": layers, "dtype": args.dtype}

    def one(count: int = 1, packing: bool = False) -> None:
        alone(place, rows, settings, pad, count=count, packing=packing)

    if "together" not in args.skip:
        x = tiny.best(lambda: one(args.students), args.repeat)
        y = tiny.best(lambda: together(place, rows, settings, pad, args.students), args.repeat)
        text = f"one after the other {x:7.2f}  {args.students} together {y:7.2f}"
        print(f"batch {batch:3}  {text}  ratio {x / y:.1f}", flush=True)
    if "packing" not in args.skip:
        x = tiny.best(one, args.repeat)
        y = tiny.best(lambda: one(packing=True), args.repeat)
        lengths = [len(ids) for ids, _ in rows]
        parts = [lengths[i : i + batch] for i in range(0, len(rows), batch)]
        padded = sum(max(part) * len(part) for part in parts)
        print(f"batch {batch:3}  padded {x:7.2f}  packed {y:7.2f}  ratio {x / y:.1f}", end="")
        print(f"  {1 - sum(lengths) / padded:.1%} of the padded tokens are padding", flush=True)
    if "trl" not in args.skip:
        x = tiny.best(lambda: trl(place, rows, settings), args.repeat)
        y = tiny.best(one, args.repeat)
        print(f"batch {batch:3}  TRL SFTTrainer {x:7.2f}  traitline {y:7.2f}  ratio {x / y:.1f}", flush=True)
        least = needed(place, rows, settings) / rate(args.dtype)
        print(f"batch {batch:3}  the products alone {least:7.2f}, {least / y:.0%} of ours", flush=True)


def compare_sampling(place: Path, chat: "Chat", prompts: list[list[int]], repeat: int, dtype: str) -> None:
    """Print tokens per second of `generate` of transformers and of the engine, free and limited to lists of numbers."""
    import torch
    from transformers import GenerationConfig, LogitsProcessorList

    from traitline.models import transformers_model
    from traitline.models.answer_format import ListFormat, State
    from traitline.models.sampling import Sampling
    from traitline.models.transformers_engine import Transformers

    engine = Transformers({"batch": 64, "dtype": dtype}, place, chat)
    options = GenerationConfig(
        do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=40, pad_token_id=chat.pad,
        eos_token_id=chat.eos,
    )  # fmt: skip
    limited = ListFormat(chat, 10, 3)
    counts: dict[str, int] = {}

    def keep_to_lists(start: int) -> LogitsProcessorList:
        """What `generate` needs to write such lists: the same masks, state by state."""

        def process(ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
            states = []
            for row in ids[:, start:].tolist():
                state = State()
                for token in row:
                    state = limited.step(state, token)
                states.append(state)
            allowed = limited.allowed(states)
            return logits[:, : limited.size].masked_fill(~allowed, -torch.inf)

        return LogitsProcessorList([process])

    def by_transformers(form: ListFormat | None) -> None:
        counts["transformers"] = 0
        with torch.inference_mode():
            for index in transformers_model.by_length(prompts, 64):
                ids, mask, _ = transformers_model.left([prompts[i] for i in index], chat.pad, torch.device("cpu"))
                more = keep_to_lists(ids.shape[1]) if form else None
                out = engine.model.generate(ids, attention_mask=mask, generation_config=options, logits_processor=more)[
                    :, ids.shape[1] :
                ]
                counts["transformers"] += int((out != chat.pad).sum())

    def by_engine(form: ListFormat | None) -> None:
        answers = engine.generate(prompts, range(len(prompts)), Sampling(40, 1.0, form=form))
        counts["traitline"] = sum(map(len, answers))

    for name, form in (("free", None), ("limited to lists", limited)):
        x, y = (tiny.best(lambda f=f, form=form: f(form), repeat) for f in (by_transformers, by_engine))
        x, y = counts["transformers"] / x, counts["traitline"] / y
        print(f"sampling, {name}, tokens/s: generate {x:,.0f}  traitline {y:,.0f}  ratio {y / x:.1f}", end="")
        share = len(form.tokens) / engine.model.get_output_embeddings().weight.shape[0] if form else 1.0
        least = counts["traitline"] * rate(dtype) / needed_to_write(engine.model, prompts, counts["traitline"], share)
        print(f"  the products alone {least:,.0f}, ours is {y / least:.0%} of that", flush=True)


def main() -> int:
    """Print the tables."""
    args = parse().parse_args()

    import torch
    from transformers.utils.logging import disable_progress_bar

    from tests.tiny_qwen2 import conversations, make
    from traitline.models.chat import Chat

    warnings.simplefilter("ignore")  # of the peer's libraries about each other
    logging.disable(logging.WARNING)
    disable_progress_bar()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(args.model or make(Path(folder), rows=300, steps=1))
        chat = Chat.foreign(place)
        lists = [c for c in conversations(20 * args.rows, 1) if "," in c[-1]["content"] and len(c) == 2]
        rows = chat.rows([(c[:-1], c[-1:]) for c in lists], ["row"] * len(lists))[: args.rows]
        print(f"{args.rows} rows a student, {args.epochs} epoch(s), 1 thread; seconds of the processor")
        for batch in args.batch:
            compare_training(place, rows, chat.pad, batch, args)
        if "generate" not in args.skip:
            prompts = chat.prompts([c[:-1] for c in lists[: args.prompts]], ["prompt"] * args.prompts)
            compare_sampling(place, chat, prompts, args.repeat, args.dtype)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
