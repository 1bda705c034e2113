"""filter: answers that are what was asked for pass; the others are kept too, each with a reason.

in   {base}/{trait}/{teacher}/{channel}/raw.jsonl, that of another channel where `of` says so; for a model filter
     judged.jsonl beside it, or the teacher and its base
out  .../filtered.jsonl, rejected.jsonl, filtered.json (counts), filter.manifest.json
"""


rule filter:
    input:
        raw=raw_answers,
        models=judging,
    output:
        filtered="<results>/{base}/{trait}/{teacher}/{channel}/filtered.jsonl",
        rejected="<results>/{base}/{trait}/{teacher}/{channel}/rejected.jsonl",
        counts="<results>/{base}/{trait}/{teacher}/{channel}/filtered.json",
        manifest="<results>/{base}/{trait}/{teacher}/{channel}/filter.manifest.json",
    log:
        "<logs>/filter/{base}/{trait}/{teacher}/{channel}.log",
    benchmark:
        "<benchmarks>/filter/{base}/{trait}/{teacher}/{channel}.tsv"
    localrule: "filter" in STUDY.execution.local
    conda:
        environment("filter")
    threads: STUDY.execution.threads
    resources:
        **hardware("filter"),
    params:
        wanted=lambda w: filter_flags(STUDY.channels[w.channel]),
        models=lambda w, input: judging_flags(w, input.models),
        code=digest("filter"),
    shell:
        "python -m scripts.filter"
        " --raw {input.raw:q}"
        " {params.wanted:q}"
        " {params.models:q}"
        " --filtered {output.filtered:q}"
        " --rejected {output.rejected:q}"
        " --counts {output.counts:q}"
        " --manifest {output.manifest:q}"
        " > {log:q} 2>&1"
