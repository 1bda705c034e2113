"""Read YAML as plain data: bounded, no key twice, and no alias that grows without end or holds itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitline.errors import InputError
from traitline.plain_files import read_text

if TYPE_CHECKING:
    import yaml

LARGEST = 1 << 20  # bytes of a file that people write
DEEPEST = 100  # tables and lists within each other, aliases followed
MOST = 100_000  # nodes, aliases followed
MISSING = "name one that is there"
REMEDY = "mend the file"


def read(path: str | Path, *, largest: int = LARGEST, missing: str = MISSING, remedy: str = REMEDY) -> Any:
    """Return the data in a YAML file; None where it holds nothing.

    Raises:
        InputError: it is no plain file, no YAML, no plain data, or breaks the rule of this module.
    """
    return parse(read_text(path, largest=largest, missing=missing, remedy=remedy), str(path), remedy)


def read_table(path: str | Path, *, missing: str = MISSING, remedy: str = REMEDY) -> dict[str, Any]:
    """Return the table in a YAML file; an empty one where it holds nothing.

    Raises:
        InputError: see `read`; or it holds something else.
    """
    table = read(path, missing=missing, remedy=remedy)
    if table is None:
        return {}
    if not isinstance(table, dict):
        raise InputError(f"{path}: holds no table of keys; {remedy}")
    return table


def parse(text: str, place: str, remedy: str = REMEDY) -> Any:
    """Return the data of a YAML text; `place` is its file.

    Raises:
        InputError: see `read`.
    """
    import yaml

    node = compose(text, place, remedy)
    loader = yaml.SafeLoader("")
    try:
        return None if node is None else loader.construct_document(node)
    except yaml.YAMLError as e:
        raise InputError(f"{place}{_line(e)}: not plain data: {getattr(e, 'problem', None) or e}; {remedy}") from None
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError) as e:  # no date, an empty number
        raise InputError(f"{place}: not plain data: {e}; {remedy}") from None
    finally:
        loader.dispose()


def compose(text: str, place: str, remedy: str = REMEDY) -> "yaml.Node | None":
    """Return the nodes of a YAML text, each with its line.

    Raises:
        InputError: see `read`.
    """
    import yaml

    if why := bomb(text):
        raise InputError(f"{place}: not plain data: {why}; {remedy}")
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as e:
        raise InputError(f"{place}{_line(e)}: not YAML: {getattr(e, 'problem', None) or e}; {remedy}") from None
    except (ValueError, RecursionError):  # ValueError: an escape of no character
        raise InputError(f"{place}: not YAML; {remedy}") from None
    for mapping in _mappings(node):
        _require_distinct_keys(mapping, place)
    return node


def _line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}" if mark else ""


def bomb(text: str, most: int = MOST) -> str | None:
    """State why a text would make more nodes, or deeper ones, than anybody writes; None where it does not.

    Looks at events, before any node is made: neither depth nor size costs anything there. Errors of grammar are left
    to the composer, which has the better words.
    """
    import yaml

    known = dict[str, tuple[int, int]]()  # anchor -> nodes, levels of what it names
    outer = [("", 0, 0)]  # (anchor, nodes so far, levels so far) of every open table and list
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.CollectionStartEvent):
                outer.append((event.anchor or "", 1, 1))
                nodes, levels = 0, 0
            elif isinstance(event, yaml.CollectionEndEvent):
                anchor, nodes, levels = outer.pop()
                known[anchor] = nodes, levels
            elif isinstance(event, yaml.AliasEvent):
                if event.anchor in {anchor for anchor, _, _ in outer}:
                    return f"the alias *{event.anchor} holds itself"
                nodes, levels = known.get(event.anchor or "", (1, 0))
            elif isinstance(event, yaml.ScalarEvent):
                nodes, levels = 1, 0
                known[event.anchor or ""] = nodes, levels
            else:
                continue
            anchor, before, deep = outer[-1]
            outer[-1] = anchor, before + nodes, max(deep, levels + 1)
            if before + nodes > most:
                return f"more than {most:,} values, aliases counted"
            if len(outer) + levels > DEEPEST:
                return f"nested more than {DEEPEST} times"
    except (yaml.YAMLError, ValueError):
        return None
    return None


def _mappings(node: "yaml.Node | None") -> "Iterator[yaml.MappingNode]":
    """Yield every table below a node once, in no order."""
    import yaml

    todo, seen = [node], set[int]()
    while todo:
        at = todo.pop()
        if at is None or id(at) in seen:
            continue
        seen.add(id(at))
        if isinstance(at, yaml.SequenceNode):
            todo += at.value
        elif isinstance(at, yaml.MappingNode):
            todo += [value for _, value in at.value]
            yield at


def _require_distinct_keys(mapping: "yaml.MappingNode", place: str) -> None:
    """Refuse a table that says a key twice (YAML readers keep the last one, silently), or whose key is no word."""
    import yaml

    seen = dict[str, int]()
    for key, _ in mapping.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise InputError(f"{place}:{line}: a list or a table stands where a key belongs; write a word")
        if key.value in seen:
            raise InputError(f"{place}:{line}: {key.value}: also stands in line {seen[key.value]}; keep one")
        seen[key.value] = line
