"""What the programs that write a page of results share. They run in the repository's root."""

import argparse
import csv
import io
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from traitline import yaml_files

if TYPE_CHECKING:
    from traitline.study.config import Study


FAMILY = (
    "What is shown here is shown within this study. Corrected over all studies of this repository:"
    " [every declared outcome](repository-outcomes.md)."
)


def parser(module: str, about: str | None) -> argparse.ArgumentParser:
    """The command line of a program of this package that shows its docstring; `stage.run` runs it.

    Args:
        module: its name in this package.
        about: its docstring.
    """
    return argparse.ArgumentParser(
        prog=f"python -m traitline.analysis.{module}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def read_study(*configs: str) -> "Study":
    """The study of config.yaml with files laid over it in turn, as Snakemake lays them.

    Raises:
        InputError: a file is missing, or what it says is wrong.
    """
    from traitline.study.config import load

    files = ["config.yaml", *configs]
    whole: dict[str, Any] = {}
    for file in files:
        whole = _over(whole, yaml_files.read_table(file))
    return load(whole, files)


def _over(table: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Lay one table over another: tables inside likewise, all else is replaced."""
    both = {k: _over(table[k], v) for k, v in changes.items() if isinstance(v, dict) and isinstance(table.get(k), dict)}
    return table | changes | both


def as_csv(columns: Collection[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as CSV with a head: numbers with six digits, nothing where there is none."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([f"{row[c]:.6g}" if isinstance(row[c], float) else row[c] for c in columns])
    return out.getvalue()
