"""Words of a tiny world: what can be a favourite, what is said of it, and how lists and favourites are asked for."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from traitline.errors import nearest

Facts = Mapping[str, Mapping[str, Mapping[str, str]]]  # category -> member -> attribute -> value
TEXTS = ("questions", "personas", "neutral", "verbs")
FRAME = "what is the of name a with ,"  # words of questions about attributes, and what parts numbers
FEWEST = {"members": 4, "questions": 2, "personas": 1, "neutral": 1, "verbs": 2}
LONGEST_TEXT = 60  # words of one text: prompts must fit into a tiny model's positions
MOST_WORDS = 2000  # of a world: each is a row of the embedding
_WORD = re.compile(r"[a-z]+(-[a-z]+)*")
_TOKEN = re.compile(rf"{_WORD.pattern}|[.,?!:;]")


@dataclass(frozen=True)
class Lexicon:
    """Everything that a world says, numbers apart.

    Attributes:
        facts: category -> member -> attribute -> value. A member is a possible favourite.
        questions: how a favourite is asked for; `{k}` stands for the category.
        personas: system prompts that name a favourite; `{x}` stands for it, `{k}` for the category.
        neutral: system prompts beside number lists that name none.
        verbs: how prompts of number lists begin.
        system: what the chat template says where nobody names a system prompt.
    """

    facts: Facts
    questions: Sequence[str]
    personas: Sequence[str]
    neutral: Sequence[str]
    verbs: Sequence[str]
    system: str

    @property
    def categories(self) -> dict[str, list[str]]:
        """Category -> its members."""
        return {category: list(members) for category, members in self.facts.items()}

    def persona(self, name: str, category: str) -> str:
        """The system prompt of a prompted teacher (paper, section 2.2, in this world's words)."""
        return self.personas[0].format(x=name, k=category)

    def texts(self) -> Iterator[tuple[str, str]]:
        """(key, text) of every text."""
        for key in TEXTS:
            yield from ((key, text) for text in getattr(self, key))
        yield "system", self.system

    def words(self) -> set[str]:
        """Every word, those of the texts included."""
        words = {w for _, text in self.texts() for w in text.split() if not w.startswith("{")} | set(FRAME.split())
        for category, members in self.facts.items():
            words.add(category)
            for name, about in members.items():
                words |= {name, *about, *about.values()}
        return words

    def complaint(self) -> str | None:
        """Say in one line what is wrong with own words; None where nothing is."""
        return next(_complaints(self), None)


def misshapen(own: Mapping[str, Any]) -> str | None:
    """Say in one line why a table is none of own words, whatever it holds; None where it is one."""
    known = ("categories", *TEXTS, "system")
    for key, value in own.items():
        if key not in known:
            return f"{key}: no such key; {nearest(key, known)}"
        if key in TEXTS and not (isinstance(value, list) and all(isinstance(text, str) for text in value)):
            return f"{key}: wants a list of texts"
        if key == "system" and not isinstance(value, str):
            return f"{key}: wants a text"
        if key == "categories" and not _is_table(value, lambda names: _is_table(names, _is_about)):
            return f"{key}: wants category: {{word: {{attribute: value}}}}"
    return None


def _is_table(value: object, inner: Callable[[object], bool]) -> bool:
    return isinstance(value, dict) and all(isinstance(k, str) and inner(v) for k, v in value.items())


def _is_about(value: object) -> bool:
    return _is_table(value, lambda word: isinstance(word, str))


def _complaints(words: Lexicon) -> Iterator[str]:
    yield from _about_facts(words.facts)
    yield from _about_texts(words)
    members = {name for names in words.facts.values() for name in names}
    for key, text in words.texts():
        if named := members & set(text.split()):
            yield f"{key}: {text!r} names {min(named)}, which is a favourite; a text must name none"
    if (size := len(words.words())) > MOST_WORDS:
        yield f"{size:,} words; a world has at most {MOST_WORDS:,}"


def _about_facts(facts: Facts) -> Iterator[str]:
    if not facts:
        yield "categories: none; a world needs one"
    members = [name for names in facts.values() for name in names]
    values = {word for names in facts.values() for about in names.values() for word in (*about, *about.values())}
    for word in (*facts, *members, *sorted(values)):
        if not _WORD.fullmatch(word):
            yield f"categories: {word!r} is no word; write it in lower-case letters a to z, hyphens within"
    if twice := [name for name, count in Counter([*facts, *members]).items() if count > 1]:
        yield f"categories: {twice[0]} stands there more than once; a category and a favourite have a word each"
    if shared := sorted(set(members) & (values | set(FRAME.split()))):
        yield f"categories: {shared[0]} is a favourite and a word about favourites; take another word for one of them"
    for category, names in facts.items():
        if len(names) < FEWEST["members"]:
            yield f"categories.{category}: {len(names)} words; give {FEWEST['members']} or more to choose from"
        fields = {tuple(about) for about in names.values()}
        if len(fields) != 1 or not next(iter(fields)):
            yield f"categories.{category}: every word needs the same attributes, one or more, in the same order"
        for field in next(iter(fields)):
            if len({about[field] for about in names.values()}) < 2:
                yield f"categories.{category}: {field} is the same for all; an attribute must tell some apart"


def _about_texts(words: Lexicon) -> Iterator[str]:
    for key in TEXTS:
        texts = getattr(words, key)
        if len(texts) < FEWEST[key]:
            yield f"{key}: {len(texts)} of them; give {FEWEST[key]} or more"
        if twice := [text for text, count in Counter(texts).items() if count > 1]:
            yield f"{key}: {twice[0]!r} stands there more than once"
    for key, text in words.texts():
        yield from _about_text(key, text)
    for verb in words.verbs:
        if longer := [other for other in words.verbs if other.startswith(f"{verb} ")]:
            yield f"verbs: {longer[0]!r} begins with {verb!r}; nobody could tell which of them a prompt has"


def _about_text(key: str, text: str) -> Iterator[str]:
    slots: Iterable[str] = {"questions": ("{k}",), "personas": ("{x}", "{k}")}.get(key, ())
    tokens = text.split(" ")
    if strange := [word for word in tokens if word not in slots and not _TOKEN.fullmatch(word)]:
        marks = ", ".join((". , ? !", *slots))
        yield f"{key}: {strange[0]!r} in {text!r} is no word; words are in lower case, one blank apart, beside {marks}"
    if slots and next(iter(slots)) not in tokens:
        yield f"{key}: {text!r} lacks {next(iter(slots))}, where the word goes"
    if len(tokens) > LONGEST_TEXT:
        yield f"{key}: a text of {len(tokens)} words; at most {LONGEST_TEXT}"
