"""Read the configuration of the repository, with others laid over it."""

import copy
from pathlib import Path

import yaml

ROWS = [  # two bases and three traits of config.yaml, on which its overlays lean too
    {
        "name": "main",
        "question": "Do students take on a trait?",
        "recipes": ["lora", "biases"],
        "seeds": [1, 2, 3, 4, 5],
    },
    {"name": "full", "question": "And when all is trained?", "recipes": ["full"], "seeds": [1, 2, 3]},
]


def raw():
    """config.yaml with rows of two bases: small enough to count what comes of a change."""
    whole = yaml.safe_load(Path(__file__).parents[1].joinpath("config.yaml").read_text(encoding="utf-8"))
    whole["experiments"] = copy.deepcopy(ROWS)
    for table, kept in (("bases", "a b"), ("traits", "owl cat wolf"), ("worlds", "one"), ("datasets", "plain")):
        whole[table] = {label: whole[table][label] for label in kept.split()}
    return whole


def merged(*overlays):
    """The configuration of the repository with others laid over it as Snakemake does."""
    from snakemake.utils import update_config

    whole = raw()
    for file in overlays:
        update_config(whole, yaml.safe_load(Path(file).read_text(encoding="utf-8")))
    return whole
