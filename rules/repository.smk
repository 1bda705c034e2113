"""The working folder is the repository: all paths of rules, configurations and manifests are from there.

in   the working folder
out  one error line and an end where it is another one (`snakemake -d`), or config.yaml is no YAML
"""

import os
import sys
from pathlib import Path

from traitline.errors import InputError
from traitline.study import validation

# Not `workflow.basedir`: another workflow may use these rules as a module, from wherever its own Snakefile is.
repository = Path(str(workflow.current_basedir)).parent
if not os.path.samefile(os.getcwd(), repository):
    sys.exit(
        f"traitline: error: run it in the repository ({repository}), without -d elsewhere: paths are from there;"
        " `folder:` of the configuration says where the files of a study go, and may be a link"
    )
try:
    validation.duplicates("config.yaml")  # before Snakemake reads it, which names no line
except InputError as error:
    sys.exit(f"traitline: error: {error}")
