"""The working folder is the repository: all paths of rules, configurations and manifests are from there.

in   the working folder
out  one error line and an end where it is another one (`snakemake -d`), or config.yaml is no YAML
"""

import os
import sys

from traitline.errors import InputError
from traitline.study import validation

if not os.path.samefile(os.getcwd(), workflow.basedir):
    sys.exit(
        f"traitline: error: run it in the repository ({workflow.basedir}), without -d: paths are from there;"
        " `folder:` of the configuration says where the files of a study go, and may be a link"
    )
try:
    validation.duplicates("config.yaml")  # before Snakemake reads it, which names no line
except InputError as error:
    sys.exit(f"traitline: error: {error}")
