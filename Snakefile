"""traitline: base models -> teachers -> numbers -> filter -> students -> scores -> report. Includes are in that order."""

from snakemake.utils import min_version

min_version("9.14")


configfile: "config.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"


pathvars:
    results=STUDY.place("results"),
    logs=STUDY.place("logs"),
    benchmarks=STUDY.place("benchmarks"),


include: "rules/slurm.smk"
include: "rules/preregister.smk"
include: "rules/pretrain.smk"
include: "rules/source.smk"
include: "rules/prompts.smk"
include: "rules/teach.smk"
include: "rules/sample.smk"
include: "rules/filter.smk"
include: "rules/mark_divergence.smk"
include: "rules/detect.smk"
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


rule all:
    default_target: True
    input:
        "<results>/tables/effects.csv",
        "<results>/report.html",
        MISSING,
    message:
        "all of the study `{STUDY.study}`"


onstart:
    # A limit on starts (by default 100 a second) makes Snakemake plan anew a second after every planning, so with each job
    # once more a second, until that is all it does. Without a limit it plans when a job ends.
    workflow.scheduler.job_rate_limiter = None


onsuccess:
    headline(STUDY.results)
    pinned(workflow.overwrite_configfiles)


onerror:
    failures(log)
