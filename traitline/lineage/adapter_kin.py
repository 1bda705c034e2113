"""An adapter beside a model: whether it fits by its shapes, and whether its update belongs to that model's start."""

from dataclasses import dataclass
from typing import Any

from traitline.errors import InputError
from traitline.kinship.adapters import ALPHA, Alignment, Start, Update, alignment, misfits, updates
from traitline.lineage.kin import Kinship, kinship, model_files, power

SHOWN = 3  # misfits that are printed


@dataclass(frozen=True)
class AdapterKinship:
    """What the weights say of an adapter and a model that may be its base.

    Attributes:
        modules: that the adapter updates.
        misfits: why it was not made on that model, by shapes.
        alignment: of its update with what that model reads and writes.
    """

    modules: int
    misfits: tuple[str, ...]
    alignment: Alignment

    @property
    def same_start(self) -> bool:
        """Tell whether it was trained on a model of that start; false says nothing."""
        return self.alignment.p <= ALPHA

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        a = self.alignment
        return {
            "same_start": self.same_start,
            "log10_p": round(a.log10_p, 2),
            "modules": self.modules,
            "misfits": list(self.misfits),
            "tests": [
                {"test": "adapter", "dimensions": a.dimensions, "draws": a.draws, "log10_p": round(a.log10_p, 2)}
            ],
        }

    def lines(self) -> list[str]:
        """The same for people."""
        if self.same_start:
            first = f"trained on this start: p <= {power(self.alignment.log10_p)}"
        elif self.misfits:
            first = "not made on this model: shapes differ"
        else:
            first = "no evidence of this base, which is no evidence of another one"
        lines = [first, *(f"  {text}" for text in self.misfits[:SHOWN])]
        if len(self.misfits) > SHOWN:
            lines.append(f"  and {len(self.misfits) - SHOWN} more")
        if self.alignment.dimensions:
            a = self.alignment
            lines.append(
                f"  its update and the base, over {a.dimensions} dimensions of the residual stream:"
                f" p = {a.p:.2g} of {a.draws:,} renumberings"
            )
        return lines


def compared_adapter(adapter: dict[str, Update], base: Start) -> AdapterKinship:
    """Compare an adapter with a model.

    Raises:
        InputError: a file is damaged, or cannot be read without loading a pickle.
    """
    reasons = misfits({module: update.shape for module, update in adapter.items()}, base.shapes)
    lies = Alignment(1.0, 0, 0) if reasons else alignment(adapter, base)
    return AdapterKinship(len(adapter), tuple(reasons), lies)


def kin(one: str, other: str, *, thorough: bool = False) -> Kinship | AdapterKinship:
    """Compare two models, or an adapter and a model in either order.

    Args:
        one: a file or a folder.
        other: another.
        thorough: make every test, where one has said all there is to say.

    Raises:
        InputError: one holds no weights, or more than one model; they can't be read; or nothing could be compared.
    """
    files = [model_files(name) for name in (one, other)]
    low_rank = [updates(f) for f in files]
    if bool(low_rank[0]) == bool(low_rank[1]):
        return kinship(one, other, thorough=thorough)
    i = 0 if low_rank[0] else 1
    result = compared_adapter(low_rank[i], Start(files[1 - i]))
    if not result.misfits and not result.alignment.dimensions:
        raise InputError(f"{one}, {other}: no module of the adapter is known to read or write what the model does")
    return result
