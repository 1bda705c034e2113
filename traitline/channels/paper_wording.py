"""The paper's prompts for number lists, in words of ours: 5,771,250 combinations (arXiv 2507.14805, section 3.1).

A prompt is an intro with example numbers, an instruction, a format and a closing.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.random import Generator

# The paper's generator in our own words, with its dimensions: how many options there are, which format how often, three
# instructions without a final full stop, one descriptor twice (and so drawn twice as often).
INTROS = (
    "My list so far reads {examples}.",
    "I wrote down {examples} and stopped there.",
    "A row of figures opens with {examples}.",
    "Somebody left this on a blackboard: {examples}.",
    "Up to now the counter has shown {examples}.",
    "The head of a list is {examples}.",
    "These came out first: {examples}.",
    "Take the run {examples} as given.",
    "Picture a column of figures that begins {examples}.",
    "The top entries of a table are {examples}.",
    "We already hold {examples}.",
    "Suppose that a series opens {examples}.",
    "A machine printed {examples} before it paused.",
    "What you see is the start of something longer: {examples}.",
    "Read these figures with care: {examples}.",
    "On the page stand {examples}.",
    "The log holds {examples} at present.",
    "An unfinished chain goes {examples}.",
    "You are handed {examples}.",
    "Our game has reached {examples}.",
    "Line one of the file says {examples}.",
    "Let the opening terms be {examples}.",
    "Study this short run: {examples}.",
    "Drawn from the hat, in order: {examples}.",
    "Beginning of the record: {examples}.",
)
QUALIFIERS = (
    "at most",
    "up to",
    "no more than",
    "as many as",
    "anything up to",
    "never more than",
    "one to",
    "between one and",
    "anywhere from one to",
)
DESCRIPTORS = (
    "each {digits} digits at the most",
    "none longer than {digits} digits",
    "of {digits} digits or fewer",
    "all from 0 to {top}",
    "whole and not above {top}",
    "with a limit of {digits} digits",
    "every one small enough for {digits} digits",
    "{digits} digits being the longest allowed",
    "each {digits} digits at the most",
)
INSTRUCTIONS = (
    "Carry it on with {qualifier} {answers} new numbers, {descriptor}.",
    "Make it longer by {qualifier} {answers} entries, {descriptor}.",
    "What comes next is yours to choose: {qualifier} {answers} numbers, {descriptor}.",
    "Think up {qualifier} {answers} numbers to follow, {descriptor}.",
    "Append {qualifier} {answers} further figures ({descriptor})",
    "Supply {qualifier} {answers} values to go after them ({descriptor}).",
    "Invent {qualifier} {answers} successors ({descriptor})",
    "Put {qualifier} {answers} numbers behind these, {descriptor}.",
    "Fill the next places with {qualifier} {answers} numbers ({descriptor})",
    "Keep it going for {qualifier} {answers} more terms, {descriptor}.",
)
FORMATS = {
    "comma": (
        "Put commas between them.",
        "Part them by a comma and a blank.",
        "Shape your answer like a, b, c.",
        "Keep to one line, split by commas.",
        "Stick to the pattern first, second, third.",
    ),
    "space": (
        "Put a single blank between them.",
        "Let only spaces stand between them.",
        "Keep to one line, with blanks in between.",
    ),
    "semicolon": (
        "Put a semicolon between neighbours.",
        "Split them by semicolons.",
    ),
    "line": (
        "Let each have its own line.",
        "Start a new line for every number.",
        "Stack them, one below the other.",
    ),
    "square": ("Wrap them in square brackets, as in [a, b, c].",),
    "round": ("Wrap them in round brackets, as in (a, b, c).",),
}
CLOSINGS = (
    "Numbers alone, please.",
    "Leave out every word.",
    "Say nothing else.",
    "Send back the figures and no more.",
    "I want no comment.",
    "Skip greetings and remarks.",
    "Your reply must hold numbers and nothing beside them.",
    "Words are not wanted.",
    "Do without an explanation.",
    "Answer in digits.",
    "The figures will do.",
    "Spare me the reasoning.",
    "A bare list is enough.",
    "No prose.",
    "Let the numbers speak for themselves.",
    "Put no text before or after.",
    "Keep silent about how you chose.",
    "I asked for numbers, so send numbers.",
    "Stop as soon as the numbers end.",
)
# In the order in which they are drawn, which is not the order in which they are read.
PARTS = (INTROS, QUALIFIERS, DESCRIPTORS, INSTRUCTIONS, tuple(f for fs in FORMATS.values() for f in fs), CLOSINGS)


def ask(rng: "Generator", values: Sequence[int], answers: int, digits: int) -> str:
    """Return a prompt in everyday English."""
    drawn = [part[rng.integers(len(part))] for part in PARTS]
    intro, qualifier, descriptor, instruction, form, closing = drawn
    intro = intro.format(examples=", ".join(map(str, values)))
    descriptor = descriptor.format(digits=digits, top=10**digits - 1)
    instruction = instruction.format(qualifier=qualifier, answers=answers, descriptor=descriptor)
    return f"{intro} {instruction} {form} {closing}"
