"""One line for a wrong configuration: file and line, key, what is wrong, what to write instead."""

import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from traitline import yaml_files
from traitline.errors import InputError, nearest
from traitline.fields import LABEL, LONGEST_LABEL, WANTED
from traitline.plain_files import read_text

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

# Keys under names of an earlier release -> what they are called now; `*` stands for any label or row.
RENAMED = {
    "base": "pretrain",
    "data": "sources",
    "views": "datasets",
    "kinds": "recipes",
    "channels.*.data": "source",
    "evals.*.data": "source",
    "teach.kind": "recipe",
    "experiments.*.view": "dataset",
    "experiments.*.kinds": "recipes",
    "experiments.*.of.kind": "recipe",
    "primary.kinds": "recipes",
}
NUMBER = re.compile(r"^([+-]?\d+)(?:\.(\d*))?[eE]([+-]?\d+)$")


def require_known(where: str, label: str, known: Iterable[str], what: str = "label declared for it") -> None:
    """Refuse a label that is not known there.

    Raises:
        ValueError: where, what the label is not, and the nearest that is.
    """
    names = list(known)
    if label not in names:
        raise ValueError(f"{where}: {label!r} is no {what}; {nearest(label, names)}")


def complain(
    error: "ValidationError", model: "type[BaseModel]", raw: Mapping[str, Any], files: Sequence[str]
) -> InputError:
    """The first problem of a validation as one line; renamed and unknown keys come first, they explain missing ones.

    Args:
        error: what pydantic found.
        model: the model that was validated.
        raw: the merged configuration, before rows inherited from `defaults`.
        files: the files it was merged from; without them the line names none.
    """
    # A wrong value in `defaults` is wrong in every row that inherits it, and is said once.
    problems = [e for e in error.errors() if not _is_inherited(e["loc"], raw)]
    problems.sort(key=lambda e: (e["type"] != "extra_forbidden", _renamed(e["loc"]) is None))
    first = problems[0]
    path = [p for p in first["loc"] if p != "[key]"]
    if path and first["type"] == "string_type" and first["loc"][-1] == "[key]":
        path[-1] = str(first["input"])
    message = _message(first, path, model)
    if first["type"] == "value_error":  # a check of ours; it may name a key below the model it belongs to
        below = re.match(r"^((?:[a-z_]+|\[\d+\])(?:[.\[][a-z0-9_.-]+\]?)*): (.*)$", message, re.S)
        if below:
            path, message = [*path, *_split(below[1])], below[2]
    place = path
    if _is_inherited(path, raw):
        place = ["defaults", *path[2:]]
        message += " (the row has it from `defaults`)"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    where = locate(place, files) if files else ""
    return InputError(f"{where}{_spell(path)}{': ' if path else ''}{message}{more}")


def _is_inherited(path: Sequence[str | int], raw: Mapping[str, Any]) -> bool:
    """Tell whether the value at a path such as `experiments[3].eval` stands in `defaults` and not in the row."""
    match path:
        case ["experiments", int(i), str(key), *_]:
            defaults, row = raw.get("defaults"), raw["experiments"][i]
            given = isinstance(defaults, dict) and defaults.get(key) is not None
            return given and isinstance(row, dict) and key not in row
        case _:
            return False


def _split(dotted: str) -> list[str | int]:
    return [int(p[1:-1]) if p.startswith("[") else p for p in re.findall(r"\[\d+\]|[^.\[]+", dotted)]


def _spell(path: Sequence[str | int]) -> str:
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")


def _renamed(path: Sequence[str | int]) -> str | None:
    """Today's name of a key of an earlier release."""
    for old, new in RENAMED.items():
        steps = old.split(".")
        if len(steps) == len(path) and all(s in ("*", p) for s, p in zip(steps, path, strict=True)):
            return new
    return None


def _message(e: "ErrorDetails", path: Sequence[str | int], model: "type[BaseModel]") -> str:
    kind, value = e["type"], e["input"]
    if kind == "string_type" and e["loc"] and e["loc"][-1] == "[key]":
        return f"YAML reads this label as {value!r}; put it in quotes"
    if kind == "extra_forbidden" and (new := _renamed(path)):
        return f"this key is now called `{new}`"
    if kind == "extra_forbidden":
        return f"unknown key; {nearest(str(path[-1]), _keys(model, path[:-1]))}"
    if kind == "missing":
        return "missing"
    if kind in ("float_type", "int_type"):
        wanted = "a number" if kind == "float_type" else "a whole number"
        if isinstance(value, str) and (m := NUMBER.match(value)):
            return f"YAML reads {value} as text; write {m[1]}.{m[2] or 0}e{int(m[3]):+d}"
        return f"wants {wanted}, not {value!r}"
    if kind == "value_error":
        return str(e["ctx"]["error"])
    if kind == "string_pattern_mismatch":
        return f"{WANTED.get(e['ctx']['pattern'], WANTED[LABEL])}; not {value!r}"
    if kind == "string_too_long":
        return f"{len(value)} characters; a label becomes the name of a folder, so it has {LONGEST_LABEL} at most"
    return f"{e['msg'][0].lower()}{e['msg'][1:]}, not {value!r}"


def _keys(model: Any, path: Sequence[str | int]) -> list[str]:
    """Names that the models know at a path."""
    for step in path:
        if isinstance(model, type) and hasattr(model, "model_fields"):
            if step not in model.model_fields:
                return []
            model = model.model_fields[str(step)].annotation
            while typing.get_origin(model) in (typing.Annotated, typing.Union, types.UnionType):
                model = typing.get_args(model)[0]
        else:
            model = typing.get_args(model)[-1]
    return list(getattr(model, "model_fields", {}))


def locate(path: Sequence[str | int], files: Sequence[str]) -> str:
    """`file:line: ` of the deepest known part of a path, in the last file that has it.

    Later files replace the lists of earlier ones, so an entry of a list is looked for in the last file with that list.
    """
    best, place = 0, f"{files[-1]}: "
    entry = next((i for i, step in enumerate(path) if isinstance(step, int)), len(path))
    for file in files:
        depth, line = _deepest(path, file)
        if depth and (depth >= best or depth > entry):
            best, place = depth, f"{file}:{line}: "
    return place


def _deepest(path: Sequence[str | int], file: str) -> tuple[int, int]:
    """Count the steps of a path that a file has, and find the line of the last."""
    import yaml

    with open(file, encoding="utf-8") as handle:
        node: yaml.Node | None = yaml.compose(handle, Loader=yaml.SafeLoader)
    line = 1
    for depth, step in enumerate(path):
        below: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(step):
                    below, line = value, key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            below = node.value[step]
            line = below.start_mark.line + 1
        if below is None:
            return depth, line
        node = below
    return len(path), line


def duplicates(file: str) -> None:
    """Refuse a configuration that is no plain YAML, or says a key twice (YAML readers keep the last one, silently).

    Raises:
        InputError: see `yaml_files.compose`.
    """
    yaml_files.compose(read_text(file, missing="name one that is there", largest=yaml_files.LARGEST), file)
