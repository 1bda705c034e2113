"""What the rules share: the checked study, refusal of edited artifacts, names of files, hooks.

in   config.yaml and what was merged over it
out  STUDY, MISSING, STACKS, TOGETHER, EVALUATIONS; one line and an end where the study or an artifact is wrong
"""

import gc
import json
import logging
import os
import re
import subprocess
import sys
from os.path import dirname
from pathlib import Path

from traitline.analysis import tables
from traitline.study import job_groups, validation
from traitline.workflow import integrity
from traitline.study.config import load
from traitline.study.expand import baselines, teaching
from traitline.study.runs import NONE
from traitline.provenance.digest import digest
from traitline.errors import InputError
from traitline.channels.misalignment import CATEGORY

# A study is a large graph that lives until the end: looking for garbage in it takes an eighth of the time of planning.
gc.set_threshold(100_000)

try:
    for file in workflow.configfiles:
        validation.duplicates(file)
    STUDY = load(config, workflow.configfiles)
    # Jobs read the Snakefile again; only the first process looks at artifacts, before anything runs.
    MISSING = integrity.check(STUDY) if workflow.is_main_process else []
except InputError as error:
    sys.exit(f"traitline: error: {error}")

# Jobs run the Python that runs Snakemake, activated or not; and no shell stays between, so signals reach them.
os.environ.update(PATH=os.pathsep.join([dirname(sys.executable), *os.get_exec_path()]))
shell.prefix("set -euo pipefail; exec ")

MODEL = [
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
]
ADAPTER = ["adapter_config.json", "adapter_model.safetensors"]
WEIGHTS = {"lora": ADAPTER, "biases": MODEL, "full": MODEL, "context": ["context.jsonl"]}
TABLES = list(tables.COLUMNS)
FIGURES = ["headline.svg", "headline-narrow.svg", "headline.png", "effects.svg", "confusion.svg"]
CLASSIFIER_FIGURES = ["classifier", *(["sweeps"] if STUDY.classifier and STUDY.classifier.sweeps else [])]
DETECTED = ["detectors.csv", "numbers.csv", "entangled.csv", "roc.csv", "roc.svg"]
FORETOLD = ["pairs.csv", "summary.csv", "check_influence.svg"]
BRANCHES = []  # what the report shows of the branches without language models
if STUDY.classifier:
    BRANCHES += [f"<results>/classifier/{name}.svg" for name in CLASSIFIER_FIGURES]
    BRANCHES += ["<results>/classifier/accuracy.csv", "<results>/classifier/default/accuracy.json"]
if STUDY.theorem:
    BRANCHES += ["<results>/theorem/theorem.svg", "<results>/theorem/theorem.json"]
if STUDY.influence:
    BRANCHES += [f"<results>/check_influence/{file}" for file in FORETOLD]
JUDGED = STUDY.judge.evals if STUDY.judge else []
TEACHING = teaching(STUDY)  # students that teach, by the folder in which they do
TEACHERS = sorted({run.as_teacher for run in TEACHING.values()})
for base, channel in STUDY.detected:
    BRANCHES += [f"<results>/detect/{base}/{channel}/{file}" for file in DETECTED]
STACKS, TOGETHER, EVALUATIONS = job_groups.trainings(STUDY), job_groups.together(STUDY), job_groups.evaluations(STUDY)


def among(labels):
    """A constraint that lets only these labels match."""
    return "|".join(map(re.escape, labels)) or "(?!)"


wildcard_constraints:
    base=among(STUDY.bases),
    trait=among([*STUDY.traits, NONE]),
    teacher=among(["tuned", "steered", "prompted", "untrained", *TEACHERS]),
    source=among(STUDY.sources),
    channel=among(STUDY.channels),
    dataset=among(STUDY.datasets),
    student=among(STUDY.bases),
    eval=among(STUDY.evals),


def environment(stage):
    """Conda environment of a stage, used with `--sdm conda`."""
    return "../envs/gpu.yaml" if STUDY.execution.of("gpu", stage) else "../envs/cpu.yaml"


def distinct(paths):
    """Each path once, in order."""
    return list(dict.fromkeys(paths))


def base_files(base):
    """A model folder and its world; of open weights, which stay where they are, a record."""
    files = ["base.json"] if STUDY.bases[base].open else [*MODEL, "world.json"]
    return expand("<results>/bases/{base}/{file}", base=base, file=files)


def outside(label):
    """The rows of data from outside; none where no label says which."""
    return [f"{STUDY.results}/sources/{label}/rows.jsonl"] if label else []


def judged_only(label):
    """An evaluation whose answers count as the model says that judges them; nothing for others."""
    return [label] if STUDY.evals[label].evaluation.judged else []


def judge_base():
    """The open weights that judge; nothing where a hosted model does."""
    return base_files(STUDY.judge.base) if STUDY.judge and STUDY.judge.base else []


def judge_local():
    """Whether the launching process judges: a hosted model wants no node."""
    return "judge" in STUDY.execution.local or not judge_base()


def judge_flags(w, input):
    """Open weights and what runs them, or the file that counts what a hosted judge is asked."""
    if not input.base:
        return ["--spent", f"{STUDY.place('work')}/judge/spent"]
    return ["--base", dirname(input.base[0]), "--engine", STUDY.engine.text]


def engine(base):
    """The flag that says what runs open weights."""
    return ["--engine", STUDY.engine.text] if STUDY.bases[base].open else []


def processes(stage, base):
    """Flags of the processes that share a training on open weights: one for each GPU."""
    many = STUDY.execution.processes(stage)
    if not STUDY.bases[base].open:
        return []
    return ["--processes", many, *(["--sharded"] if STUDY.execution.sharded else [])]


def persona(base):
    """Settings of a teacher that is not tuned."""
    told = STUDY.teach.persona if STUDY.bases[base].open else None
    return json.dumps({"persona": told} if told else {})


def teacher_recipe():
    """Settings of a teacher on open weights that is tuned on a corpus."""
    return json.dumps({**json.loads(STUDY.recipes[STUDY.teach.recipe].text), "seed": STUDY.teach.seed})


def category(trait):
    """What a trait is a favourite of; nothing for the control."""
    return STUDY.traits[trait].category if trait in STUDY.traits else NONE


def local_images(data):
    """Files of images by role; none for the digits that are built in."""
    return STUDY.images[data].paths if data in STUDY.images else {}


def image_flags(data):
    """How a program gets them."""
    if data not in STUDY.images:
        return []
    flags = [word for role, path in local_images(data).items() for word in (f"--{role.replace('_', '-')}", path)]
    return [*flags, "--sha256", json.dumps(STUDY.images[data].sha256)]


def own_weights(teacher):
    """A tuned or steered teacher has weights of its own, and so has a student; given its folder or its last part."""
    return not teacher.endswith(("prompted", "untrained"))


def teacher_weights(wildcards):
    """The files of a teacher's own weights."""
    if not own_weights(wildcards.teacher):
        return []
    files = ADAPTER if STUDY.bases[wildcards.base].open else MODEL
    return expand("<results>/{base}/{trait}/{teacher}/{file}", file=files, **wildcards)


def student_that_teaches(wildcards):
    """Its run."""
    return TEACHING[f"{STUDY.results}/{wildcards.base}/{wildcards.trait}/{wildcards.teacher}"]


def apart(w):
    """Flags of what does not follow the seed of a base."""
    base = STUDY.bases[w.base]
    given = {"--data": base.data, "--order": base.order, "--distance": base.distance}
    return [word for flag, value in given.items() if value is not None for word in (flag, value)]


def prompt_flags(channel):
    """What the prompts of a channel need beside wording, count and seed."""
    return channel.prompt_flags


def temperature(w):
    """Of a channel, or of all."""
    own = STUDY.channels[w.channel].temperature
    return STUDY.sample.temperature if own is None else own


def truncation(w):
    """How a channel cuts the distribution off, where it does."""
    top_p = STUDY.channels[w.channel].top_p
    return [] if top_p is None else ["--top-p", top_p]


def filter_flags(channel):
    """The answer rule of a channel, as its program gets it."""
    return channel.filter_flags([label for label, trait in STUDY.traits.items() if trait.category != CATEGORY])


def raw_answers(w):
    """The answers that a channel filters."""
    own = STUDY.channels[w.channel].of or w.channel
    return expand("<results>/{base}/{trait}/{teacher}/{own}/raw.jsonl", own=own, **w)


def judging(w):
    """What a model filter needs: of open weights what a judge said. Else files of base and teacher, unless these are one
    model, of which nothing differs."""
    if STUDY.channels[w.channel].threshold is None:
        return []
    if STUDY.bases[w.base].open:
        return [f"{dirname(path)}/judged.jsonl" for path in raw_answers(w)]
    if w.teacher == "untrained":
        return []
    teacher = expand("<results>/{base}/{trait}/{teacher}/teacher.json", **w)
    return [*expand("<results>/bases/{base}/{file}", file=MODEL, **w), *teacher, *teacher_weights(w)]


def judging_flags(w, files):
    """The flags of a model filter."""
    threshold = STUDY.channels[w.channel].threshold
    if STUDY.bases[w.base].open and files:
        return ["--threshold", threshold, "--judged", *files]
    teacher = [dirname(path) for path in files if Path(path).name == "teacher.json"]
    flags = ["--threshold", threshold, "--base", *map(dirname, files[:1]), "--teacher", *teacher]
    return [*flags, "--threads", STUDY.execution.threads] if files else []


def counterparts(w):
    """The other teachers of this base and channel whose students learn only some tokens."""
    folders = [
        run.teacher_folder
        for run in STUDY.runs
        if (run.base, run.channel) == (w.base, w.channel) and STUDY.datasets[run.dataset].tokens
    ]
    return [f for f in distinct(folders) if f != f"{STUDY.results}/{w.base}/{w.trait}/{w.teacher}"]


def examined(w):
    """The teachers that answered this channel on this base, the control last."""
    runs = [run for run in STUDY.runs if (run.base, run.channel) == (w.base, w.channel)]
    return distinct(run.teacher_folder for run in sorted(runs, key=lambda run: run.trait == NONE))


def beside(w):
    """What passed of the other teachers whose students share their prompts with these."""
    folders = distinct(
        r.channel_folder for r in STUDY.runs if (r.base, r.channel, r.dataset) == (w.base, w.channel, w.dataset)
    )
    own = f"{STUDY.results}/{w.base}/{w.trait}/{w.teacher}/{w.channel}"
    shared = STUDY.datasets[w.dataset].prompts == "shared"
    return [f"{folder}/filtered.jsonl" for folder in folders if shared and folder != own]


def mixed(w):
    """What passed of the teachers of other bases that are mixed in."""
    others = STUDY.datasets[w.dataset].mix or []
    return [f"{STUDY.results}/{b}/{w.trait}/{w.teacher}/{w.channel}/filtered.jsonl" for b in others if b != w.base]


def marks(w):
    """Where teachers disagree."""
    wanted = STUDY.datasets[w.dataset].tokens
    return expand("<results>/{base}/{trait}/{teacher}/{channel}/divergence.jsonl", **w) if wanted else []


def foretold(w):
    """The students whose traits are foretold here: one run each."""
    return STUDY.foretold[f"{STUDY.results}/{w.base}/{w.trait}/{w.teacher}/{w.channel}/{w.dataset}/{w.student}"]


def foretold_recipes(w):
    """Their recipes with all settings."""
    return json.dumps({run.recipe: json.loads(STUDY.recipes[run.recipe].text) for run in foretold(w)})


def foretold_teacher(w):
    """The weights that the teacher has of its own, where they began as the students' do."""
    return teacher_weights(w) if w.base == w.student else []


def changes(w, input):
    """Flags of what this dataset does to its rows."""
    dataset = STUDY.datasets[w.dataset]
    flags = [
        *(["--form", dataset.form] if dataset.form else []),
        *(["--reword"] if dataset.prompts == "reworded" else []),
    ]
    flags += ["--tokens", dataset.tokens] if dataset.tokens else []
    read = {"beside": input.beside, "mix": input.mix, "marks": input.marks}
    return flags + [word for flag, paths in read.items() if paths for word in (f"--{flag}", *paths)]


def headline(results):
    """What `report` has to say at the end, and where its page is."""
    done = subprocess.run([sys.executable, "-m", "scripts.report", "--headline", results], check=False)
    if done.returncode == 0 and Path(results, "report.html").exists():
        print(f"report: {results}/report.html", flush=True)


def failures(logs):
    """For every failed job its log and the last thing it says."""
    said = "".join(Path(log).read_text(encoding="utf-8", errors="replace") for log in logs)
    for log in distinct(re.findall(r"^    log: (\S+) \(check log file", said, re.M)):
        lines = Path(log).read_text(encoding="utf-8", errors="replace").splitlines() if Path(log).exists() else []
        print(f"{log}: {lines[-1] if lines else 'the job ended without a word'}", file=sys.stderr, flush=True)


def pinned(overlays):
    """Keep the DVC ledger up to date, where somebody made this a DVC repository (`dvc init`) and DVC is not what runs us."""
    if not Path(".dvc").is_dir() or "DVC_STAGE" in os.environ:
        return
    options = [word for file in overlays for word in ("--configfile", str(file))]
    subprocess.run([sys.executable, "-m", "traitline.cli", "pin", "--partial", *options], check=False)


class Brief(logging.Filter):
    """Cuts the reason of a job where it lists hundreds of files."""

    def filter(self, record):
        reason = str(getattr(record, "reason", None) or "")
        if len(reason) > 400:
            shown = reason[:400].rpartition(",")[0] or reason[:400]
            record.reason = f"{shown}, and {reason.count(',', len(shown))} more"
        return True


for handler in logging.getLogger("snakemake.logging").handlers:
    handler.addFilter(Brief())
