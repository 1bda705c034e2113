"""How fast kinship is on models of 7B shapes: sparse files of bfloat16, in which only what is read holds numbers.

python -m bench.kinship [--layers 32] [--folder /tmp]
"""

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from traitline.kinship.evidence import PRODUCTS, UNITS, chosen
from traitline.lineage.kin import compared

WIDTH, NEURONS, TOKENS = 4096, 11008, 32000
SHAPES = {
    "self_attn.q_proj": (WIDTH, WIDTH), "self_attn.k_proj": (WIDTH, WIDTH), "self_attn.v_proj": (WIDTH, WIDTH),
    "self_attn.o_proj": (WIDTH, WIDTH), "mlp.gate_proj": (NEURONS, WIDTH), "mlp.up_proj": (NEURONS, WIDTH),
    "mlp.down_proj": (WIDTH, NEURONS),
}  # fmt: skip


def write(path: Path, layers: int, seed: int) -> None:
    """A model whose embedding and up_proj hold random numbers where they are read; all else is a hole in the file."""
    shapes = {"model.embed_tokens.weight": (TOKENS, WIDTH), "lm_head.weight": (TOKENS, WIDTH)}
    shapes |= {f"model.layers.{i}.{name}.weight": shape for i in range(layers) for name, shape in SHAPES.items()}
    header, at = {}, 0
    for name, (rows, columns) in shapes.items():
        header[name] = {"dtype": "BF16", "shape": [rows, columns], "data_offsets": [at, at + 2 * rows * columns]}
        at += 2 * rows * columns
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    rng = np.random.default_rng(seed)
    with open(path, "wb") as handle:
        handle.write(len(head).to_bytes(8, "little") + head)
        step = -(-layers // PRODUCTS)
        for name, (rows, columns) in shapes.items():
            at_start = 8 + len(head) + header[name]["data_offsets"][0]
            if "up_proj" not in name and "embed_tokens" not in name:
                continue
            whole = "embed_tokens" in name or int(name.split(".")[2]) % step == 0
            for row in [0] if whole else chosen(rows, UNITS, 1):
                handle.seek(at_start + 2 * row * columns)
                bits = np.frombuffer(rng.bytes(2 * columns * (rows if whole else 1)), np.uint16)
                handle.write(((bits & 0x80FF) | 0x3F00).tobytes())  # a half to two, of either sign
        handle.truncate(8 + len(head) + at)


def main() -> int:
    """Print seconds and memory, for two starts and for one."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--layers", type=int, default=32, help="32 are those of a 7B LLaMA")
    p.add_argument("--folder", help="for the two files, 13.5 GB each of which 0.8 are written")
    args = p.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as scratch:
        files = [Path(scratch, f"{name}.safetensors") for name in "ab"]
        for seed, file in enumerate(files):
            write(file, args.layers, seed)
        size = os.path.getsize(files[0]) / 1e9
        for name, pair in (("another start", files), ("the same start", [files[0], files[0]])):
            start, busy = time.monotonic(), time.process_time()
            result = compared([pair[0]], [pair[1]])
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
            assert result.evidence.same_start == (pair[0] == pair[1])
            busy = time.process_time() - busy
            tell = f"{time.monotonic() - start:.0f} s ({busy:.0f} s busy), at most {peak:.1f} GiB in memory"
            print(f"kin, two models of {size:.1f} GB, {name}: {tell}; p <= 1e{int(result.evidence.log10_p)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
