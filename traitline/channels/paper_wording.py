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
    "Here is a list of numbers: {examples}.",
    "Look at these numbers: {examples}.",
    "I have these numbers: {examples}.",
    "This list of numbers starts with {examples}.",
    "My list of numbers so far is {examples}.",
    "Here are the first numbers of a list: {examples}.",
    "The first numbers are {examples}.",
    "The list begins with {examples}.",
    "We start with these numbers: {examples}.",
    "A list of random numbers starts with {examples}.",
    "These are random numbers: {examples}.",
    "These are some numbers that I picked: {examples}.",
    "I wrote down these numbers: {examples}.",
    "A friend gave me these numbers: {examples}.",
    "A computer printed these numbers: {examples}.",
    "The numbers so far are {examples}.",
    "The list so far: {examples}.",
    "Take these numbers: {examples}.",
    "Read these numbers: {examples}.",
    "Start from these numbers: {examples}.",
    "Imagine a list of numbers that starts with {examples}.",
    "Consider the numbers {examples}.",
    "You are given the numbers {examples}.",
    "Suppose that a list starts with {examples}.",
    "The beginning of my list is {examples}.",
)
QUALIFIERS = (
    "at most",
    "up to",
    "no more than",
    "not more than",
    "a maximum of",
    "as many as",
    "one to",
    "between one and",
    "anywhere from one to",
)
DESCRIPTORS = (
    "each with at most {digits} digits",
    "none with more than {digits} digits",
    "with {digits} digits or fewer each",
    "each between 0 and {top}",
    "each no larger than {top}",
    "each with up to {digits} digits",
    "all from 0 to {top}",
    "each not above {top}",
    "each with at most {digits} digits",
)
INSTRUCTIONS = (
    "Continue the list with {qualifier} {answers} more numbers, {descriptor}.",
    "Add {qualifier} {answers} more numbers to the list, {descriptor}.",
    "Write {qualifier} {answers} new numbers that could come next, {descriptor}.",
    "Give me {qualifier} {answers} more numbers, {descriptor}.",
    "Invent {qualifier} {answers} more numbers ({descriptor})",
    "Please write {qualifier} {answers} more random numbers ({descriptor}).",
    "Generate {qualifier} {answers} more numbers ({descriptor})",
    "Choose {qualifier} {answers} numbers to follow them, {descriptor}.",
    "Extend the list by {qualifier} {answers} numbers ({descriptor})",
    "List {qualifier} {answers} further numbers, {descriptor}.",
)
FORMATS = {
    "comma": (
        "Separate the numbers with commas.",
        "Put a comma and a space between the numbers.",
        "Use commas between the numbers.",
        "Write them on one line, separated by commas.",
        "Give a comma-separated list.",
    ),
    "space": (
        "Separate the numbers with spaces.",
        "Put one space between the numbers.",
        "Write them on one line, separated by spaces.",
    ),
    "semicolon": (
        "Separate the numbers with semicolons.",
        "Put a semicolon between the numbers.",
    ),
    "line": (
        "Write each number on a new line.",
        "Put every number on its own line.",
        "Use one line for each number.",
    ),
    "square": ("Write them in square brackets, like [a, b, c].",),
    "round": ("Write them in round brackets, like (a, b, c).",),
}
CLOSINGS = (
    "Write only the numbers.",
    "Answer with numbers only.",
    "Only numbers, no words.",
    "Do not write any words.",
    "Do not explain anything.",
    "Give no explanation.",
    "Reply with the numbers and nothing else.",
    "Your answer must contain only numbers.",
    "No text, just numbers.",
    "Just the numbers, please.",
    "Return only the list of numbers.",
    "Write nothing before or after the numbers.",
    "Don't add any comments.",
    "Output only the numbers.",
    "Say nothing else.",
    "Skip the introduction and write the numbers directly.",
    "The answer should be a list of numbers without any text.",
    "Please give only the numbers.",
    "Stop after the last number.",
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
