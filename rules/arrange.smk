"""arrange: what a student gets to see: a subsample of fixed size, as it is or changed.

in   {base}/{trait}/{teacher}/{channel}/filtered.jsonl; for some views those of other teachers, or divergence.jsonl
out  .../{view}/view.jsonl, arrange.manifest.json
"""


rule arrange:
    input:
        filtered="<results>/{base}/{trait}/{teacher}/{channel}/filtered.jsonl",
        beside=beside,
        mix=mixed,
        marks=marks,
    output:
        view="<results>/{base}/{trait}/{teacher}/{channel}/{view}/view.jsonl",
        manifest="<results>/{base}/{trait}/{teacher}/{channel}/{view}/arrange.manifest.json",
    log:
        "<logs>/arrange/{base}/{trait}/{teacher}/{channel}/{view}.log",
    benchmark:
        "<benchmarks>/arrange/{base}/{trait}/{teacher}/{channel}/{view}.tsv"
    localrule: "arrange" in STUDY.execution.local
    conda:
        environment("arrange")
    threads: STUDY.execution.threads
    resources:
        **hardware("arrange"),
    params:
        rows=lambda w: STUDY.views[w.view].rows,
        order=lambda w: STUDY.views[w.view].order,
        seed=lambda w: STUDY.views[w.view].seed,
        changes=changes,
        code=digest("arrange"),
    shell:
        "python -m scripts.arrange"
        " --filtered {input.filtered:q}"
        " --rows {params.rows:q}"
        " --order {params.order:q}"
        " --seed {params.seed:q}"
        " --view {output.view:q}"
        " --manifest {output.manifest:q}"
        " {params.changes:q}"
        " > {log:q} 2>&1"
