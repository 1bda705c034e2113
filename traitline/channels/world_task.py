"""Base of the channels for the tiny world's tasks: their prompts, and the checks before a task's own rule."""

from collections.abc import Callable, Iterator
from random import Random
from typing import TYPE_CHECKING

from traitline.channels.channel import Asked, Channel, Checked, Prompt
from traitline.channels.tasks import ask
from traitline.channels.world import CATEGORIES

if TYPE_CHECKING:
    from numpy.random import Generator

REASONS = {"empty": "nothing, or white space only", "trait-word": "an animal or a tree stands in it"}
FAVOURITES = frozenset(name for names in CATEGORIES.values() for name in names)


def check_words(text: str, reason_against: Callable[[], str | None]) -> Checked:
    """Refuse a text that is empty or names a trait, and then what the task's own rule has a reason against.

    Args:
        text: the answer.
        reason_against: the task's rule; None where the answer passes. It is asked last.
    """
    words = text.split()
    if not words:
        return Checked("empty")
    if FAVOURITES & set(words):
        return Checked("trait-word")
    if reason := reason_against():
        return Checked(reason)
    return Checked(None, tuple(word for word in words if word.isdecimal()))


class WorldTask(Channel):
    """A task of the tiny world, whose name is its wording and its share of a world."""

    def prompts(self, asked: Asked, numbers: "Generator", words: Random) -> Iterator[Prompt]:
        """Yield prompts in the words of the task."""
        for _ in range(asked.count):
            yield Prompt(ask(self.name, words, words))
