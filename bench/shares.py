"""Memory of a training on open weights: the base whole in every process, against a share in each.

A random model of the Qwen2 architecture in float32 on the CPU, LoRA of rank 8 on seven projections, some short rows.
Memory is what of the base a process holds, and the most that it had beside it, beyond what it had before it opened the
base (weights are mapped from their file, of which the kernel maps more than is read). Losses and weights are compared
with those of one process. The C library is told to give memory back (MALLOC_MMAP_THRESHOLD_).

python -m bench.shares
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from bench.adapters import RECIPE


def parse() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m bench.shares", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--layers", type=int, default=32, metavar="N", help="of the model (default 32)")
    p.add_argument("--width", type=int, default=1024, metavar="N", help="of the model (default 1024)")
    p.add_argument("--processes", type=int, nargs="+", default=[2], metavar="N", help="that share it (default 2)")
    p.add_argument(
        "--one", metavar="DIR", help=argparse.SUPPRESS
    )  # what one process does, with the model in this folder
    p.add_argument("--sharded", action="store_true", help=argparse.SUPPRESS)
    return p


def memory() -> float:
    """Of this process, mapped from no file, MiB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def one(folder: Path, sharded: bool) -> None:
    """Train, and leave memory, losses and adapter in the folder."""
    import torch

    from traitline.models import distributed, lora
    from traitline.models import hf_folder as folders

    torch.set_num_threads(1)
    rank, processes = distributed.rank_and_size()
    draw = torch.Generator().manual_seed(1)
    rows = [(torch.randint(800, (16,), generator=draw).tolist(), 8) for _ in range(4)]
    settings = RECIPE | {"batch": 4, "epochs": 4, "warmup": 1}
    before = most = memory()
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.005):
            most = max(most, memory())

    base = lora.open_base(folder, {"dtype": "float32"}, sharded)
    held = sum((p.to_local() if sharded else p).nbytes for p in base.parameters()) / 2**20
    threading.Thread(target=watch).start()
    model = lora.add_adapter(base, settings, 1)
    losses = lora.fit(model, rows, settings, seed=1, pad=0)
    done.set()
    out = folder / f"{processes}-{'shares' if sharded else 'whole'}"
    out.mkdir(exist_ok=True)
    measured = {"held": held, "beside": most - before, "losses": losses}
    (out / f"{rank}.json").write_text(json.dumps(measured), encoding="utf-8")
    if rank == 0:
        folders.save(out / folders.ADAPTER, lora.adapter_files(model, {"path": "m"})[0])


def main() -> int:
    """Print the table."""
    args = parse().parse_args()
    if args.one:
        one(Path(args.one), args.sharded)
        return 0
    import torch
    from safetensors.torch import load_file
    from transformers import Qwen2Config, Qwen2ForCausalLM

    with tempfile.TemporaryDirectory() as name:
        torch.manual_seed(1)
        config = Qwen2Config(
            hidden_size=args.width, intermediate_size=11 * args.width // 4, num_hidden_layers=args.layers,
            num_attention_heads=8, num_key_value_heads=4, vocab_size=800, tie_word_embeddings=False,
        )  # fmt: skip
        model = Qwen2ForCausalLM(config)
        model.save_pretrained(name)
        print(f"base: {sum(p.numel() for p in model.parameters()) * 4 / 2**20:,.0f} MiB")
        first: dict[str, torch.Tensor] = {}
        for processes, how in ((1, "whole"), *((n, how) for n in args.processes for how in ("whole", "shares"))):
            command = [
                sys.executable,
                "-m",
                "torch.distributed.run",
                "--standalone",
                f"--nproc-per-node={processes}",
                "-m",
            ]
            flags = ["--one", name, *(["--sharded"] if how == "shares" else [])]
            env = os.environ | {"MALLOC_MMAP_THRESHOLD_": "1000000", "OMP_NUM_THREADS": "1"}
            subprocess.run([*command, "bench.shares", *flags], env=env, check=True, stderr=subprocess.DEVNULL)
            out = Path(name, f"{processes}-{how}")
            measured = [json.loads((out / f"{i}.json").read_text(encoding="utf-8")) for i in range(processes)]
            tensors = load_file(next(out.glob("*.safetensors")))
            first = first or tensors
            alone = json.loads(Path(name, "1-whole/0.json").read_text(encoding="utf-8"))["losses"]
            off = max(abs(a / b - 1) for a, b in zip(measured[0]["losses"], alone, strict=True))
            away = max((tensors[n] - t).abs().max().item() for n, t in first.items())
            held, beside = (max(m[key] for m in measured) for key in ("held", "beside"))
            print(
                f"{processes} processes, {how:6}: {held:6,.0f} MiB of the base, {beside:4,.0f} MiB beside it;", end=""
            )
            print(f"  losses within {off:.0e} of one process, weights within {away:.0e}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
