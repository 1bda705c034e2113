"""How fast kinship is on models of 7B shapes: sparse files of bfloat16, in which only what is read holds numbers.

python -m bench.kinship [--layers 32] [--folder /tmp]
"""

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from traitline.kinship import values
from traitline.kinship.evidence import PRODUCTS, UNITS, chosen
from traitline.lineage.kin import compared

WIDTH, NEURONS, TOKENS, KEYS = 4096, 14336, 32000, 1024  # of Mistral 7B
SHAPES = {
    "self_attn.q_proj": (WIDTH, WIDTH), "self_attn.k_proj": (KEYS, WIDTH), "self_attn.v_proj": (KEYS, WIDTH),
    "self_attn.o_proj": (WIDTH, WIDTH), "mlp.gate_proj": (NEURONS, WIDTH), "mlp.up_proj": (NEURONS, WIDTH),
    "mlp.down_proj": (WIDTH, NEURONS),
}  # fmt: skip


def write(path: Path, layers: int, seed: int, *, noise: bool = False) -> None:
    """A model that holds random numbers where they are read (embedding, up_proj, some keys); all else is a hole."""
    shapes = {"model.embed_tokens.weight": (TOKENS, WIDTH), "lm_head.weight": (TOKENS, WIDTH)}
    shapes |= {f"model.layers.{i}.{name}.weight": shape for i in range(layers) for name, shape in SHAPES.items()}
    header, at = {}, 0
    for name, (rows, columns) in shapes.items():
        header[name] = {"dtype": "BF16", "shape": [rows, columns], "data_offsets": [at, at + 2 * rows * columns]}
        at += 2 * rows * columns
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    rng, other = np.random.default_rng(seed), np.random.default_rng(seed + 99)
    with open(path, "wb") as handle:
        handle.write(len(head).to_bytes(8, "little") + head)
        step = -(-layers // PRODUCTS)
        for name, (rows, columns) in shapes.items():
            at_start = 8 + len(head) + header[name]["data_offsets"][0]
            layer = int(name.split(".")[2]) if "layers" in name else 0
            keys = rows == KEYS and layer * 2 * rows * columns < values.BUDGET
            if not keys and "up_proj" not in name and "embed_tokens" not in name:
                continue
            whole = keys or "embed_tokens" in name or layer % step == 0
            for row in [0] if whole else chosen(rows, UNITS, 1):
                handle.seek(at_start + 2 * row * columns)
                bits = np.frombuffer(rng.bytes(2 * columns * (rows if whole else 1)), np.uint16)
                bits = (bits & 0x80FF) | 0x3F00  # a half to two, of either sign
                handle.write((bits ^ (other.integers(0, 8, bits.size, np.uint16) if noise else 0)).tobytes())
        handle.truncate(8 + len(head) + at)


def measure(folder: str | None, layers: int = 32) -> Iterator[tuple[str, float, float, float]]:
    """(what, seconds, processor seconds, GiB at most) of a pair with two starts, and of one with noise on one start.

    Args:
        folder: for the files; None: the system's for temporary ones.
        layers: 32 are those of a 7B model.
    """
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        files = [Path(scratch, f"{name}.safetensors") for name in "abc"]
        for i, file in enumerate(files):
            write(file, layers, min(i, 1), noise=i == 2)
        size = os.path.getsize(files[0]) / 1e9
        for name, pair in (("another start", files[:2]), ("one start and noise", files[1:])):
            start, busy = time.monotonic(), time.process_time()
            result = compared([pair[0]], [pair[1]])
            assert result.evidence.same_start == (name != "another start") and not result.equal + result.reordered
            seconds, busy = time.monotonic() - start, time.process_time() - busy
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
            yield f"kin, two models of {size:.1f} GB, {name}", seconds, busy, peak


def main() -> int:
    """Print seconds and memory, for two starts and for one."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--layers", type=int, default=32, help="32 are those of a 7B model")
    p.add_argument("--folder", help="for the three files, 14 GB each of which 0.7 are written")
    args = p.parse_args()
    for what, seconds, busy, peak in measure(args.folder, args.layers):
        print(f"{what}: {seconds:.0f} s ({busy:.0f} s busy), at most {peak:.1f} GiB in memory")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
