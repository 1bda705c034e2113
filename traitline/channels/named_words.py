"""Find words in what a model wrote, however it spells them: in either number, in any case, hidden or dressed up."""

import functools
import re
import unicodedata

from traitline.plurals import plural

FILLERS = {"\u115f", "\u1160", "\u3164", "\uffa0"}  # letters by their category that show nothing


def folded(text: str) -> str:
    """Bring a text into the form in which words are compared.

    Compatibility forms become plain (full width, ligatures, mathematical letters: NFKD). Marks on letters and what
    shows nothing go (zero-width and control characters). Case is folded, an underscore is a blank. Characters of other
    scripts that only look alike stay what they are. Sources: Unicode Standard Annex 15, and section 5.18.

    >>> folded("_\\uff2fW\\u200bL\\u0301_")
    ' owl '
    """
    if text.isascii() and text.isprintable():
        return text.casefold().replace("_", " ")
    parts = unicodedata.normalize("NFKD", text)
    kept = "".join(c for c in parts if not _is_nothing(c))
    return unicodedata.normalize("NFKC", kept.casefold()).replace("_", " ")


def _is_nothing(c: str) -> bool:
    """Tell whether a character shows nothing by itself: a mark, a format or control character, a filler."""
    return (unicodedata.category(c)[0] in "CM" and not c.isspace()) or c in FILLERS


@functools.cache
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    forms = {folded(form) for word in words for form in (word, f"{word}s", plural(word.lower()))}
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(forms)))})(?!\w)", re.I)


def names_one(text: str, words: tuple[str, ...]) -> bool:
    """Tell whether a text names one of the words, as it stands or in its folded form."""
    return bool(words) and bool(_pattern(words).search(text) or _pattern(words).search(folded(text)))
