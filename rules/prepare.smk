"""prepare: what a student gets to see: a subsample of fixed size, as it is or changed.

in   {base}/{trait}/{teacher}/{channel}/filtered.jsonl; for some datasets those of other teachers, or divergence.jsonl
out  .../{dataset}/dataset.jsonl, prepare.manifest.json
"""


include: "functions/prepare.smk"


rule prepare:
    input:
        filtered="<results>/<answers>/filtered.jsonl",
        beside=other_teachers,
        mix=other_bases,
        marks=divergence_marks,
    output:
        dataset="<results>/<dataset>/dataset.jsonl",
        manifest="<results>/<dataset>/prepare.manifest.json",
    log:
        "<logs>/prepare/<dataset>.log",
    benchmark:
        "<benchmarks>/prepare/<dataset>.tsv"
    localrule: "prepare" in STUDY.execution.local
    conda:
        ENVIRONMENT
    threads: STUDY.execution.threads
    resources:
        **hardware("prepare"),
    params:
        settings=dataset_flags,
        files=other_files_flags,
        code=digest("prepare"),
    shell:
        "python -m scripts.prepare"
        " --filtered {input.filtered:q}"
        " {params.settings:q}"
        " {params.files:q}"
        " --dataset {output.dataset:q}"
        " --manifest {output.manifest:q}"
        " > {log:q} 2>&1"
