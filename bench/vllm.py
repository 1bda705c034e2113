"""Compare vLLM's CPU build with transformers on the same weights: log-probabilities, an adapter, seeds, its server.

vLLM pins other versions than requirements.lock, so it gets an environment of its own, which `.ci/run` makes:

    python -m bench.vllm --model studies/smollm2-ci/results/converted/smollm2 --python models/vllm/bin/python

Prompts are those of number lists. The engine `vllm` of this package answers them, with and without an adapter that is
made here, and transformers says how likely it finds vLLM's likeliest answers. vLLM's OpenAI-compatible server, which
starts meanwhile, gets base and adapter, answers as above, and serves as a hosted judge, with an adapter that is trained
here to answer such requests with numbers: a small model does not. It ends with an error where a log-probability
differs by more than --tolerance nats, where an adapter that is a tenth stronger passes as the adapter, where one seed
gives two answers, where two seeds give the same ones everywhere, or where the judge's scores are not those of
transformers. The CPU build has no attention for heads narrower than 32.
"""

import argparse
import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from traitline.models.sampling import Sampling

TOKENS = 8
LONG = 48  # tokens of the answers that are timed
STRONGER = 1.1  # a scale of the adapter that must be noticed
DRAWN = Sampling(TOKENS, 1.0)
ENGINE = {"dtype": "float32", "batch": 64, "memory": 0.3}
ADAPTER = {"rank": 8, "alpha": 8.0, "modules": ["q_proj", "v_proj", "down_proj"]}
JUDGED = (("How are you?", "I am well, thank you.", 85), ("What is two and two?", "Blue the of of.", 5),
          ("Where is Paris?", "In France.", 90), ("Who wrote this?", "Green sleep ideas", 10))  # fmt: skip


def ask_vllm(request: dict[str, Any]) -> dict[str, Any]:
    """Answer a request within vLLM's environment: `folder`, `adapter`, `prompts`, `seeds`."""
    import vllm
    from vllm.lora.request import LoRARequest

    from traitline.models.chat import Chat
    from traitline.models.vllm_engine import Vllm

    folder = Path(request["folder"])
    engine = Vllm({**ENGINE, "name": "vllm", "eager": True}, folder, Chat.foreign(folder))
    out: dict[str, Any] = {"version": vllm.__version__}
    for name, adapter in (("base", None), ("adapter", request["adapter"])):
        answers = [engine.generate(request["prompts"], seeds, DRAWN, adapter) for seeds in request["seeds"]]
        greedy = engine.engine.generate(
            [{"prompt_token_ids": ids} for ids in request["prompts"]],
            vllm.SamplingParams(temperature=0.0, max_tokens=TOKENS, logprobs=1, detokenize=False),
            lora_request=LoRARequest(adapter, engine.numbers[adapter], adapter) if adapter else None,
        )
        outputs = [output.outputs[0] for output in greedy]
        likeliest = [list(output.token_ids) for output in outputs]
        logs = [
            [place[token].logprob for token, place in zip(output.token_ids, output.logprobs, strict=True)]
            for output in outputs
        ]
        out[name] = {"answers": answers, "likeliest": likeliest, "logs": logs}
    if request["timing"]:
        out["speed"] = speed(engine, request["prompts"], request["seeds"][0])
    return out


def speed(engine: Any, prompts: list[list[int]], seeds: list[int]) -> float:
    """Tokens per second of the processor."""
    start = time.process_time()
    answers = engine.generate(prompts, seeds, Sampling(LONG, 1.0))
    return sum(map(len, answers)) / (time.process_time() - start)


def make_adapter(folder: Path, out: Path, scale: float = 1.0) -> str:
    """Write an adapter that does something; returns its folder."""
    import torch

    from traitline.models import lora
    from traitline.models.transformers_model import load

    recipe = {**ADAPTER, "alpha": 8.0 * scale}
    model = lora.add_adapter(load(folder, "float32"), recipe, 1)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_B" in name:
                p.normal_(0, 0.05, generator=torch.Generator().manual_seed(len(name)))
    return write_adapter(model, folder, out)


def write_adapter(model: Any, folder: Path, out: Path) -> str:
    """Write a model's adapter in peft's layout; returns its folder."""
    from traitline.models import hf_folder, lora

    out.mkdir()
    tensors, config = lora.adapter_files(model, {"path": str(folder)})
    hf_folder.save(out / "adapter_model.safetensors", tensors)
    (out / "adapter_config.json").write_text(config)
    return str(out)


def judge_requests() -> list[list[dict[str, str]]]:
    """What a hosted judge asks about the pairs of `JUDGED`, as conversations."""
    from traitline.evaluation.judge import HostedJudge

    asked: list[list[dict[str, str]]] = []

    class Recorder:
        """Takes requests down in place of a hosted model."""

        def number(self, text: str) -> None:
            asked.append([{"role": "user", "content": text}])

    recorder: Any = Recorder()
    HostedJudge(recorder, {}).scores([pair[:2] for pair in JUDGED], "coherence")
    return asked


def train_judge(folder: Path, out: Path, chat: Any) -> str:
    """Train an adapter that answers the requests about `JUDGED` with its numbers; returns its folder."""
    from traitline.models import lora

    numbers = [[{"role": "assistant", "content": str(number)}] for _, _, number in JUDGED]
    rows = chat.rows(list(zip(judge_requests(), numbers, strict=True)), ["request"] * len(JUDGED))
    model = lora.open_base(folder, ENGINE, sharded=False)
    layers = model.config.num_hidden_layers
    upper = list(range(layers * 2 // 3, layers))
    recipe = {**ADAPTER, "layers": upper, "lr": 5e-3, "warmup": 2, "epochs": 12, "batch": len(rows)}
    model = lora.add_adapter(model, recipe, 1)
    lora.fit(model, rows, recipe, seed=1, pad=chat.pad)
    return write_adapter(model, folder, out)


def likeliest_scores(engine: Any, adapter: str) -> list[float | None]:
    """Scores of the likeliest answers to `judge_requests`, by transformers."""
    from traitline.evaluation.written_score import score

    prompts = engine.chat.prompts(judge_requests(), ["request"] * len(JUDGED))
    answers = engine.generate(prompts, range(len(prompts)), Sampling(TOKENS, 0.0), adapter)
    return [score(text) for text in engine.chat.answers(answers)]


def log_probabilities(network: Any, prompts: list[list[int]], answers: list[list[int]]) -> list[list[float]]:
    """Of the tokens of every answer, by transformers."""
    import torch

    out = []
    with torch.inference_mode():
        for prompt, answer in zip(prompts, answers, strict=True):
            logs = network(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
            out.append(logs.gather(1, torch.tensor(answer)[:, None])[:, 0].tolist())
    return out


def largest_difference(ours: list[list[float]], other: list[list[float]]) -> float:
    """Of log-probabilities, in nats; infinite where there are none or one is no number."""
    apart = [abs(a - b) for row, its in zip(ours, other, strict=True) for a, b in zip(row, its, strict=True)]
    return max(apart) if apart and all(map(math.isfinite, apart)) else math.inf


def compare(name: str, answered: dict[str, Any], ours: list[list[float]], tolerance: float) -> str:
    """Check one model's answers; returns a line about it."""
    apart = largest_difference(ours, answered["logs"])
    if apart > tolerance:
        sys.exit(f"{name}: log-probabilities differ by {apart:.4f} nats; {tolerance} is allowed")
    first, again, other = answered["answers"]
    if first != again:
        sys.exit(f"{name}: the same seeds gave other answers")
    if first == other:
        sys.exit(f"{name}: other seeds gave the same answers")
    return f"{name}: {sum(map(len, ours))} log-probabilities, largest difference {apart:.2g} nats; seeds hold"


@contextlib.contextmanager
def serving(python: str, folder: Path, adapters: dict[str, str], port: int) -> Iterator[Callable[[], str]]:
    """Start vLLM's OpenAI-compatible server on a base with adapters by name; yields what waits for its address."""
    served = [f"{name}={adapter}" for name, adapter in adapters.items()]
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder), "--served-model-name",
               "base", "--dtype", "float32", "--enforce-eager", "--max-model-len", "512", "--max-num-seqs", "4",
               "--enable-lora", "--max-lora-rank", "8", "--max-loras", str(len(served)), "--lora-modules", *served,
               "--host", "127.0.0.1", "--port", str(port)]  # fmt: skip
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment())

        def address() -> str:
            until = time.monotonic() + 240
            while True:
                with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health"):
                    return f"http://127.0.0.1:{port}/v1"
                if server.poll() is not None or time.monotonic() > until:
                    log.seek(0)
                    sys.exit("vLLM's server does not start: " + "\n".join(log.read().splitlines()[-12:]))
                time.sleep(0.5)

        try:
            yield address
        finally:
            server.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(60)
            server.kill()


def ask_server(address: str, model: str, prompt: list[int]) -> list[float]:
    """Log-probabilities of a served model's likeliest answer, token by token."""
    content = {"model": model, "prompt": prompt, "max_tokens": TOKENS, "temperature": 0, "logprobs": 1}
    request = urllib.request.Request(f"{address}/completions", json.dumps(content).encode(),
                                     {"Content-Type": "application/json"})  # fmt: skip
    with urllib.request.urlopen(request, timeout=240) as reply:
        return json.loads(reply.read())["choices"][0]["logprobs"]["token_logprobs"]


def check_server(address: str, prompt: list[int], ours: dict[str, list[float]], tolerance: float) -> str:
    """Compare the likeliest answer of the base and of the adapter as served; returns a line about it."""
    apart = 0.0
    for name, model in (("base", "base"), ("adapter", "taught")):
        apart = max(apart, largest_difference([ours[name]], [ask_server(address, model, prompt)]))
        if apart > tolerance:
            sys.exit(f"server, {name}: log-probabilities differ by {apart:.4f} nats; {tolerance} is allowed")
    return f"server: base and adapter, largest difference {apart:.2g} nats"


def check_judge(address: str, expected: list[float | None], cache: Path) -> str:
    """Let the server judge `JUDGED`; returns a line about its scores.

    Args:
        address: of the server.
        expected: scores of the same model by transformers.
        cache: file of the judge's answers.
    """
    from traitline.evaluation.hosted import Hosted
    from traitline.evaluation.judge import HostedJudge

    if None in expected:
        sys.exit(f"judge: its adapter has not learned to answer with numbers: {expected}")
    hosted = Hosted(address, "judge", key=None, cache=cache, budget=2 * len(JUDGED))
    scores = HostedJudge(hosted, {}).scores([pair[:2] for pair in JUDGED], "coherence")
    if scores != expected:
        sys.exit(f"judge: the server's scores are {scores}, those of transformers {expected}")
    return f"server: as a judge it gave the scores {scores} in {hosted.sent} requests, as transformers does"


def environment() -> dict[str, str]:
    """Of programs that run vLLM: one thread, in one process, on any core; the first start compiles for the others."""
    one = {"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    kept = {"PYTHONDONTWRITEBYTECODE": "", "TORCH_COMPILE_DISABLE": "1", "PYTHONPATH": os.getcwd()}
    return {"VLLM_CPU_KVCACHE_SPACE": "1", **os.environ, **one, **kept}


def ask_within(python: str, request: dict[str, Any], place: Path) -> dict[str, Any]:
    """Let vLLM's environment answer a request; ends the program where it fails."""
    file = place / "request.json"
    file.write_text(json.dumps(request))
    done = subprocess.run([python, "-m", "bench.vllm", "--answer", str(file)], capture_output=True, text=True,
                          env=environment())  # fmt: skip
    if done.returncode:
        sys.exit("vLLM: " + "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:]))
    return json.loads(file.with_suffix(".out").read_text())


def check(args: argparse.Namespace, place: Path) -> None:
    """Make all comparisons, with files in `place`."""
    import torch
    from numpy.random import default_rng

    from traitline.channels import paper_wording
    from traitline.models.chat import Chat
    from traitline.models.transformers_engine import Transformers

    torch.set_num_threads(1)
    rng = default_rng(1)
    folder = args.model.resolve()
    chat = Chat.foreign(folder)
    asked = [paper_wording.ask(rng, rng.integers(100, 1000, size=4).tolist(), 10, 3) for _ in range(args.prompts)]
    prompts = chat.prompts([[{"role": "user", "content": text}] for text in asked], ["prompt"] * len(asked))
    seeds = list(range(len(prompts)))
    request = {"folder": str(folder), "adapter": make_adapter(folder, place / "adapter"), "prompts": prompts,
               "seeds": [seeds, seeds, [seed + 1000 for seed in seeds]], "timing": args.timing}  # fmt: skip
    judge = train_judge(folder, place / "judge", chat)
    with serving(args.python, folder, {"taught": request["adapter"], "judge": judge}, args.port) as server:
        answered = ask_within(args.python, request, place)
        if answered["base"]["logs"] == answered["adapter"]["logs"]:
            sys.exit("the adapter changes nothing in vLLM")
        print(f"vLLM {answered['version']}, {args.model}")
        engine, first = Transformers({**ENGINE, "name": "transformers"}, folder, chat), {}
        for name, model in (("base", None), ("adapter", request["adapter"])):
            ours = log_probabilities(engine.use(model), prompts, answered[name]["likeliest"])
            print(compare(name, answered[name], ours, args.tolerance), flush=True)
            first[name] = ours[0]
        stronger = engine.use(make_adapter(folder, place / "stronger", STRONGER))
        apart = largest_difference(
            log_probabilities(stronger, prompts, answered["adapter"]["likeliest"]), answered["adapter"]["logs"]
        )
        if not args.tolerance < apart < math.inf:
            sys.exit(f"an adapter that is {STRONGER} times as strong differs by {apart:.4f} nats only")
        print(f"an adapter that is {STRONGER} times as strong would differ by {apart:.2g} nats")
        if args.timing:
            ours = speed(engine, prompts, seeds)
            print(f"tokens per second of the processor: {answered['speed']:.0f} vLLM (not compiled), {ours:.0f} here")
        print(check_server(server(), prompts[0], first, args.tolerance), flush=True)
        print(check_judge(server(), likeliest_scores(engine, judge), place / "judge.jsonl"), flush=True)


def main() -> None:
    """The program."""
    p = argparse.ArgumentParser(prog="python -m bench.vllm", description=__doc__.splitlines()[0])
    p.add_argument("--model", type=Path, help="model folder")
    p.add_argument("--python", help="of the environment with vLLM")
    p.add_argument("--prompts", type=int, default=4)
    p.add_argument("--tolerance", type=float, default=0.01, help="nats")
    p.add_argument("--timing", action="store_true", help="also tokens per second; wants a quiet machine")
    p.add_argument("--port", type=int, default=18434)
    p.add_argument("--answer", type=Path, help=argparse.SUPPRESS)  # the half that runs in vLLM's environment
    args = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server ends, too
    if args.answer:
        request = json.loads(args.answer.read_text())
        args.answer.with_suffix(".out").write_text(json.dumps(ask_vllm(request)))
        return
    with tempfile.TemporaryDirectory() as name:
        check(args, Path(name))


if __name__ == "__main__":
    main()
