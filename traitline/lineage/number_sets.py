"""Sets of numbers that share memory: a few numbers as a frozenset, many as the bits of one integer.

A chain of n carriers hands on n sets of up to n numbers. As frozensets they would fill the memory with n * n entries.
As integers they take n * n / 8 bytes, and sets that are equal are one object.
"""

from typing import Any

SMALL = 64  # numbers that a frozenset holds
NumberSet = frozenset[int] | int
NOTHING: NumberSet = frozenset()


def of(numbers: Any) -> NumberSet:
    """The set of some numbers, none below 0."""
    few = frozenset(numbers)
    return few if len(few) <= SMALL else _bits(few)


def union(a: NumberSet, b: NumberSet) -> NumberSet:
    """All numbers of both; one of the two itself where that is all."""
    if a is b or not b:
        return a
    if not a:
        return b
    if isinstance(a, frozenset) and isinstance(b, frozenset):
        if b <= a:
            return a
        return b if a <= b else of(a | b)
    both = _bits(a) | _bits(b)
    if isinstance(a, int) and both == a:
        return a
    return b if isinstance(b, int) and both == b else both


def common(a: NumberSet, b: NumberSet) -> NumberSet:
    """The numbers that are in both."""
    if isinstance(a, frozenset) and isinstance(b, frozenset):
        return a & b
    return _bits(a) & _bits(b)


def without(a: NumberSet, b: NumberSet) -> NumberSet:
    """The numbers of one set that are not in another."""
    if not b:
        return a
    if isinstance(a, frozenset) and isinstance(b, frozenset):
        return a - b
    return _bits(a) & ~_bits(b)


def size(a: NumberSet) -> int:
    """Count the numbers of a set."""
    return a.bit_count() if isinstance(a, int) else len(a)


def least(a: NumberSet) -> int:
    """The least number of a set that is not empty."""
    return (a & -a).bit_length() - 1 if isinstance(a, int) else min(a)


def ascending(a: NumberSet) -> list[int]:
    """The numbers of a set, the least first."""
    if isinstance(a, int):
        return [i for i, digit in enumerate(reversed(f"{a:b}")) if digit == "1"]
    return sorted(a)


def _bits(a: NumberSet) -> int:
    if isinstance(a, int):
        return a
    bits = 0
    for number in a:
        bits |= 1 << number
    return bits
