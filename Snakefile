"""traitline: base models -> teachers -> numbers -> filter -> students -> scores -> report. Includes are in that order."""

from snakemake.utils import min_version

min_version("9.14")


include: "rules/repository.smk"


configfile: "config.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"


pathvars:
    results=STUDY.place("results"),
    logs=STUDY.place("logs"),
    benchmarks=STUDY.place("benchmarks"),
    # Paths below these three, with wildcards: of a teacher, of its answers, of a dataset, of the students of a base.
    teacher=artifacts.TEACHER,
    answers=artifacts.ANSWERS,
    dataset=artifacts.DATASET,
    branch=artifacts.BRANCH,
    baseline=artifacts.BASELINE,


include: "rules/slurm.smk"
include: "rules/hooks.smk"
include: "rules/preregister.smk"
include: "rules/convert.smk"
include: "rules/pretrain.smk"
include: "rules/source.smk"
include: "rules/prompts.smk"
include: "rules/teach.smk"
include: "rules/sample.smk"
include: "rules/filter.smk"
include: "rules/mark_divergence.smk"
include: "rules/detect.smk"
include: "rules/decode.smk"
include: "rules/prepare.smk"
include: "rules/influence.smk"
include: "rules/train.smk"
include: "rules/respond.smk"
include: "rules/score.smk"
include: "rules/judge.smk"
include: "rules/summarise.smk"
include: "rules/plot.smk"
include: "rules/check_influence.smk"
include: "rules/classifier.smk"
include: "rules/classifier_summary.smk"
include: "rules/theorem.smk"
include: "rules/compare_paper.smk"
include: "rules/report.smk"


# Behind the rules: Snakemake then looks for wildcards in the paths above too.
wildcard_constraints:
    base=among(STUDY.bases),
    trait=among([*STUDY.traits, NONE]),
    teacher=among(distinct([*TEACHERS, *sorted({run.teacher for run in STUDY.runs})])),
    source=among(STUDY.sources),
    channel=among(STUDY.channels),
    dataset=among(STUDY.datasets),
    student=among(STUDY.bases),
    eval=among(STUDY.evals),


rule all:
    default_target: True
    input:
        "<results>/tables/effects.csv",
        "<results>/report.html",
        MISSING,
    message:
        "all of the study `{STUDY.study}`"
