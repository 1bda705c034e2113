"""Read the configuration of the repository, with others laid over it."""

from pathlib import Path

import yaml


def raw():
    return yaml.safe_load(Path(__file__).parents[1].joinpath("config.yaml").read_text(encoding="utf-8"))


def merged(*overlays):
    """The configuration of the repository with others laid over it as Snakemake does."""
    from snakemake.utils import update_config

    whole = raw()
    for file in overlays:
        update_config(whole, yaml.safe_load(Path(file).read_text(encoding="utf-8")))
    return whole
