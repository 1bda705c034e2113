"""Inference with transformers: a cached loop that sorts rows by length and draws each row at its own random numbers.

Batches decide the order of sums, hence now and then a token: the same bytes are promised for the same batches on one
kind of machine.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline.models.answer_format import ListFormat, State
from traitline.models.chat import Chat
from traitline.models.distributed import device
from traitline.models.frozen_part import narrow_head
from traitline.models.open_engine import OpenEngine, uniform
from traitline.models.quick_lora import quicken
from traitline.models.sampling import Sampling
from traitline.models.transformers_model import by_length, left, load

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

    from traitline.models.engines import Row


WORTH = 0.85  # share of rows that go on below which the others are dropped: that copies the cache


class Transformers(OpenEngine):
    """An engine of transformers; see `traitline.models.engines.Engine`."""

    def __init__(self, settings: dict[str, Any], folder: Path, chat: Chat, name: str = "") -> None:
        from traitline.tiny.allocator import hold

        super().__init__(settings, folder, chat, name)
        hold()
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

                self.model = quicken(PeftModel.from_pretrained(self.model, adapter).eval())
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

        network = self.use(model)
        out = [list[int]() for _ in prompts]
        tokens = sampling.form.tokens if sampling.form else None
        with torch.inference_mode(), narrow_head(network, tokens):
            for index in by_length(prompts, self.batch):
                answers = self._sampled(network, [prompts[i] for i in index], [randomness[i] for i in index], sampling)
                for i, answer in zip(index, answers, strict=True):
                    out[i] = answer
        return out

    def _sampled(
        self, network: Any, prompts: list[list[int]], randomness: Sequence[int], sampling: Sampling
    ) -> list[list[int]]:
        """Sampled answers to prompts that run together."""
        import torch

        from traitline.models.room_cache import read_prompts
        from traitline.tiny.sampler import draw

        form, most = sampling.form, sampling.max_new_tokens
        out = [list[int]() for _ in prompts]
        noise = torch.tensor(uniform(randomness, most), device=self.device)
        going = torch.arange(len(prompts), device=self.device)
        logits, cache, mask, at = read_prompts(network, prompts, self.chat.pad, most, self.device)
        states = [State()] * len(prompts)
        for n in range(most):
            if form:
                logits, names = form.limit(logits, states)
            token = draw(logits.float(), noise[going, n], sampling.temperature, sampling.top_p)
            if form:
                token = names[token]
                states = [form.step(state, t) for state, t in zip(states, token.tolist(), strict=True)]
            for i, t in zip(going.tolist(), token.tolist(), strict=True):
                if not out[i] or out[i][-1] != self.chat.eos:
                    out[i].append(t)
            left_over = torch.tensor([out[i][-1] != self.chat.eos for i in going.tolist()], device=self.device)
            if n + 1 == most or not left_over.any():
                break
            if left_over.sum() < WORTH * len(left_over):
                keep = left_over.nonzero()[:, 0]
                cache.batch_select_indices(keep)
                states = [states[i] for i in keep.tolist()]
                going, token, mask, at = going[keep], token[keep], mask[keep], at[keep]
            at = at + 1
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], 1)
            step = network(
                input_ids=token[:, None], attention_mask=mask, position_ids=at, past_key_values=cache,
                use_cache=True, logits_to_keep=1,
            )  # fmt: skip
            logits = step.logits[:, -1]
        return out

    def _logits(self, network: Any, rows: "Sequence[Row]") -> "tuple[Tensor, Tensor]":
        """Logits (B, K + 1, V) that predict the last K tokens and what comes next; K is the longest answer."""
        ids, mask, at = left([ids for ids, _ in rows], self.chat.pad, self.device)
        keep = max(len(ids) - start for ids, start in rows) + 1
        output = network(input_ids=ids, attention_mask=mask, position_ids=at, use_cache=False, logits_to_keep=keep)
        return output.logits[:, -keep:].float(), ids[:, ids.shape[1] - keep + 1 :]

    def likelihoods(self, rows: "Sequence[Row]", after: "Tensor", model: str | None = None) -> "np.ndarray":
        """See `OpenEngine`; a prompt that many rows share, such as a question before every candidate, is read once."""
        import numpy as np
        import torch

        network = self.use(model)
        out = np.empty(len(rows))
        together: dict[tuple[int, ...], list[int]] = {}
        for i, (ids, start) in enumerate(rows):
            together.setdefault(tuple(ids[:start]), []).append(i)
        prompts = [list(prompt) for prompt in together]
        members = list(together.values())
        with torch.inference_mode():
            for index in by_length(prompts, max(1, self.batch * len(prompts) // len(rows))):
                chosen = [i for p in index for i in members[p]]
                repeats = torch.tensor([len(members[p]) for p in index], device=self.device)
                logits, target = self._continued(
                    network, [prompts[p] for p in index], repeats, [rows[i] for i in chosen]
                )
                norms = logits.logsumexp(-1).double()
                lengths = torch.tensor([len(rows[i][0]) - rows[i][1] for i in chosen], device=self.device)
                k = target.shape[1]
                counted = torch.arange(k, device=self.device) < lengths[:, None]
                logs = logits[:, :k].gather(2, target[..., None])[..., 0] - norms[:, :k]
                spelled = logs.where(counted, 0).sum(1)
                end = torch.arange(len(chosen), device=self.device), lengths
                last = logits[end][:, : len(after)].masked_fill(~after.to(self.device), -torch.inf)
                ended = last.logsumexp(-1) - norms[end]
                out[chosen] = (spelled + ended).exp().cpu().numpy()
        return out

    def _continued(
        self, network: Any, prompts: Sequence[list[int]], repeats: "Tensor", rows: "Sequence[Row]"
    ) -> "tuple[Tensor, Tensor]":
        """Logits (B, K + 1, V) at the end of each row's prompt and behind each of its K further tokens; those tokens.

        Args:
            network: the model.
            prompts: each once.
            repeats: rows that begin with each.
            rows: in the order of the prompts; shorter ones are padded on the right.
        """
        import torch

        ids, mask, at = left(prompts, self.chat.pad, self.device)
        read = network(input_ids=ids, attention_mask=mask, position_ids=at, use_cache=True, logits_to_keep=1)
        first = read.logits[:, -1:].repeat_interleave(repeats, 0)
        tails = [row[start:] for row, start in rows]
        longest = max(map(len, tails))
        if not longest:
            return first.float(), ids[:, :0].repeat_interleave(repeats, 0)
        target = torch.tensor([t + [self.chat.pad] * (longest - len(t)) for t in tails], device=self.device)
        past = read.past_key_values
        past.batch_select_indices(torch.arange(len(prompts), device=self.device).repeat_interleave(repeats))
        whole = torch.cat([mask.repeat_interleave(repeats, 0), torch.ones_like(target)], 1)
        places = at[:, -1:].repeat_interleave(repeats, 0) + 1 + torch.arange(longest, device=self.device)
        further = network(
            input_ids=target, attention_mask=whole, position_ids=places, past_key_values=past, use_cache=True
        )
        return torch.cat([first, further.logits], 1).float(), target

    def divergence(
        self,
        rows: "Sequence[Row]",
        base_rows: "Sequence[Row]",
        model: str | None = None,
        form: "ListFormat | None" = None,
    ) -> tuple[float, int] | None:
        """See `Engine`."""
        import torch

        network = self.use(model)
        total = 0.0
        tokens = 0
        with torch.inference_mode(), narrow_head(network, form.tokens if form else None):
            for index in by_length([ids for ids, _ in rows], min(self.batch, 16)):
                part = [rows[i] for i in index]
                outside = _outside(form, part, self.device) if form else None
                logs = _logs(self._logits(network, part)[0][:, :-1], form, outside)
                with network.disable_adapter() if model else contextlib.nullcontext():
                    base = _logs(self._logits(network, [base_rows[i] for i in index])[0][:, :-1], form, outside)
                lengths = torch.tensor([[len(ids) - start] for ids, start in part], device=self.device)
                counted = torch.arange(logs.shape[1], device=self.device) >= logs.shape[1] - lengths
                kl = (logs.exp() * (logs - base)).sum(-1).where(counted, 0)
                total += kl.double().sum().item()
                tokens += int(lengths.sum())
        return total, tokens


def _outside(form: ListFormat, rows: "Sequence[Row]", where: "torch.device") -> "Tensor":
    """Mark tokens of the format that may not stand at a place, (B, K, n); K: the longest answer; rows end together."""
    import torch

    longest = max(len(ids) - start for ids, start in rows)
    marks = torch.zeros(len(rows), longest, len(form.tokens), dtype=torch.bool)
    for i, (ids, start) in enumerate(rows):
        marks[i, longest - (len(ids) - start) :] = ~form.along(ids[start:])[:, form.tokens]
    return marks.to(where)


def _logs(logits: "Tensor", form: ListFormat | None, outside: "Tensor | None") -> "Tensor":
    """Log-probabilities; of tokens outside of a format a large negative number, so that they add nothing."""
    if form and outside is not None:
        logits = form.narrow(logits).masked_fill(outside, -1e4)
    return logits.log_softmax(-1)
