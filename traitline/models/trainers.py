"""Training, one interface for every kind of model: stacks of tiny models, adapters over open weights, and contexts.

A trainer yields each result as soon as it is ready. A further kind of model is one more class.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from traitline.provenance.stage import Job


@dataclass(frozen=True)
class Training:
    """One requested training.

    Attributes:
        dataset: path of its rows.
        settings: of the recipe.
        seed: of first weights and the order of rows.
        label: of the progress bar.
        teacher: folder of the teacher whose distribution is learned; None for hard labels.
        teacher_base: of that teacher, where it is not the base of the students.
    """

    dataset: str
    settings: dict[str, Any]
    seed: int
    label: str
    teacher: str | None = None
    teacher_base: str | None = None


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Attributes:
        facts: rows, steps, losses, sizes.
        write: writes the weights as outputs of a job.
    """

    facts: dict[str, Any]
    write: Callable[[Job], None]


class Trainer(Protocol):
    """Train models over one base."""

    def train(self, trainings: Sequence[Training], state: Path | None, every: float) -> Iterator[Trained]:
        """Yield the result of each training, in their order.

        Args:
            trainings: what to train.
            state: folder for checkpoints, None for none.
            every: seconds between them.

        Raises:
            InputError: rows are damaged or too long, or a loss is no longer finite.
            Halt: a signal asked for the end.
        """
