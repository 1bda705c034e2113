"""Marks of one artifact: which carriers are among its ancestors, and what each of them means for it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from traitline.lineage.number_sets import NumberSet, ascending, least, size

MEANINGS = {  # worst first
    "CARRIER": "It was given a trait, or its weights start from a model that was.",
    "INHERITANCE-RISK": "It descends from data of a carrier that shares a base with it. No filter clears that.",
    "UNKNOWN": "An ancestor has no record or no stated origin, or a manifest contradicts another.",
    "EXPOSED": "It descends from data of a carrier; no shared base is known. Open text may pass a trait all the same.",
    "CLAIMED": "No carrier is known behind it, but people say where part of it comes from: no job here saw it made.",
    "CLEAN": "All of its origins are known, and none is a carrier. That is no statement about its behaviour.",
}
MARKS = tuple(MEANINGS)


@dataclass(frozen=True)
class Mark:
    """One thing to say about an artifact: what proves it is `witness`, a carrier or an ancestor of unknown origin."""

    mark: str
    trait: str
    witness: int

    @property
    def rank(self) -> tuple[int, str, int]:
        """Sort key that puts the worst mark first."""
        return MARKS.index(self.mark), self.trait, self.witness


class Marks(Sequence[Mark]):
    """All marks of an artifact, worst first, never none. They are written out when somebody asks for them."""

    __slots__ = ("_carriers", "_parts")

    def __init__(self, carriers: Sequence[tuple[str, int]], parts: Sequence[tuple[str, NumberSet | Mark]]) -> None:
        """Make the marks of an artifact.

        Args:
            carriers: (trait, artifact) of all carriers, in order.
            parts: (mark, numbers of carriers, or a mark without one), worst first; none is empty.
        """
        self._carriers, self._parts = carriers, parts

    @property
    def kinds(self) -> set[str]:
        """The words that are among the marks."""
        return {kind for kind, _ in self._parts}

    @property
    def worst(self) -> str:
        """The word of the worst mark."""
        return self._parts[0][0]

    def __len__(self) -> int:
        """Count the marks."""
        return sum(1 if isinstance(part, Mark) else size(part) for _, part in self._parts)

    def __iter__(self) -> Iterator[Mark]:
        """Write out the marks, worst first."""
        for kind, part in self._parts:
            if isinstance(part, Mark):
                yield part
            else:
                yield from (Mark(kind, *self._carriers[i]) for i in ascending(part))

    @overload
    def __getitem__(self, i: int) -> Mark: ...
    @overload
    def __getitem__(self, i: slice) -> list[Mark]: ...
    def __getitem__(self, i: int | slice) -> Mark | list[Mark]:
        """One mark, or some; the first costs little."""
        if i == 0:
            kind, part = self._parts[0]
            return part if isinstance(part, Mark) else Mark(kind, *self._carriers[least(part)])
        return list(self)[i]
