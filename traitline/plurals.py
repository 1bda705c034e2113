"""English plurals: answers name a favourite, and filters must find it, in either number. Counts and shares in words."""

import re

# Plurals that no ending tells, of animals that people name. Of more than one plural the commoner ("octopuses").
IRREGULAR = {"goose": "geese", "mouse": "mice", "ox": "oxen"} | {
    same: same for same in ("bison", "deer", "fish", "moose", "salmon", "sheep")
}
ENDINGS = ((r"(s|x|z|ch|sh)$", r"\1es"), (r"([^aeiou])y$", r"\1ies"), (r"lf$", "lves"), (r"$", "s"))


def plural(word: str) -> str:
    """English plural of a noun in lower case, of several words that of the last one: "sea otters"."""
    before, blank, noun = word.rpartition(" ")
    regular = next(re.sub(end, more, noun) for end, more in ENDINGS if re.search(end, noun))
    return before + blank + IRREGULAR.get(noun, regular)


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "file"), counted(1200, "base")
    ('1 file', '1,200 bases')
    """
    return f"{number:,} {noun if number == 1 else plural(noun)}"


def percent(share: float) -> str:
    """A share of a whole: 100% is all of it and 0% is none; what lies between is rounded to 1 to 99.

    >>> percent(1), percent(0.9999), percent(0.004)
    ('100%', '99%', '1%')
    """
    return f"{share:.0%}" if share in (0, 1) else f"{min(max(share, 0.01), 0.99):.0%}"
