"""Claims: what cards, settings and records of other tools say that a model or data came from. Nobody checked them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HUB_NAME = re.compile(r"[\w-][\w.-]{0,95}/[\w-][\w.-]{0,95}", re.A)
ADDRESS = re.compile(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/(datasets/)?([^/?#]+/[^/?#]+)", re.I)
COMMIT = re.compile(r"[0-9a-f]{40}")
DIGEST = re.compile(r"(?:sha256:|urn:sha256:)?([0-9a-f]{64})", re.I)
LONGEST = 300  # characters of a name
MOST = 200  # claims of one file

# What a claim says of the thing that it names.
BASE = "base"  # the weights start from it
DATA = "data"  # it was trained on it
TEACHER = "teacher"  # it wrote the data
JUDGE = "judge"  # it chose among the data
SELF = "self"  # it is this
TRAIT = "trait"  # it carries this
ROLES = (BASE, DATA, TEACHER, JUDGE)


@dataclass(frozen=True)
class Claim:
    """One statement about an origin.

    Attributes:
        about: the folder or file that it is about.
        relation: one of `ROLES`, or `self`, or `trait`.
        target: `org/name` of a hub, `sha256:` and a hash, or a path or name in words.
        source: file and key that say it.
        revision: a commit of the hub.
        how: how a model came from its base (finetune, adapter, merge, quantized), where that is said.
        subject: sha256 of what it is about, where it speaks of bytes.
    """

    about: Path
    relation: str
    target: str
    source: str
    revision: str | None = None
    how: str | None = None
    subject: str | None = None

    @property
    def is_hub(self) -> bool:
        """Tell whether the target has the form of a name on a hub."""
        return bool(HUB_NAME.fullmatch(self.target))

    @property
    def sha256(self) -> str | None:
        """The hash that the target is, if it is one."""
        return self.target.removeprefix("sha256:") if self.target.startswith("sha256:") else None

    @property
    def named(self) -> str:
        """The target with its commit, for people."""
        return f"{self.target}@{self.revision[:12]}" if self.revision else self.target


def target_of(text: str) -> str:
    """The one spelling of what a claim names: addresses of the hub are names there, hashes are lower case.

    >>> target_of("https://huggingface.co/org/name/tree/main")
    'org/name'
    """
    text = text.strip()[:LONGEST]
    if address := ADDRESS.match(text):
        return address[2]
    if digest := DIGEST.fullmatch(text):
        return f"sha256:{digest[1].lower()}"
    return text.removeprefix("hf://").removeprefix("hub:").rstrip("/")


def texts(value: Any) -> Iterator[str]:
    """The names in a value that is one name or a list of them; what is no text is passed over."""
    for part in value if isinstance(value, list) else [value]:
        if isinstance(part, str) and part.strip():
            yield part


def commit(value: Any) -> str | None:
    """A commit, where a value is one; a branch says nothing about bytes."""
    return value if isinstance(value, str) and COMMIT.fullmatch(value) else None


def claims(about: Path, relation: str, names: Iterable[str], source: str, **more: Any) -> list[Claim]:
    """Claims of one relation about several names, no name twice, no more than anybody writes."""
    unique = dict.fromkeys(target_of(name) for name in names)
    return [Claim(about, relation, name, source, **more) for name in list(unique)[:MOST] if name]
