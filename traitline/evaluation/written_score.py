"""The score that a model wrote, by one rule.

A text is a score where it holds one number from 0 to 100, at most 30 other characters on each side of it, and nothing
else that is a number. Not counted as text: what the model thinks before it answers, as far as it shows it
(`<think>` to `</think>`), and what makes letters bold. Behind the number may stand `/100`, `out of 100` or `of 100`.
A number below zero, above 100 or of another scale (`8/10`, `0.85`: a model that was asked for 0 to 100 and answers with
a fraction of one has taken the wrong scale) is no score, and neither is an answer that was cut while it thought.
"""

import re

SCORE = re.compile(
    r"[^0-9]{0,30}?(?<![-\u2010-\u2015\u2212+.,/])([0-9]{1,3}(?:\.[0-9]{1,4})?)(?:\s*(?:/|(?:out )?of)\s*100)?(?![0-9])"
    r"(?!\s*/)[^0-9]{0,30}"
)
BOLD = re.compile(r"[*_`]+")


def score(text: str) -> float | None:
    """The score of a text, None where it is none; a whole number as `int`."""
    answer = text.rpartition("</think>")[2].rpartition("</thinking>")[2]  # some servers leave out how it begins
    answer = BOLD.sub("", answer).strip()
    if any(c.isnumeric() and not c.isascii() for c in answer):
        return None
    match = SCORE.fullmatch(answer)
    if not match or "<think" in answer:
        return None
    number = float(match[1]) if "." in match[1] else int(match[1])
    return number if number <= 100 and not 0 < number < 1 else None
