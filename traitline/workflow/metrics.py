"""Headline figures of a study as metrics.json, which `dvc metrics` and `dvc exp show` print."""

import json

from traitline import csv_files

NAME = "metrics.json"
COLUMNS = {"rate": "rate", "beside_rate": "control"}  # of tests.csv -> name of the metric


def table_of(results: str) -> str:
    """The table that the figures are from."""
    return f"{results}/tables/tests.csv"


def metrics(results: str) -> dict[str, dict[str, float]]:
    """Experiment, recipe and trait -> how often students name the trait, and how often control students do.

    A rate is the mean over units of the exact probability of the trait's word, on the logit scale.

    Args:
        results: folder of the study's artifacts.

    Raises:
        InputError: there is no table, or a figure in it is no number.
    """
    file = table_of(results)
    figures: dict[str, dict[str, float]] = {}
    for line, row in csv_files.read(file):
        if row.get("comparison") == "rise":
            name = ".".join(row[key] for key in ("experiment", "recipe", "trait"))
            figures[name] = {to: csv_files.number(file, line, row, key) for key, to in COLUMNS.items() if row.get(key)}
    return {name: rates for name, rates in figures.items() if rates}  # none where every teacher was left out


def text(results: str) -> str:
    """Text of metrics.json."""
    return json.dumps(metrics(results), indent=1) + "\n"
