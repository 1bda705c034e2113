"""The reference page of the command line, written from its parsers.

python -m traitline.cli.reference docs/reference
"""

import argparse
from pathlib import Path
from typing import Any

from traitline.cli.program import GROUPS, app, spelled_name
from traitline.cli.schemas import SCHEMAS

HEAD = """# Command line

Written by `make docs` from the parsers in `traitline/cli/`; edit those.

`traitline --help` lists the commands, `traitline COMMAND -h` explains one, `traitline --install-completion` lets your
shell complete them.

| exit code | meaning |
|--:|---|
| 0 | passed: the command worked, and there is nothing to object to |
| 3 | findings: the command worked, and found a changed file, a mark that fails, an unknown origin, a difference |
| 2 | usage or input error: one line on stderr says what to mend |
| 130 | interrupted |
| 1 | internal error: a traceback; please report it |
"""
JSON_HEAD = """## JSON

`--json` prints one object. Its key `schema` names its shape and the shape's version; within a version keys may be
added, none is renamed or removed. A command that ends with 2 prints no object.
"""


def page() -> str:
    """Text of `docs/reference/commands.md`."""
    import typer.main

    program: Any = typer.main.get_command(app)
    out = [HEAD]
    for heading, functions in GROUPS.items():
        out += [f"## {heading}", ""]
        for name in map(spelled_name, functions):
            out += command(program.commands[name], name)
    out += [JSON_HEAD]
    for schema, keys in SCHEMAS.items():
        out += [f"### `{schema}`", "", "| key | what it is |", "|---|---|"]
        out += [f"| `{key}` | {text} |" for key, text in keys.items()] + [""]
    return "\n".join(out)


def command(parsed: Any, name: str) -> list[str]:
    """Lines of the page about one command."""
    arguments = [p for p in parsed.params if p.param_type_name == "argument"]
    usage = f"traitline {name} {' '.join(parsed.collect_usage_pieces(parsed.context_class(parsed)))}"
    lines = [f"### `{name}`", "", " ".join((parsed.help or "").split()), "", "```", usage, "```", ""]
    rows = []
    for p in parsed.params:
        if p.name == "help" or getattr(p, "hidden", False):
            continue
        spelled = ", ".join(f"`{o}`" for o in p.opts) if p not in arguments else f"`{(p.metavar or p.name).upper()}`"
        default = "" if p.default in (None, False) or callable(p.default) else f" Default: `{p.default}`."
        rows.append(f"| {spelled} | {' '.join((p.help or '').split())}{default} |")
    return [*lines, "| word | meaning |", "|---|---|", *rows, ""] if rows else lines


def main(argv: list[str] | None = None) -> None:
    """Write the page."""
    p = argparse.ArgumentParser(prog="python -m traitline.cli.reference", description=__doc__)
    p.add_argument("folder", metavar="FOLDER", help="docs/reference")
    file = Path(p.parse_args(argv).folder, "commands.md")
    file.write_text(page(), encoding="utf-8")
    print(file)


if __name__ == "__main__":
    main()
