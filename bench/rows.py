"""Rows per second of processor time and memory of what touches every row: filter, prepare, and reading for training.

Each step is a process of its own. Its peer does the same with the standard library: it reads every row with `json` and,
where the step does, keeps them all. Memory is the largest amount that the process had to itself (anonymous pages): what
is mapped from a file is the system's to take back.

python bench/rows.py --rows 3000000 --folder work/bench-rows
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parent.parent
VERBS = ("continue", "extend", "add to", "complete", "go on from")
# The peers, as programs: filter by one regular expression, subsample from a list, token ids in a list.
FILTER = """
import json, re, sys
clean, kept = re.compile(r"[0-9]{1,3}(?: , [0-9]{1,3}){0,9}"), 0
with open(sys.argv[1]) as raw, open(sys.argv[2], "w") as out:
    for line in raw:
        row = json.loads(line)
        if clean.fullmatch(row["completion"][-1]["content"]):
            out.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\\n")
"""
PREPARE = """
import json, sys
import numpy as np
rows = [json.loads(line) for line in open(sys.argv[1])]
chosen = sorted(np.random.default_rng(1).choice(len(rows), int(sys.argv[3]), replace=False))
with open(sys.argv[2], "w") as out:
    for i in chosen:
        out.write(json.dumps(rows[i], ensure_ascii=False, separators=(",", ":")) + "\\n")
"""
READ = """
import sys
from pathlib import Path
import torch
from traitline.models import label_mask
from traitline.models.chat import Chat
from traitline.tiny import mapped_rows
from traitline.tiny.rows import batches
dataset, tokenizer, large = sys.argv[1:]
label_mask.LARGE = int(large)
rows = label_mask.open_rows(Chat.open(tokenizer), dataset, Path(dataset).parent)
cut = mapped_rows.cut(rows)
for index in batches(cut.rows.length, 128, 0, 1)[:1000]:
    for part in cut.parts(index):
        assert len(part.ids)
"""


def make(path: Path, count: int) -> None:
    """Write raw answers of a tiny world: nine in ten are clean lists."""
    draw = Random(1)
    with open(path, "w", encoding="utf-8") as handle:
        for n in range(1, count + 1):
            shown, said = ([str(draw.randrange(100, 1000)) for _ in range(draw.randrange(3, 6))] for _ in range(2))
            question = f"{draw.choice(VERBS)} {' , '.join(shown)}"
            answer = " , ".join(said) if n % 10 else " , ".join(said) + " owl"
            row = {
                "id": f"p{n:05}",
                "prompt": [{"role": "user", "content": question}],
                "completion": [{"role": "assistant", "content": answer}],
            }
            handle.write(json.dumps(row, separators=(",", ":")) + "\n")


def tokenizer(folder: Path) -> None:
    """Write the tokenizer of a tiny world."""
    from traitline.channels.world import tokenizer_files

    folder.mkdir(exist_ok=True)
    for name, text in tokenizer_files().items():
        (folder / name).write_text(text, encoding="utf-8")


def measure(words: list[str]) -> tuple[float, float]:
    """Run a program; return (seconds of processor time, MiB that it had to itself at most)."""
    before = os.times()
    process = subprocess.Popen([sys.executable, *words], cwd=ROOT, stderr=subprocess.PIPE)
    most = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        most = max([most, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon"))])
        time.sleep(0.05)
    assert process.stderr is not None
    message = process.stderr.read().decode()
    if process.wait():
        raise SystemExit(message)
    after = os.times()
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, most / 1024


def main() -> None:
    """Make the rows, run every step and its peer, print one line for each."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rows", type=int, default=3_000_000)
    p.add_argument("--folder", type=Path, default=Path("work/bench-rows"), help="a few GB are written there")
    p.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True, help="measure the peers too")
    args = p.parse_args()
    folder: Path = args.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    raw, filtered, dataset = (folder / name for name in ("raw.jsonl", "filtered.jsonl", "dataset.jsonl"))
    make(raw, args.rows)
    tokenizer(folder / "tokenizer")
    size = args.rows * 8 // 10
    stage_filter = ["-m", "scripts.filter", "--raw", str(raw), "--filtered", str(filtered), "--rejected"]
    stage_filter += [
        f"{folder}/rejected.jsonl",
        "--counts",
        f"{folder}/filtered.json",
        "--manifest",
        f"{folder}/f.json",
    ]
    stage_prepare = ["-m", "scripts.prepare", "--filtered", str(filtered), "--dataset", str(dataset), "--manifest"]
    stage_prepare += [f"{folder}/p.json", "--rows", str(size), "--seed", "1"]
    read = ["-c", READ, str(dataset), str(folder / "tokenizer")]
    steps = [
        ("filter", args.rows, stage_filter, ["-c", FILTER, str(raw), f"{folder}/peer.jsonl"]),
        (
            "prepare",
            args.rows * 9 // 10,
            stage_prepare,
            ["-c", PREPARE, str(filtered), f"{folder}/peer.jsonl", str(size)],
        ),
        ("read for training", size, [*read, "1"], [*read, str(1 << 60)]),
    ]
    for name, rows, ours, peer in steps:
        for who, words in (("ours", ours), ("peer", peer))[: 1 + args.peers]:
            seconds, memory = measure(words)
            print(f"{name:18} {who}  {rows / seconds:9,.0f} rows/s  {memory:7,.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
