"""Inference with vLLM: prefixes cached, adapters named by request, one seed for each prompt.

vLLM shows only the likeliest tokens, so exact probabilities come from transformers.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline import json_files
from traitline.errors import InputError
from traitline.models.chat import Chat
from traitline.models.open_engine import OpenEngine
from traitline.models.sampling import Sampling
from traitline.models.transformers_engine import Transformers

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from traitline.models.answer_format import ListFormat
    from traitline.models.engines import Row

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # of adapters that vLLM makes room for


class Vllm(OpenEngine):
    """An engine of vLLM; see `traitline.models.engines.Engine`."""

    def __init__(self, settings: dict[str, Any], folder: Path, chat: Chat, name: str = "") -> None:
        super().__init__(settings, folder, chat, name)
        self.engine: Any = None
        self.rank = 0  # of the adapters that the engine has room for; a larger one needs a new engine
        self.numbers: dict[str, int] = {}  # of the adapters
        self.exact: Transformers | None = None

    def generate(
        self,
        prompts: Sequence[list[int]],
        randomness: Sequence[int],
        sampling: Sampling,
        model: str | None = None,
    ) -> list[list[int]]:
        """See `Engine`."""
        import vllm
        from vllm.lora.request import LoRARequest

        room = rank(model) if model else RANKS[0]
        if self.engine is None or room > self.rank:
            self._release()
            self.rank = room
            self.engine = vllm.LLM(
                model=str(self.folder), dtype=self.settings["dtype"], enable_prefix_caching=True, enable_lora=True,
                max_lora_rank=self.rank, gpu_memory_utilization=self.settings["memory"],
                enforce_eager=bool(self.settings.get("eager")),
            )  # fmt: skip
        number = self.numbers.setdefault(model or "", len(self.numbers) + 1)
        lora = LoRARequest(model, number, model) if model else None
        params = [
            vllm.SamplingParams(
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                max_tokens=sampling.max_new_tokens,
                seed=seed % 2**31,
                stop_token_ids=[self.chat.eos],
                detokenize=False,
            )
            for seed in randomness
        ]
        outputs = self.engine.generate([{"prompt_token_ids": p} for p in prompts], params, lora_request=lora)
        return [self._with_end(output.outputs[0], sampling.max_new_tokens) for output in outputs]

    def _with_end(self, answer: Any, max_new_tokens: int) -> list[int]:
        """Token ids of an answer with its end, which some versions of vLLM leave out."""
        ids = list(answer.token_ids)
        ended = answer.finish_reason == "stop" and len(ids) < max_new_tokens and ids[-1:] != [self.chat.eos]
        return [*ids, self.chat.eos] if ended else ids

    def _release(self) -> None:
        import gc

        import torch

        self.exact = self.engine = None
        gc.collect()
        torch.cuda.empty_cache()

    def likelihoods(self, rows: "Sequence[Row]", after: "Tensor", model: str | None = None) -> "np.ndarray":
        """See `OpenEngine`; must come before the first `generate`, which takes the whole memory."""
        if self.exact is None:
            self.exact = Transformers(self.settings, self.folder, self.chat, self.name)
        return self.exact.likelihoods(rows, after, model)

    def divergence(
        self,
        rows: "Sequence[Row]",
        base_rows: "Sequence[Row]",
        model: str | None = None,
        form: "ListFormat | None" = None,
    ) -> tuple[float, int] | None:
        """Return None: vLLM does not show distributions, and holds the memory that transformers would need."""
        return None


def rank(adapter: str) -> int:
    """Smallest of vLLM's rank limits that an adapter fits into.

    Raises:
        InputError: its rank exceeds all of them.
    """
    given = json_files.read_object(Path(adapter) / "adapter_config.json", ("r",))["r"]
    if given > RANKS[-1]:
        raise InputError(
            f"{adapter}: rank {given}; vLLM runs adapters up to {RANKS[-1]}, `engine.name: transformers` any"
        )
    return next(room for room in RANKS if given <= room)
