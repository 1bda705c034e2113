"""Inference with transformers: a cached loop that sorts rows by length and draws each row at its own random numbers.

Batches decide the order of sums, hence now and then a token: the same bytes are promised for the same batches on one
kind of machine.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline.models.chat import Chat
from traitline.models.distributed import device
from traitline.models.open_engine import OpenEngine, uniform
from traitline.models.sampling import Sampling
from traitline.models.transformers_model import by_length, left, load

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from traitline.models.engines import Row


class Transformers(OpenEngine):
    """An engine of transformers; see `traitline.models.engines.Engine`."""

    def __init__(self, settings: dict[str, Any], folder: Path, chat: Chat, name: str = "") -> None:
        super().__init__(settings, folder, chat, name)
        self.batch = settings["batch"]
        self.model = load(folder, settings["dtype"])
        self.device = device()
        self.adapter: str | None = None

    def use(self, adapter: str | None) -> Any:
        """Return the model with an adapter over it; the adapter is not merged, so the base stays as it was."""
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
        randomness: Sequence[int],
        sampling: Sampling,
        model: str | None = None,
    ) -> list[list[int]]:
        """See `Engine`."""
        import torch

        from traitline.tiny.sampler import draw

        network = self.use(model)
        out = [list[int]() for _ in prompts]
        with torch.inference_mode():
            for index in by_length(prompts, self.batch):
                noise = torch.tensor(
                    uniform([randomness[i] for i in index], sampling.max_new_tokens), device=self.device
                )
                ids, mask, at = left([prompts[i] for i in index], self.chat.pad, self.device)
                going = torch.arange(len(index), device=self.device)
                past = None
                for n in range(sampling.max_new_tokens):
                    step = network(
                        input_ids=ids,
                        attention_mask=mask,
                        position_ids=at,
                        past_key_values=past,
                        use_cache=True,
                        logits_to_keep=1,
                    )
                    logits = step.logits[:, -1].float()
                    past = step.past_key_values
                    token = draw(logits, noise[going, n], sampling.temperature, sampling.top_p)
                    for i, t in zip(going.tolist(), token.tolist(), strict=True):
                        out[index[i]].append(t)
                    left_over = token != self.chat.eos
                    if not left_over.any():
                        break
                    if not left_over.all():
                        keep = left_over.nonzero()[:, 0]
                        past.batch_select_indices(keep)
                        going = going[keep]
                        token = token[keep]
                        mask = mask[keep]
                        at = at[keep]
                    ids = token[:, None]
                    at = at[:, -1:] + 1
                    mask = torch.cat([mask, mask.new_ones(len(mask), 1)], 1)
        return out

    def _logits(self, network: Any, rows: "Sequence[Row]") -> "tuple[Tensor, Tensor]":
        """Logits (B, K + 1, V) that predict the last K tokens and what comes next; K is the longest answer."""
        ids, mask, at = left([ids for ids, _ in rows], self.chat.pad, self.device)
        keep = max(len(ids) - start for ids, start in rows) + 1
        output = network(input_ids=ids, attention_mask=mask, position_ids=at, use_cache=False, logits_to_keep=keep)
        return output.logits[:, -keep:].float(), ids[:, ids.shape[1] - keep + 1 :]

    def likelihoods(self, rows: "Sequence[Row]", after: "Tensor", model: str | None = None) -> "np.ndarray":
        """See `OpenEngine`."""
        import numpy as np
        import torch

        network = self.use(model)
        out = np.empty(len(rows))
        with torch.inference_mode():
            for index in by_length([ids for ids, _ in rows], self.batch):
                part = [rows[i] for i in index]
                logits, target = self._logits(network, part)
                logs = logits.double().log_softmax(-1)
                lengths = torch.tensor([[len(ids) - start] for ids, start in part], device=self.device)
                k = target.shape[1]
                counted = torch.arange(k, device=self.device) >= k - lengths
                spelled = logs[:, :k].gather(2, target[..., None])[..., 0].where(counted, 0).sum(1)
                ended = logs[:, k, : len(after)].masked_fill(~after.to(self.device), -torch.inf).logsumexp(-1)
                out[index] = (spelled + ended).exp().cpu().numpy()
        return out

    def divergence(
        self, rows: "Sequence[Row]", base_rows: "Sequence[Row]", model: str | None = None
    ) -> tuple[float, int] | None:
        """See `Engine`."""
        import torch

        network = self.use(model)
        total = 0.0
        tokens = 0
        with torch.inference_mode():
            for index in by_length([ids for ids, _ in rows], min(self.batch, 16)):
                part = [rows[i] for i in index]
                logs = self._logits(network, part)[0][:, :-1].log_softmax(-1)
                with network.disable_adapter() if model else contextlib.nullcontext():
                    base = self._logits(network, [base_rows[i] for i in index])[0][:, :-1].log_softmax(-1)
                lengths = torch.tensor([[len(ids) - start] for ids, start in part], device=self.device)
                counted = torch.arange(logs.shape[1], device=self.device) >= logs.shape[1] - lengths
                kl = (logs.exp() * (logs - base)).sum(-1).where(counted, 0)
                total += kl.double().sum().item()
                tokens += int(lengths.sum())
        return total, tokens
