"""filter: answers that are what was asked for pass; the others are kept too, each with a reason.

in   {base}/{trait}/{teacher}/{channel}/raw.jsonl
out  .../filtered.jsonl, rejected.jsonl, filtered.json (counts), filter.manifest.json
"""


rule filter:
    input:
        raw="<results>/{base}/{trait}/{teacher}/{channel}/raw.jsonl",
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
        code=digest("filter"),
    shell:
        "python -m scripts.filter"
        " --raw {input.raw:q}"
        " {params.wanted:q}"
        " --filtered {output.filtered:q}"
        " --rejected {output.rejected:q}"
        " --counts {output.counts:q}"
        " --manifest {output.manifest:q}"
        " > {log:q} 2>&1"
