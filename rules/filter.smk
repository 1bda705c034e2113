"""filter: answers that are what was asked for pass; the others are kept too, each with a reason.

in   {base}/{trait}/{teacher}/{channel}/raw.jsonl, that of another channel where `of` says so; for a model filter
     judged.jsonl beside it, or the teacher and its base
out  .../filtered.jsonl, rejected.jsonl, filtered.json (counts), filter.manifest.json
"""


include: "functions/filter.smk"


from traitline.channels.misalignment import CATEGORY


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
        models=model_filter_flags,
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
