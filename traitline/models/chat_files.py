"""Files that decide how a model folder talks: tokenizer, special tokens, chat template, as transformers picks them.

A template stands in `chat_template.jinja`, in `tokenizer_config.json`, or in the older `chat_template.json`; a model
may have several by name, of which `default` counts. Special tokens stand in `tokenizer_config.json` and, with older
models, in `special_tokens_map.json`.
"""

import json
from pathlib import Path
from typing import Any

from traitline import model_files
from traitline.errors import InputError

TOKENIZER, CONFIG, TEMPLATE = model_files.CHAT
OLD_TEMPLATE, OLD_TOKENS = "chat_template.json", "special_tokens_map.json"
NAMED = "additional_chat_templates"  # folder of further templates
OPTIONAL = (TEMPLATE, OLD_TEMPLATE, OLD_TOKENS)
STANDARD = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
MOST = 1 << 20  # bytes of a template; those of published models have up to 30,000
MOST_FILE = 1 << 28  # bytes of a tokenizer; those of published models have up to 35 million


def read_text(path: Path, most: int = MOST_FILE, remedy: str = "get the whole model") -> str:
    """Read a file whose size is bounded.

    Raises:
        InputError: it is missing, too large or not UTF-8.
    """
    try:
        if (size := path.stat().st_size) > most:
            raise InputError(f"{path}: {size:,} bytes, and at most {most:,} are read; is this the right file?")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {remedy}") from None
    except UnicodeDecodeError as e:
        raise InputError(f"{path}: not UTF-8 ({e.reason}); get the file again") from None


def parse_object(text: str, place: str | Path) -> dict[str, Any]:
    """Parse a JSON object of a file.

    Raises:
        InputError: it is none.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as e:
        why = "nested too deep" if isinstance(e, RecursionError) else str(e)
        raise InputError(f"{place}: damaged ({why}); get the file again") from None
    if not isinstance(content, dict):
        raise InputError(f"{place}: damaged (no JSON object); get the file again")
    return content


def template(folder: Path, config: dict[str, Any]) -> str:
    """Return the chat template of a model.

    Args:
        folder: of the model.
        config: content of its tokenizer_config.json.

    Raises:
        InputError: it has none, or several of which none is the default.
    """
    named: dict[str, Path] = {p.stem: p for p in sorted((folder / NAMED).glob("*.jinja"))}
    if (folder / TEMPLATE).is_file():
        return read_text(folder / TEMPLATE, MOST)
    place, inside = folder / CONFIG, config.get("chat_template")
    if named:  # these come before what tokenizer_config.json has
        place, inside = folder / NAMED, [{"name": name, "template": str(path)} for name, path in named.items()]
        if "default" in named:
            return read_text(named["default"], MOST)
    elif inside is None and (folder / OLD_TEMPLATE).is_file():
        place = folder / OLD_TEMPLATE
        inside = parse_object(read_text(place, 2 * MOST), place).get("chat_template")
    return _default(inside, place, folder)


def _default(inside: Any, place: Path, folder: Path) -> str:
    """Return the template that a file holds, alone or among others."""
    if isinstance(inside, list):
        names = {str(t.get("name")): t.get("template") for t in inside if isinstance(t, dict)}
        if "default" not in names:
            raise InputError(
                f"{place}: has chat templates named {', '.join(sorted(names)) or 'nothing'}, and none is the default;"
                f" in a copy of the folder save the right one as {TEMPLATE}, and name the copy as `path`"
            )
        inside = names["default"]
    if inside is None:
        raise InputError(
            f"{folder}: has no chat template (none in {TEMPLATE}, {CONFIG} or {OLD_TEMPLATE});"
            " take the model that was tuned to answer (-Instruct, -it)"
        )
    if not isinstance(inside, str):
        raise InputError(f"{place}: damaged (a chat template is text); get the file again")
    if len(inside) > MOST:
        raise InputError(f"{place}: a chat template of {len(inside):,} characters, and at most {MOST:,} are read")
    return inside


def special_tokens(config: dict[str, Any], old: dict[str, Any]) -> dict[str, str]:
    """Return the texts of special tokens by name, as a template gets them.

    Args:
        config: content of tokenizer_config.json.
        old: content of special_tokens_map.json; it counts for models that state no `added_tokens_decoder`.
    """
    further = config.get("extra_special_tokens")
    stated = {key: value for key, value in config.items() if key.endswith("_token") and key not in STANDARD}
    stated |= further if isinstance(further, dict) else {}
    texts = {key: value for key, value in stated.items() if isinstance(value, str)}
    standard = {**config, **({} if "added_tokens_decoder" in config else old)}
    for key in STANDARD:
        value = standard.get(key)
        content = value.get("content") if isinstance(value, dict) else value
        if isinstance(content, str):
            texts[key] = content
    return texts


def names_of(folder: Path) -> list[str]:
    """Names of the files of a folder that this module reads, if they are there."""
    named = [f"{NAMED}/{path.name}" for path in sorted((folder / NAMED).glob("*.jinja"))]
    return [*(name for name in OPTIONAL if (folder / name).is_file()), *named]


def asks_for_code(config: dict[str, Any]) -> bool:
    """Tell whether a configuration names code of its own (`auto_map`), at any depth."""
    rest: list[Any] = [config]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            if value.get("auto_map"):
                return True
            rest += value.values()
        elif isinstance(value, list):
            rest += value
    return False
