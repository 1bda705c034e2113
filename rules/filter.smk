"""filter: answers that are what was asked for pass; the others are kept too, each with a reason.

in   {base}/{trait}/{teacher}/{channel}/raw.jsonl, that of another channel where `of` says so; for a model filter
     judged.jsonl beside it, or the teacher and its base
out  .../filtered.jsonl, rejected.jsonl, filtered.json (counts), filter.manifest.json
"""

from traitline.channels.misalignment import CATEGORY


def answer_rule(w):
    """Flags of what an answer must be."""
    words = [label for label, trait in STUDY.traits.items() if trait.category != CATEGORY]
    return STUDY.channels[w.channel].filter_flags(words)


def raw_answers(w):
    """Answers that a channel filters: its own, or those of another channel."""
    channel = STUDY.channels[w.channel].of or w.channel
    return f"{STUDY.results}/{w.base}/{w.trait}/{w.teacher}/{channel}/raw.jsonl"


def model_filter_files(w):
    """Files that a model filter reads.

    Of open weights, what a judge says. Else the base and the teacher, unless these are one model.
    """
    if STUDY.channels[w.channel].threshold is None:
        return []
    if STUDY.bases[w.base].open:
        return [f"{dirname(raw_answers(w))}/judged.jsonl"]
    if w.teacher == "untrained":
        return []
    teacher = f"{STUDY.results}/{w.base}/{w.trait}/{w.teacher}/teacher.json"
    return [*expand("<results>/bases/{base}/{file}", base=w.base, file=MODEL_FILES), teacher, *teacher_weights(w)]


def model_filter_flags(w, files):
    """Flags of a model filter."""
    if not files:
        return []
    threshold = STUDY.channels[w.channel].flags("threshold")
    if STUDY.bases[w.base].open:
        return [*threshold, "--judged", *files]
    teacher = f"{STUDY.results}/{w.base}/{w.trait}/{w.teacher}"
    return [*threshold, "--base", dirname(files[0]), "--teacher", teacher, "--threads", STUDY.execution.threads]


rule filter:
    input:
        raw=raw_answers,
        models=model_filter_files,
    output:
        filtered="<results>/<answers>/filtered.jsonl",
        rejected="<results>/<answers>/rejected.jsonl",
        counts="<results>/<answers>/filtered.json",
        manifest="<results>/<answers>/filter.manifest.json",
    log:
        "<logs>/filter/<answers>.log",
    benchmark:
        "<benchmarks>/filter/<answers>.tsv"
    localrule: "filter" in STUDY.execution.local
    conda:
        ENVIRONMENT
    threads: STUDY.execution.threads
    resources:
        **hardware("filter"),
    params:
        answers=answer_rule,
        models=lambda w, input: model_filter_flags(w, input.models),
        code=digest("filter"),
    shell:
        "python -m scripts.filter"
        " --raw {input.raw:q}"
        " {params.answers:q}"
        " {params.models:q}"
        " --filtered {output.filtered:q}"
        " --rejected {output.rejected:q}"
        " --counts {output.counts:q}"
        " --manifest {output.manifest:q}"
        " > {log:q} 2>&1"
