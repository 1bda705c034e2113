"""Render the report: template, style sheet and figures become one page that loads nothing."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from traitline.analysis import conclusions
from traitline.errors import InputError
from traitline.study.runs import NONE

NARROW, DASH = "\N{NARROW NO-BREAK SPACE}", "\N{EM DASH}"


def grouped(items: Iterable[Any], path: str) -> list[list[Any]]:
    """Items that share a value, in order of appearance (Jinja's own filter would sort them)."""
    groups: dict[Any, list[Any]] = defaultdict(list)
    for item in items:
        value = item
        for step in path.split("."):
            value = value[step] if isinstance(value, dict) else getattr(value, step)
        groups[value].append(item)
    return list(groups.values())


def runs(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the page of students is asked for, to show the runs behind a row of `effects.csv`."""
    keys: tuple[str, ...] = ("experiment", "channel", "base", "student", "recipe", "trait", "arm")
    if row["arm"] == "baseline":
        keys = ("student", "arm")
    elif row["arm"] == "control":
        row = {**row, "trait": NONE}
    return {k: row[k] for k in keys}


def behind(row: Mapping[str, Any], *, taught: bool = False) -> dict[str, Any]:
    """The same of a row of `tests.csv`: all runs that it compares, or those of the taught students alone."""
    one_trait = taught and row["trait"] != "all"
    return {k: row[k] for k in ("experiment", "recipe", *(["trait"] if one_trait else []))}


def figure(path: str) -> str:
    """An SVG of `plot`, fit to stand in the page: as wide as that, with letters up to 1.6 times their size.

    Raises:
        InputError: it holds something that a drawing does not need.
    """
    svg = Path(path).read_text(encoding="utf-8")
    if not svg.startswith("<svg") or re.search(r"<script|<foreignObject|\son\w+\s*=|(?:href|src)=\"(?!#)", svg, re.I):
        raise InputError(f"{path}: more than a drawing; delete the file to have it rebuilt")
    wide = re.search(r'viewBox="0 0 ([\d.]+)', svg)
    return svg.replace("<svg", f'<svg style="max-width:{1.6 * float(wide[1]):.0f}px"', 1) if wide else svg


def render(template: str, style: str, figures: dict[str, str], content: dict[str, Any]) -> str:
    """The page as text; everything but the style sheet and the figures is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    env = Environment(
        loader=FileSystemLoader(Path(template).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "tight": lambda text: text.replace(" %", NARROW + "%"),
        "percent": lambda v: DASH if v is None else conclusions.percent(v).replace(" ", NARROW),
        "points": lambda v: DASH if v is None else conclusions.points(v).replace(" ", NARROW),
        "share": lambda r: conclusions.between(r["low"], r["high"]),
        "gap": lambda r: conclusions.between(r["low"], r["high"], share=False),
        "logits": lambda v: DASH if v is None else conclusions.logits(v),
        "logits_gap": lambda r: conclusions.logits_between(r["low"], r["high"]),
        "grouped": grouped,
        "runs": runs,
        "behind": behind,
        "signed": lambda v, form: DASH if v is None else form.format(v),
        "p": lambda v: DASH if v is None else conclusions.pvalue(v),
        "thousands": lambda n: f"{n:,}".replace(",", NARROW),
    }
    drawn = {name.replace("-", "_"): Markup(svg) for name, svg in figures.items()}
    sheet = Markup(Path(style).read_text(encoding="utf-8"))
    return env.get_template(Path(template).name).render(**content, style=sheet, figures=drawn)
