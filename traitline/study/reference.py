"""The reference pages that are written by the code: the configuration, as a page and as a JSON schema for editors.

python -m traitline.study.reference docs/reference
"""

import argparse
import json
import types
import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from traitline.fields import LABEL
from traitline.study.config import Study

HEAD = """# Configuration

Written by `make docs` from the models in `traitline/study/config.py`; edit those.

`config.yaml` is always read. Files given with `--configfile` are laid over it in turn: tables are merged key by key,
lists and values are replaced. `--config key=value` comes last. Everything is checked before anything runs: an unknown
key, a wrong type, a label that is not declared end with one line that names file, line, key and what to write instead.

- *label*: `{label}`. Labels become folders of `results/`; those that are taken there are refused.
- *range*: `[low, high]`, half-open as in Python: `[3, 6]` is 3, 4 or 5.
- Numbers must be numbers: YAML reads `2e-4` as text, so write `2.0e-4`.
- In the column *default* a dash means that the key must be there. For a row of `experiments` it may be in `defaults`.
"""


def pages() -> dict[str, str]:
    """File name -> text."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Study.model_json_schema()}
    return {"config.md": page(), "config.schema.json": json.dumps(schema, indent=1, ensure_ascii=False) + "\n"}


def page() -> str:
    """The reference page: the study first, then every model it holds, in the order of their keys."""
    out = [HEAD.format(label=LABEL.strip("^$"))]
    todo: list[tuple[str, type[BaseModel]]] = [("", Study)]
    for path, model in todo:
        title = f"`{path}`" if path else "The study"
        out += [f"## {title}", "", (model.__doc__ or "").strip().replace("\n    ", "\n"), ""]
        out += ["| key | type | default | what it is |", "|---|---|---|---|"]
        for name, field in model.model_fields.items():
            spelled, below = describe(field.annotation, field.metadata)
            default = "-" if field.is_required() else f"`{json.dumps(field.default)}`"
            out.append(f"| `{name}` | {spelled} | {default} | {field.description} |")
            if below:
                todo.append((f"{path}.{name}".lstrip(".") + below[0], below[1]))
        out.append("")
    return "\n".join(out)


def describe(annotation: Any, metadata: list[Any]) -> tuple[str, tuple[str, type[BaseModel]] | None]:
    """(a type in words, the model inside it with the path to it)."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return describe(args[0], [*_metadata(args[1:]), *metadata])
    if origin is typing.Literal:
        return " or ".join(f"`{a}`" for a in args), None
    if origin in (typing.Union, types.UnionType):
        options = [describe(a, metadata) for a in args if a is not type(None)]
        return " or ".join(dict.fromkeys(words for words, _ in options)), options[0][1]
    if origin is dict:
        inner, below = describe(args[1], [])
        keys = {typing.Annotated: "label", typing.Literal: "key"}
        key = keys.get(typing.get_origin(args[0]), "stage")
        return f"{key} -> {inner}", (f".<label>{below[0]}", below[1]) if below else None
    if origin is list:
        if any(getattr(m, "max_length", None) == 2 for m in metadata):
            return "range", None
        inner, below = describe(args[0], [])
        return f"list of {inner}", (f"[]{below[0]}", below[1]) if below else None
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table", ("", annotation)
    bounds = [
        f"{sign} {getattr(m, name)}"
        for m in metadata
        for name, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))
        if getattr(m, name, None) is not None
    ]
    if any(getattr(m, "pattern", None) == LABEL for m in metadata):
        return "label", None
    words = {int: "whole number", float: "number", str: "text", bool: "true or false"}[annotation]
    return " ".join([words, " and ".join(bounds)]).strip(), None


def _metadata(args: tuple[Any, ...]) -> list[Any]:
    """Constraints, taken out of the `Field(...)` that holds them."""
    return [m for a in args for m in (a.metadata if hasattr(a, "metadata") else [a])]


def main(argv: list[str] | None = None) -> int:
    """Write the pages."""
    p = argparse.ArgumentParser(
        prog="python -m traitline.study.reference", description="Write the generated reference pages."
    )
    p.add_argument("folder", help="where they go: docs/reference")
    folder = p.parse_args(argv).folder
    for name, text in pages().items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
