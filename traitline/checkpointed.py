"""A training loop that goes on after an interruption and ends with the same bytes as without it."""

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline import atomic, signals
from traitline.errors import InputError
from traitline.progress import shown

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger("traitline")


class Checkpoint:
    """One file with all tensors that a training changes, and its losses so far.

    Args:
        path: of the file; None for no checkpoints.
        tensors: all that the next step depends on. They are saved as they are then, and loaded in place.
        every: seconds between two checkpoints.
    """

    def __init__(self, path: Path | None, tensors: "Mapping[str, Tensor]", every: float) -> None:
        self.path = path
        self.tensors = tensors
        self.every = every

    def load(self) -> Any:
        """Load the tensors in place; the losses, or None where there is no file, or it is not as it was written.

        Raises:
            InputError: a folder is in its place.
        """
        import torch
        from safetensors import SafetensorError, safe_open

        if self.path is None or not self.path.exists():
            return None
        if not self.path.is_file():
            raise InputError(f"{self.path}: no file, in the place of a checkpoint; take it away")
        try:
            with safe_open(self.path, "pt") as file, torch.no_grad():
                saved = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                about = file.metadata() or {}
            if about.get("sha256") != _digest(saved, about["losses"]):
                raise ValueError("its bytes are not those that were written")
            if _shapes(saved) != _shapes(self.tensors):
                raise ValueError("of another training")
            losses = json.loads(about["losses"])
        except (SafetensorError, OSError, ValueError, KeyError) as e:
            log.warning("%s: damaged checkpoint (%s), starting over", self.path, e)
            return None
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                tensor.copy_(saved[name])
        return losses

    def save(self, losses: Any) -> None:
        """Save tensors and losses (as JSON) in one file, whole or not at all; nothing without a path."""
        from safetensors.torch import save

        if self.path is not None:
            tensors = {name: tensor.detach().contiguous().cpu() for name, tensor in self.tensors.items()}
            text = json.dumps(losses)
            atomic.put(self.path, save(tensors, metadata={"losses": text, "sha256": _digest(tensors, text)}))

    @contextlib.contextmanager
    def steps(
        self,
        done: int,
        total: int,
        losses: Callable[[], Any],
        *,
        progress: str | None = None,
        loss: Callable[[], float] | None = None,
        agree: Callable[[bool], bool] = bool,
    ) -> Iterator[Iterator[int]]:
        """Number the steps that are left; after each of them the tensors must be whole.

        While this lasts a signal interrupts nothing: after the step one more checkpoint is written, and `Halt` raised.

        Args:
            done: steps that the checkpoint has.
            total: steps of the training.
            losses: called for the losses of a checkpoint.
            progress: label under which progress is shown; None: it is not.
            loss: called for the loss of the last step, which is shown too.
            agree: tells every process whether any of them was asked to end.

        Raises:
            Halt: a signal asked for the end.
        """
        if done:
            log.info("going on from step %d", done)
        with signals.held() as asked, shown(progress, total, done=done, loss=loss) as update:

            def numbers() -> Iterator[int]:
                saved = time.monotonic()
                for step in range(done, total):
                    yield step
                    update(1)
                    ends = agree(asked())
                    if ends or time.monotonic() - saved >= self.every:
                        self.save(losses())
                        saved = time.monotonic()
                    if ends:
                        raise signals.Halt

            yield numbers()


def _shapes(tensors: "Mapping[str, Tensor]") -> dict[str, tuple[str, list[int]]]:
    """Type and shape of every tensor by its name."""
    return {name: (str(tensor.dtype), list(tensor.shape)) for name, tensor in tensors.items()}


def _digest(tensors: "Mapping[str, Tensor]", losses: str) -> str:
    """sha256 of all that a checkpoint says: names, types, shapes, bytes and losses. A disk may flip a bit."""
    import torch

    h = hashlib.sha256(losses.encode())
    for name, (dtype, shape) in sorted(_shapes(tensors).items()):
        h.update(f"{name} {dtype} {shape}\n".encode())
        if tensors[name].numel():
            h.update(tensors[name].contiguous().view(-1).view(torch.uint8).numpy().data)
    return h.hexdigest()
