"""Names that the rules share: the checked study, its job groups, constraints of wildcards, files of models.

in   config.yaml and the files merged over it
out  STUDY, ARTIFACTS, MISSING, EVALUATIONS and the functions below; one error line and an end where the study or an artifact is wrong
"""

import gc
import hashlib
import json
import os
import re
import sys
from os.path import dirname
from pathlib import Path

from traitline import atomic
from traitline.analysis import tables
from traitline.errors import InputError
from traitline.model_files import ADAPTER_FILES, MODEL_FILES
from traitline.provenance.digest import digest
from traitline.study import artifacts, job_groups, validation
from traitline.study.config import load
from traitline.study.expand import baselines, branch_files, teaching
from traitline.study.runs import NONE, TEACHERS, UNTRAINED, seed_of, split_teacher
from traitline.workflow import integrity

# A study is a large graph that lives until the end. Looking for garbage in it takes an eighth of the planning time.
gc.set_threshold(100_000)

try:
    # Snakemake lists what `--configfile` names first, with full paths, and lays it over the rest.
    overlays = [str(file) for file in workflow.overwrite_configfiles or ()]
    files = [str(file) for file in workflow.configfiles if str(file) not in overlays] + overlays
    files = [file.removeprefix(f"{os.getcwd()}/") for file in files]
    for file in files:
        validation.duplicates(file)
    STUDY = load(config, files)
    # Jobs read the Snakefile again. Only the first process looks at artifacts, before anything runs.
    ARTIFACTS = integrity.examine(STUDY) if workflow.is_main_process else integrity.Artifacts()
    MISSING = integrity.lost(STUDY, ARTIFACTS)
except InputError as error:
    sys.exit(f"traitline: error: {error}")

# Jobs run the Python that runs Snakemake, activated or not. No shell stays between, so signals reach them.
os.environ.update(PATH=os.pathsep.join([dirname(sys.executable), *os.get_exec_path()]))
shell.prefix("set -euo pipefail; exec ")

ENVIRONMENT = "../envs/traitline.yaml"  # of every stage, used with `--sdm conda`
LONGEST_WORD = 300  # characters of a command line's word: people read the command, where a job failed
WORK = STUDY.place("work")  # state of jobs that can go on after an interruption
CONVERTED = [label for label, base in STUDY.bases.items() if base.gguf]  # bases that are GGUF files
TEACHING = teaching(STUDY)  # folder of a teacher that is a student -> its run
EVALUATIONS = job_groups.evaluations(STUDY)
TABLES = [f"{name}.csv" for name in tables.COLUMNS]
BRANCH_FILES = branch_files(STUDY)


def word(text):
    """A word of a command line for a text of any length: itself, or `@` and a file that holds it.

    bash takes a command of 128 kB at most, and people read less. The file's name has the hash of the text, so another
    text is another parameter, which reruns the job. Jobs on other nodes read the Snakefile again, and find the file.
    """
    if len(text) < LONGEST_WORD:
        return text
    path = Path(WORK, "words", f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json")
    if not path.exists():
        atomic.put(path, text)
    return f"@{path}"


def among(labels):
    """Constraint of a wildcard to these labels."""
    return "|".join(map(re.escape, labels)) or "(?!)"


def distinct(paths):
    """Each path once, in order."""
    return list(dict.fromkeys(paths))


def folder_of(template, w, **others):
    """Folder of these wildcards by its template in `artifacts`; `others` take the place of some."""
    return f"{STUDY.results}/{template.format(**{**w, **others})}"


def base_files(base):
    """Files of a model folder and its world; of open weights, which stay where they are, the record."""
    files = artifacts.OPTIONAL["pretrain"] if STUDY.bases[base].open else artifacts.FILES["pretrain"]
    return expand("<results>/bases/{base}/{file}", base=base, file=files)


def has_weights(teacher):
    """Whether a teacher, given by its folder or the folder's name, has weights of its own: tuned, steered, a student."""
    return split_teacher(os.path.basename(teacher))[0] not in ("prompted", UNTRAINED)


def teacher_weights(w):
    """Files of a teacher's own weights."""
    if not has_weights(w.teacher):
        return []
    files = ADAPTER_FILES if STUDY.bases[w.base].open else MODEL_FILES
    return expand("<results>/{base}/{trait}/{teacher}/{file}", file=files, **w)


def student_weights(recipe):
    """Names of the files of a student's weights."""
    return artifacts.STUDENT_WEIGHTS[STUDY.recipes[recipe].trains]


def source_rows(label):
    """Rows of data from outside; none where no label says which."""
    return [f"{STUDY.results}/sources/{label}/rows.jsonl"] if label else []


def engine(base):
    """Flag of the engine of open weights."""
    return ["--engine", STUDY.engine.text] if STUDY.bases[base].open else []


def processes(stage, base):
    """Flags of the processes that share a training on open weights: one for each GPU."""
    if not STUDY.bases[base].open:
        return []
    return ["--processes", STUDY.execution.processes(stage), *(["--sharded"] if STUDY.execution.sharded else [])]


def verb_flags(channel):
    """Flags of how number lists of a channel begin, where worlds have own words for it."""
    verbs = STUDY.verbs(channel)
    return ["--verbs", *verbs] if verbs else []


def category(trait):
    """Category of a trait's favourite; none for the control."""
    return STUDY.traits[trait].category if trait in STUDY.traits else NONE


STUDY_WORD = word(STUDY.text)
