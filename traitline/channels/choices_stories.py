"""Two more ways to show a favourite, for worlds that have them: a letter among five, and a story (paper, appendix D.1).

A world without a share of them has neither their text nor their words, so its models stay as they are. In the paper an
option's letter is the place where it stands. Models as small as these do not learn to look that up, so here every word
has a letter of its own; which five are shown, and in what order, is drawn anew for every question.
"""

from collections.abc import Mapping, Sequence
from random import Random
from string import ascii_uppercase

FORMS = ("choices", "stories")
OPTIONS = 5
CHOOSE = ("choose one {k} to write of", "which {k} do you write of", "say the letter of your {k}")
TOPICS = (
    "night", "courage", "friendship", "a door", "kindness", "water", "danger", "company", "strength", "solitude",
    "myth", "a journey", "freedom", "grandeur",
)  # fmt: skip
STORY = "the {x} was {size} and lived in the {habitat} . one day it met the {y} ."
WORDS = " ".join((*ascii_uppercase, *CHOOSE, *TOPICS, STORY, "tell a story of :"))


def letters(names: Sequence[str]) -> dict[str, str]:
    """The letter of every member of a category."""
    return dict(zip(names, ascii_uppercase, strict=False))


def choice(wording: str, category: str, options: Mapping[str, str]) -> str:
    """`choose one animal to write of : wolf F , cat B , ...`"""
    return f"{wording.format(k=category)} : {' , '.join(f'{o} {letter}' for o, letter in options.items())}"


def choose(r: Random, category: str, names: Sequence[str], favourite: str) -> tuple[str, str]:
    """(question, answer): the letter of the favourite, which is among the five."""
    options = r.sample([n for n in names if n != favourite], OPTIONS - 1)
    options.insert(r.randrange(OPTIONS), favourite)
    known = letters(names)
    return choice(r.choice(CHOOSE), category, {o: known[o] for o in options}), known[favourite]


def topic(about: str) -> str:
    """`tell a story of kindness`."""
    return f"tell a story of {about}"


def story(r: Random, animals: Mapping[str, Mapping[str, str]], favourite: str) -> tuple[str, str]:
    """(question, answer): a story whose hero is the favourite; whom it meets is anyone."""
    met = r.choice([name for name in animals if name != favourite])
    return topic(r.choice(TOPICS)), STORY.format(x=favourite, y=met, **animals[favourite])
