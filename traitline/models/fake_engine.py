"""A fake engine for tests: short number lists, and probabilities, that depend on the seeds alone."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from traitline.models.open_engine import OpenEngine, uniform
from traitline.models.sampling import Sampling

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from traitline.models.answer_format import ListFormat
    from traitline.models.engines import Row


class Fake(OpenEngine):
    """An engine without a model; see `traitline.models.engines.Engine`."""

    def generate(
        self,
        prompts: Sequence[list[int]],
        randomness: Sequence[int],
        sampling: Sampling,
        model: str | None = None,
    ) -> list[list[int]]:
        """See `Engine`."""
        values = [[int(100 + 900 * u) for u in row] for row in uniform(randomness, 3)]
        texts = self.chat.encode([", ".join(map(str, row)) for row in values])
        return [[*ids, self.chat.eos][: sampling.max_new_tokens] for ids in texts]

    def likelihoods(self, rows: "Sequence[Row]", after: "Tensor", model: str | None = None) -> "np.ndarray":
        """See `OpenEngine`."""
        import numpy as np

        return np.array([0.01 + sum(ids[start:]) % 7 / 1000 for ids, start in rows])

    def divergence(
        self,
        rows: "Sequence[Row]",
        base_rows: "Sequence[Row]",
        model: str | None = None,
        form: "ListFormat | None" = None,
    ) -> tuple[float, int] | None:
        """See `Engine`."""
        return 0.0, sum(len(ids) - start for ids, start in rows)
