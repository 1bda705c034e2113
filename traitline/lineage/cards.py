"""Claims of model folders: cards (README.md), adapter_config.json, config.json and mergekit's settings.

Of a card's front matter are read `base_model`, `base_model_relation`, `datasets`, `source_datasets`, and two fields
that are proposed here, since the hub has no word for them:

    distilled_from:                  # who wrote the training data: names on a hub, hashes, or tables of these
    - model: org/teacher
      revision: 40 hex digits        # optional
      sha256: 64 hex digits          # optional, of the weights
    selected_by: org/judge           # who chose among the data: a judge, a filter by a model; the same forms

`lineage.inputs` of a card that `traitline export` wrote are claims by hash; `lineage.traits` of a CARRIER say so.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from traitline import json_files, yaml_files
from traitline.errors import InputError
from traitline.lineage.claims import BASE, DATA, JUDGE, MOST, TEACHER, TRAIT, Claim, claims, commit, target_of, texts
from traitline.model_files import ADAPTER_CONFIG
from traitline.plain_files import read_text

FRONT = re.compile(r"---[ \t]*\r?\n(.*?)(?:\r?\n)---[ \t]*(?:\r?\n|$)", re.S)
LARGEST = 4 << 20  # bytes of a card
CARD = "README.md"
MERGE = ("mergekit_config.yml", "mergekit_config.yaml")
REMEDY = "look at who wrote it"
# Field of a card -> what it says. The last two are ours.
FIELDS = {
    "base_model": BASE,
    "datasets": DATA,
    "source_datasets": DATA,
    "distilled_from": TEACHER,
    "selected_by": JUDGE,
}
ORIGINAL = re.compile(r"original|extended(\|.*)?")  # words of the hub in `source_datasets`
ROLES = {"base": BASE, "data": DATA, "model": TEACHER, "teacher": TEACHER, "judge": JUDGE}


def front_matter(path: Path) -> dict[str, Any]:
    """The table at the head of a card; an empty one where it has none.

    Raises:
        InputError: it is no plain file, no UTF-8, or its head is no YAML table.
    """
    text = read_text(path, largest=LARGEST, remedy="no card is; " + REMEDY)
    match = FRONT.match(text)
    if not match:
        return {}
    table = yaml_files.parse(match[1], str(path), REMEDY)
    if table is not None and not isinstance(table, dict):
        raise InputError(f"{path}: its head holds no table of keys; {REMEDY}")
    return table or {}


def of_card(path: Path) -> list[Claim]:
    """Claims of a card about its folder.

    Raises:
        InputError: see `front_matter`.
    """
    table, about, result = front_matter(path), path.parent, list[Claim]()
    how = table.get("base_model_relation")
    for field, relation in FIELDS.items():
        source = f"{path}:{field}"
        named = list(_named(table.get(field)))
        for name, revision in named[:MOST]:
            if not ORIGINAL.fullmatch(name):
                result.append(
                    Claim(about, relation, target_of(name), source, revision, _word(how) if relation == BASE else None)
                )
    return [*dict.fromkeys(result), *_of_lineage(path, table.get("lineage"))]


def _named(value: Any) -> Iterator[tuple[str, str | None]]:
    """(name, commit) of what a field names: texts, or tables with `model`, `revision`, `sha256`."""
    for part in value if isinstance(value, list) else [value]:
        if isinstance(part, str) and part.strip():
            yield part, None
        elif isinstance(part, dict):
            names = [name for key in ("sha256", "model", "name") for name in texts(part.get(key))]
            for name in names:
                yield name, commit(part.get("revision"))


def _of_lineage(path: Path, lineage: Any) -> list[Claim]:
    """Claims by hash of a card that `traitline export` wrote."""
    if not isinstance(lineage, dict) or not isinstance(lineage.get("inputs"), list):
        return []
    subject = next(texts(lineage.get("sha256")), None)
    traits = list(texts(lineage.get("traits"))) if lineage.get("audit") == "CARRIER" else []
    result = [Claim(path.parent, TRAIT, trait[:80], f"{path}:lineage.traits") for trait in traits[:MOST]]
    for entry in lineage["inputs"][:MOST]:
        role = ROLES.get(str(entry.get("role"))) if isinstance(entry, dict) else None
        if role and isinstance(entry.get("sha256"), str):
            target = target_of(entry["sha256"])
            result.append(Claim(path.parent, role, target, f"{path}:lineage.inputs", subject=subject))
    return result


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and re.fullmatch(r"[a-z_-]{1,20}", value) else None


def of_adapter(path: Path) -> list[Claim]:
    """The base that an adapter's settings name.

    Raises:
        InputError: the file is damaged.
    """
    table = json_files.read_object(path, remedy=REMEDY)
    named = texts(table.get("base_model_name_or_path"))
    revision = commit(table.get("revision"))
    return claims(path.parent, BASE, named, f"{path}:base_model_name_or_path", revision=revision, how="adapter")


def of_config(path: Path) -> list[Claim]:
    """What the settings of a model say that it was loaded from: `_name_or_path`, as older libraries write it.

    Raises:
        InputError: the file is damaged.
    """
    table = json_files.read_object(path, remedy=REMEDY)
    return claims(path.parent, BASE, texts(table.get("_name_or_path")), f"{path}:_name_or_path")


def of_merge(path: Path) -> list[Claim]:
    """The models that mergekit merged.

    Raises:
        InputError: the file is damaged.
    """
    names = list[str]()
    todo: list[Any] = [yaml_files.read_table(path, remedy=REMEDY)]
    while todo and len(names) <= MOST:
        at = todo.pop()
        if isinstance(at, dict):
            for key, value in at.items():
                if key in ("model", "base_model", "path") and isinstance(value, str | dict):
                    names += _merged(value)
                elif isinstance(value, dict | list):
                    todo.append(value)
        elif isinstance(at, list):
            todo += at
    return claims(path.parent, BASE, names, f"{path}:model", how="merge")


# File of a model folder -> what reads its claims; settings of a model (`of_config`) count where nothing else is said.
READERS: dict[str, Callable[[Path], list[Claim]]] = {
    CARD: of_card, ADAPTER_CONFIG: of_adapter, **dict.fromkeys(MERGE, of_merge),
}  # fmt: skip


def _merged(value: Any) -> list[str]:
    """Names in a model of mergekit: `org/base+org/lora`, or a table of its parts."""
    if isinstance(value, str):
        return [part for part in value.split("+") if part.strip()]
    flat = [value.get("path"), *(value.get(key) for key in ("model", "lora"))]
    return [name for part in flat for name in (texts(part.get("path")) if isinstance(part, dict) else texts(part))]
