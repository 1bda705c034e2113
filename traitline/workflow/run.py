"""A study as one command: its configuration is looked at first, then Snakemake takes over.

Snakemake reads the files of `--configfile` before it reads the workflow, and answers a file that is missing or no YAML
with a traceback or without a line.
"""

import os
import sys
from collections.abc import Sequence

from traitline.errors import InputError


def command(
    configs: Sequence[str], *, cores: str = "all", profile: str | None = None, dry_run: bool = False
) -> list[str]:
    """The words that run a study.

    Args:
        configs: files laid over config.yaml, in turn.
        cores: how many, or `all`; a profile says it itself.
        profile: of Snakemake, such as `slurm`.
        dry_run: only plan.

    Raises:
        InputError: no workflow is here, or a file is missing or no table of YAML.
    """
    from traitline import yaml_files
    from traitline.study.validation import duplicates

    if not os.path.isfile("Snakefile"):
        raise InputError("Snakefile: no such file; run it in the repository of the study")
    for file in ["config.yaml", *configs]:
        duplicates(file)
        yaml_files.read_table(file)
    words = [sys.executable, "-m", "snakemake"]
    words += ["--profile", profile] if profile else ["--cores", cores]
    words += ["--dry-run"] if dry_run else []
    return [*words, *(["--configfile", *configs] if configs else [])]
