"""Draw what a program leaves on a terminal, at its end or at a moment of its run.

python -m tests.terminal_picture docs/images/run.svg --when "train .*left" -- .venv/bin/snakemake --cores all
"""

import argparse
import io
import itertools
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.style import Style
from rich.text import Text

from tests import terminal

SVG = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
    <style>
    .{unique_id}-matrix {{
        font-family: ui-monospace, Menlo, Consolas, monospace; font-size: {char_height}px; line-height: {line_height}px;
    }}
    {styles}
    </style>
    <defs>{lines}</defs>
    <rect fill="#1f2430" width="{width}" height="{height}" rx="8"/>
    <g transform="translate(9, 9)">
    {backgrounds}
    <g class="{unique_id}-matrix">
    {matrix}
    </g>
    </g>
</svg>
"""
COLOURS = {"brown": "yellow"}  # pyte's name of what others call yellow


def text(screen: "terminal.pyte.Screen") -> Text:
    """What stands on a screen, with its colours, without the blank lines below it."""
    lines = list[Text]()
    for y in range(screen.lines):
        line = Text()
        cells = [screen.buffer[y][x] for x in range(screen.columns)]
        for (fg, bold), run in itertools.groupby(cells, key=lambda cell: (cell.fg, cell.bold)):
            colour = COLOURS.get(fg, fg).replace("bright", "bright_")
            colour = f"#{colour}" if re.fullmatch("[0-9a-f]{6}", colour) else colour
            style = Style(color=None if colour == "default" else colour, bold=bold)
            line.append("".join(cell.data for cell in run), style)
        line.rstrip()
        lines.append(line)
    while lines and not lines[-1]:
        lines.pop()
    return Text("\n").join(lines)


def main() -> int:
    """Run a program and draw its screen."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("picture", type=Path)
    p.add_argument("--when", metavar="REGEX", default="", help="the last screen that shows this (default: the end)")
    p.add_argument("--columns", type=int, default=100)
    p.add_argument("command", nargs="+")
    args = p.parse_args()
    kept = list[Text]()

    def look(screen: "terminal.pyte.Screen") -> None:
        if re.search(args.when, "\n".join(screen.display)):
            kept[:] = [text(screen)]

    code, _ = terminal.run(args.command, Path.cwd(), columns=args.columns, look=look)
    if not kept:
        print(f"terminal_picture: error: no screen shows {args.when}", file=sys.stderr)
        return 2
    console = Console(record=True, width=args.columns, file=io.StringIO())
    console.print(kept[0])
    args.picture.write_text(console.export_svg(code_format=SVG, unique_id=args.picture.stem), encoding="utf-8")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
