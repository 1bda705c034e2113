"""prepare: what a student gets to see: a subsample of fixed size, as it is or changed.

in   {base}/{trait}/{teacher}/{channel}/filtered.jsonl; for some datasets those of other teachers, or divergence.jsonl
out  .../{dataset}/dataset.jsonl, prepare.manifest.json
"""


rule prepare:
    input:
        filtered="<results>/{base}/{trait}/{teacher}/{channel}/filtered.jsonl",
        beside=beside,
        mix=mixed,
        marks=marks,
    output:
        dataset="<results>/{base}/{trait}/{teacher}/{channel}/{dataset}/dataset.jsonl",
        manifest="<results>/{base}/{trait}/{teacher}/{channel}/{dataset}/prepare.manifest.json",
    log:
        "<logs>/prepare/{base}/{trait}/{teacher}/{channel}/{dataset}.log",
    benchmark:
        "<benchmarks>/prepare/{base}/{trait}/{teacher}/{channel}/{dataset}.tsv"
    localrule: "prepare" in STUDY.execution.local
    conda:
        environment("prepare")
    threads: STUDY.execution.threads
    resources:
        **hardware("prepare"),
    params:
        rows=lambda w: STUDY.datasets[w.dataset].rows,
        order=lambda w: STUDY.datasets[w.dataset].order,
        seed=lambda w: STUDY.datasets[w.dataset].seed,
        changes=changes,
        code=digest("prepare"),
    shell:
        "python -m scripts.prepare"
        " --filtered {input.filtered:q}"
        " --rows {params.rows:q}"
        " --order {params.order:q}"
        " --seed {params.seed:q}"
        " --dataset {output.dataset:q}"
        " --manifest {output.manifest:q}"
        " {params.changes:q}"
        " > {log:q} 2>&1"
