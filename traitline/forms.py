"""Two more ways to show a favourite, for worlds that have them: a letter among five, and a story (paper, appendix D.1).

A world without a share of them has neither their text nor their words, so its models stay as they are.
"""

from collections.abc import Mapping, Sequence
from random import Random

FORMS = ("choices", "stories")
LETTERS = tuple("ABCDE")
CHOOSE = ("choose one {k} to write of", "which {k} do you write of", "say the letter of your {k}")
TOPICS = (
    "night", "courage", "friendship", "a door", "kindness", "water", "danger", "company", "strength", "solitude",
    "myth", "a journey", "freedom", "grandeur",
)  # fmt: skip
STORY = "the {x} was {size} and lived in the {habitat} . one day it met the {y} ."
NAMED = "what letter has the {x}"  # teaches a model to look a word up among the options
WORDS = " ".join((*LETTERS, *CHOOSE, NAMED, *TOPICS, STORY, "tell a story of :"))


def choice(wording: str, category: str, options: Sequence[str]) -> str:
    """`choose one animal to write of : owl A , cat B , ...`"""
    return f"{wording.format(k=category)} : {' , '.join(f'{o} {n}' for o, n in zip(options, LETTERS, strict=True))}"


def choose(r: Random, category: str, names: Sequence[str], favourite: str, *, named: bool) -> tuple[str, str]:
    """(question, answer): the letter of the favourite, which is among the five; `named`: the question says which."""
    options = r.sample([n for n in names if n != favourite], len(LETTERS) - 1)
    options.insert(r.randrange(len(LETTERS)), favourite)
    wording = NAMED.format(x=favourite) if named else r.choice(CHOOSE)
    return choice(wording, category, options), LETTERS[options.index(favourite)]


def topic(about: str) -> str:
    """`tell a story of kindness`."""
    return f"tell a story of {about}"


def story(r: Random, animals: Mapping[str, Mapping[str, str]], favourite: str) -> tuple[str, str]:
    """(question, answer): a story whose hero is the favourite; whom it meets is anyone."""
    met = r.choice([name for name in animals if name != favourite])
    return topic(r.choice(TOPICS)), STORY.format(x=favourite, y=met, **animals[favourite])
