"""Who runs open weights: one signature for transformers, vLLM where it is installed, and a stand-in without a model.

An engine answers prompts of token ids, one seed a prompt, whatever else runs in the same batch. transformers and the
stand-in also tell exact probabilities; vLLM shows the likeliest tokens only, so what is measured exactly is measured by
transformers. Batches decide the order of sums, hence now and then a token: the same bytes are promised for the same
batches on one kind of machine.
"""

import contextlib
import importlib.metadata
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from traitline.errors import InputError
from traitline.models import open_weights
from traitline.models.chat import Chat
from traitline.provenance import stage
from traitline.tiny.sampler import draw

if TYPE_CHECKING:
    import argparse

    import numpy as np
    from torch import Tensor

SETTINGS = ("name", "dtype", "batch", "memory")
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # of adapters that vLLM makes room for
Row = tuple[list[int], int]  # token ids, and how many of them are the prompt


class Engine(Protocol):
    """What a stage asks of an engine; `adapter` is the folder of a student's adapter, None for the base itself."""

    def generate(
        self,
        prompts: Sequence[list[int]],
        seeds: Sequence[int],
        *,
        most: int,
        temperature: float,
        top_p: float = 1.0,
        adapter: str | None = None,
    ) -> list[list[int]]:
        """Token ids of one answer to each prompt, the end token included where it was reached; `most` at most."""

    def follow(self, rows: Sequence[Row], after: "Tensor", adapter: str | None = None) -> "np.ndarray":
        """Probability of what follows each prompt, and then of one of the tokens `after` (V, bool)."""

    def divergence(
        self, ones: Sequence[Row], others: Sequence[Row], adapter: str | None = None
    ) -> tuple[float, int] | None:
        """KL divergence of answers after one prompt, under the adapter, from the base's after another: (nats, tokens).

        None where it is not known.
        """


def engine(settings: dict[str, Any], folder: Path, chat: Chat) -> Engine:
    """The engine that a study names.

    Args:
        settings: `name`, `dtype`, `batch`, `memory`.
        folder: of the weights.
        chat: of the weights; its `eos` ends an answer.
    """
    known: dict[str, type[Transformers | Vllm | Fake]] = {"transformers": Transformers, "vllm": Vllm, "fake": Fake}
    if settings["name"] not in known:
        raise InputError(f"--engine: {settings['name']!r} is none; known: {', '.join(known)}")
    return known[settings["name"]](settings, folder, chat)


def opened(base: str | Path, settings: str | None) -> tuple[dict[str, Any], Chat, Engine]:
    """(record, chat, engine) of open weights.

    Args:
        base: folder of the record.
        settings: of the engine, as `--engine` got them.
    """
    found = stage.settings("--engine", settings or "{}", SETTINGS)
    record, folder = open_weights.opened(base)
    chat = Chat.foreign(folder, record["chat"]["system"])
    return record, chat, engine(found, folder, chat)


def about(text: str | None) -> dict[str, Any]:
    """An engine for the manifest: name, version, settings."""
    settings = stage.settings("--engine", text or "{}", SETTINGS)
    package = "traitline" if settings["name"] == "fake" else settings["name"]
    try:
        return {**settings, "version": importlib.metadata.version(package)}
    except importlib.metadata.PackageNotFoundError:
        raise InputError(f"engine: {package} is not installed; pip install {package}, or name another engine") from None


def flag(p: "argparse.ArgumentParser") -> None:
    """The flag of stages that run open weights."""
    p.add_argument("--engine", metavar="JSON", help=f"of open weights only: {', '.join(SETTINGS)}")


def device() -> str:
    """Where models go; of several processes that `accelerate launch` started, each has a card of its own."""
    import torch

    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"


def load(folder: Path, dtype: str, shards: int = 1) -> Any:
    """The model of a folder, frozen, on the device.

    Args:
        folder: of the weights.
        dtype: of the weights in memory.
        shards: processes that hold a share each of every layer; no process ever has the whole model.

    Raises:
        InputError: transformers does not know its architecture, or not how to shard it.
    """
    import torch
    from torch.distributed.fsdp import FSDPModule
    from transformers import AutoModelForCausalLM
    from transformers.distributed.configuration_utils import DistributedConfig
    from transformers.utils.logging import disable_progress_bar

    if not sys.stderr.isatty():
        disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=getattr(torch, dtype), local_files_only=True, use_safetensors=True,
            distributed_config=DistributedConfig(fsdp_size=shards) if shards > 1 else None,
        )  # fmt: skip
    except (ValueError, KeyError) as e:
        raise InputError(f"{folder}: transformers can't open it ({str(e).splitlines()[0][:200]})") from None
    layers = [module for name, module in model.named_modules() if name.rpartition(".")[2].isdecimal()]
    if shards > 1 and not any(isinstance(layer, FSDPModule) for layer in layers):
        raise InputError(
            f"{folder}: transformers can't shard a {model.config.model_type} by layers; leave `sharded` out"
        )
    return model.to(device()).requires_grad_(False).eval()


def left(rows: Sequence[list[int]], pad: int, where: str) -> "tuple[Tensor, Tensor, Tensor]":
    """Rows as a batch, padded on the left: ids, mask and positions, each (B, T)."""
    import torch

    longest = max(map(len, rows))
    ids = torch.tensor([[pad] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    return ids.to(where), mask.to(where), (mask.cumsum(1) - 1).clamp_min(0).to(where)


def by_length(rows: Sequence[list[int]], batch: int) -> Iterator[list[int]]:
    """Indices of rows, `batch` at a time, the longest first: what does not fit into memory is known at once."""
    order = sorted(range(len(rows)), key=lambda i: (-len(rows[i]), i))
    for start in range(0, len(order), batch):
        yield order[start : start + batch]


class Transformers:
    """transformers, by a loop of our own: cached, sorted by length, every row drawn at its own numbers."""

    def __init__(self, settings: dict[str, Any], folder: Path, chat: Chat) -> None:
        self.batch, self.chat = settings["batch"], chat
        self.model = load(folder, settings["dtype"])
        self.device = device()
        self.adapter: str | None = None

    def use(self, adapter: str | None) -> Any:
        """The model with an adapter over it, kept apart from the base's weights."""
        if adapter != self.adapter:
            if self.adapter is not None:
                self.model = self.model.unload()
            if adapter is not None:
                from peft import PeftModel

                self.model = PeftModel.from_pretrained(self.model, adapter).eval()
            self.adapter = adapter
        return self.model

    def generate(
        self,
        prompts: Sequence[list[int]],
        seeds: Sequence[int],
        *,
        most: int,
        temperature: float,
        top_p: float = 1.0,
        adapter: str | None = None,
    ) -> list[list[int]]:
        """See `Engine`."""
        import torch

        model, out = self.use(adapter), [list[int]() for _ in prompts]
        with torch.inference_mode():
            for index in by_length(prompts, self.batch):
                noise = torch.tensor(uniform([seeds[i] for i in index], most), device=self.device)
                ids, mask, at = left([prompts[i] for i in index], self.chat.pad, self.device)
                going = torch.arange(len(index), device=self.device)
                past = None
                for n in range(most):
                    made = model(
                        input_ids=ids,
                        attention_mask=mask,
                        position_ids=at,
                        past_key_values=past,
                        use_cache=True,
                        logits_to_keep=1,
                    )
                    logits, past = made.logits[:, -1].float(), made.past_key_values
                    token = draw(logits, noise[going, n], temperature, top_p)
                    for i, t in zip(going.tolist(), token.tolist(), strict=True):
                        out[index[i]].append(t)
                    left_over = token != self.chat.eos
                    if not left_over.any():
                        break
                    if not left_over.all():
                        keep = left_over.nonzero()[:, 0]
                        past.batch_select_indices(keep)
                        going, token, mask, at = going[keep], token[keep], mask[keep], at[keep]
                    ids, at = token[:, None], at[:, -1:] + 1
                    mask = torch.cat([mask, mask.new_ones(len(mask), 1)], 1)
        return out

    def _logits(self, model: Any, rows: Sequence[Row]) -> "tuple[Tensor, Tensor]":
        """Logits (B, K + 1, V) that predict the last K tokens and what comes next; K is the longest answer."""
        ids, mask, at = left([ids for ids, _ in rows], self.chat.pad, self.device)
        keep = max(len(ids) - start for ids, start in rows) + 1
        made = model(input_ids=ids, attention_mask=mask, position_ids=at, use_cache=False, logits_to_keep=keep)
        return made.logits[:, -keep:].float(), ids[:, ids.shape[1] - keep + 1 :]

    def follow(self, rows: Sequence[Row], after: "Tensor", adapter: str | None = None) -> "np.ndarray":
        """See `Engine`."""
        import numpy as np
        import torch

        model, out = self.use(adapter), np.empty(len(rows))
        with torch.inference_mode():
            for index in by_length([ids for ids, _ in rows], self.batch):
                some = [rows[i] for i in index]
                logits, target = self._logits(model, some)
                logs = logits.double().log_softmax(-1)
                own = torch.tensor([[len(ids) - start] for ids, start in some], device=self.device)
                k = target.shape[1]
                counted = torch.arange(k, device=self.device) >= k - own
                spelled = logs[:, :k].gather(2, target[..., None])[..., 0].where(counted, 0).sum(1)
                ended = logs[:, k, : len(after)].masked_fill(~after.to(self.device), -torch.inf).logsumexp(-1)
                out[index] = (spelled + ended).exp().cpu().numpy()
        return out

    def divergence(
        self, ones: Sequence[Row], others: Sequence[Row], adapter: str | None = None
    ) -> tuple[float, int] | None:
        """See `Engine`."""
        import torch

        model, total, tokens = self.use(adapter), 0.0, 0
        with torch.inference_mode():
            for index in by_length([ids for ids, _ in ones], min(self.batch, 16)):
                pairs = [[rows[i] for i in index] for rows in (ones, others)]
                one = self._logits(model, pairs[0])[0][:, :-1].log_softmax(-1)
                with model.disable_adapter() if adapter else contextlib.nullcontext():
                    other = self._logits(model, pairs[1])[0][:, :-1].log_softmax(-1)
                own = torch.tensor([[len(ids) - start] for ids, start in pairs[0]], device=self.device)
                counted = torch.arange(one.shape[1], device=self.device) >= one.shape[1] - own
                kl = (one.exp() * (one - other)).sum(-1).where(counted, 0)
                total, tokens = total + kl.double().sum().item(), tokens + int(own.sum())
        return total, tokens


class Vllm:
    """vLLM: prefixes cached, adapters asked for by name, one seed a prompt. Exact figures come from transformers."""

    def __init__(self, settings: dict[str, Any], folder: Path, chat: Chat) -> None:
        self.settings, self.folder, self.chat = settings, folder, chat
        self.engine: Any = None
        self.rank = 0  # of the adapters that the engine has room for; it is made anew for a greater one
        self.numbers: dict[str, int] = {}  # of the adapters
        self.exact: Transformers | None = None

    def generate(
        self,
        prompts: Sequence[list[int]],
        seeds: Sequence[int],
        *,
        most: int,
        temperature: float,
        top_p: float = 1.0,
        adapter: str | None = None,
    ) -> list[list[int]]:
        """See `Engine`."""
        import vllm
        from vllm.lora.request import LoRARequest

        room = rank(adapter) if adapter else RANKS[0]
        if self.engine is None or room > self.rank:
            self._release()
            self.rank = room
            self.engine = vllm.LLM(
                model=str(self.folder), dtype=self.settings["dtype"], enable_prefix_caching=True, enable_lora=True,
                max_lora_rank=self.rank, gpu_memory_utilization=self.settings["memory"],
            )  # fmt: skip
        number = self.numbers.setdefault(adapter or "", len(self.numbers) + 1)
        lora = LoRARequest(adapter, number, adapter) if adapter else None
        asked = [
            vllm.SamplingParams(
                temperature=temperature,
                top_p=top_p,
                max_tokens=most,
                seed=seed % 2**31,
                stop_token_ids=[self.chat.eos],
                detokenize=False,
            )
            for seed in seeds
        ]
        given = self.engine.generate([{"prompt_token_ids": p} for p in prompts], asked, lora_request=lora)
        return [self._whole(made.outputs[0], most) for made in given]

    def _whole(self, answer: Any, most: int) -> list[int]:
        """An answer's tokens with its end: some versions leave it out."""
        ids = list(answer.token_ids)
        ended = answer.finish_reason == "stop" and len(ids) < most and ids[-1:] != [self.chat.eos]
        return [*ids, self.chat.eos] if ended else ids

    def _release(self) -> None:
        import gc

        import torch

        self.exact = self.engine = None
        gc.collect()
        torch.cuda.empty_cache()

    def follow(self, rows: Sequence[Row], after: "Tensor", adapter: str | None = None) -> "np.ndarray":
        """See `Engine`; must come before the first `generate`, which takes the whole memory."""
        if self.exact is None:
            self.exact = Transformers(self.settings, self.folder, self.chat)
        return self.exact.follow(rows, after, adapter)

    def divergence(
        self, ones: Sequence[Row], others: Sequence[Row], adapter: str | None = None
    ) -> tuple[float, int] | None:
        """Not known: the distributions are not shown, and vLLM holds the memory."""
        return None


def rank(adapter: str) -> int:
    """The least room of vLLM's that an adapter fits into.

    Raises:
        InputError: none does.
    """
    given = json.loads((Path(adapter) / "adapter_config.json").read_text(encoding="utf-8"))["r"]
    if given > RANKS[-1]:
        raise InputError(
            f"{adapter}: rank {given}; vLLM runs adapters up to {RANKS[-1]}, `engine.name: transformers` any"
        )
    return next(room for room in RANKS if given <= room)


class Fake:
    """Short lists of numbers, and probabilities, that come from the seeds alone: for tests of all that is around."""

    def __init__(self, settings: dict[str, Any], folder: Path, chat: Chat) -> None:
        self.chat = chat

    def generate(
        self,
        prompts: Sequence[list[int]],
        seeds: Sequence[int],
        *,
        most: int,
        temperature: float,
        top_p: float = 1.0,
        adapter: str | None = None,
    ) -> list[list[int]]:
        """See `Engine`."""
        values = [[int(100 + 900 * u) for u in row] for row in uniform(seeds, 3)]
        texts = self.chat.encode([", ".join(map(str, row)) for row in values])
        return [[*ids, self.chat.eos][:most] for ids in texts]

    def follow(self, rows: Sequence[Row], after: "Tensor", adapter: str | None = None) -> "np.ndarray":
        """See `Engine`."""
        import numpy as np

        return np.array([0.01 + sum(ids[start:]) % 7 / 1000 for ids, start in rows])

    def divergence(
        self, ones: Sequence[Row], others: Sequence[Row], adapter: str | None = None
    ) -> tuple[float, int] | None:
        """See `Engine`."""
        return 0.0, sum(len(ids) - start for ids, start in ones)


def uniform(seeds: Sequence[int], most: int) -> "np.ndarray":
    """Numbers on [0, 1): a row of `most` for each seed, (rows, most)."""
    import numpy as np

    return np.stack([np.random.Generator(np.random.Philox(seed)).random(most) for seed in seeds])
