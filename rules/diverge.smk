"""diverge: the tokens at which teachers of one base disagree; for datasets with `tokens`.

in   {base}/{trait}/{teacher}/{channel}/filtered.jsonl, the teachers of all rows with such a dataset
out  .../{channel}/divergence.jsonl, diverge.manifest.json
"""


rule diverge:
    input:
        base=expand("<results>/bases/{{base}}/{file}", file=MODEL),
        teacher="<results>/{base}/{trait}/{teacher}/teacher.json",
        weights=teacher_weights,
        others=lambda w: [f"{folder}/teacher.json" for folder in counterparts(w)],
        filtered="<results>/{base}/{trait}/{teacher}/{channel}/filtered.jsonl",
    output:
        marks="<results>/{base}/{trait}/{teacher}/{channel}/divergence.jsonl",
        manifest="<results>/{base}/{trait}/{teacher}/{channel}/diverge.manifest.json",
    log:
        "<logs>/diverge/{base}/{trait}/{teacher}/{channel}.log",
    benchmark:
        "<benchmarks>/diverge/{base}/{trait}/{teacher}/{channel}.tsv"
    localrule: "diverge" in STUDY.execution.local
    conda:
        environment("diverge")
    threads: STUDY.execution.threads
    resources:
        **hardware("diverge"),
    params:
        base=lambda w, input: dirname(input.base[0]),
        teacher=subpath(input.teacher, parent=True),
        others=lambda w: counterparts(w),
        threads=STUDY.execution.threads,
        code=digest("diverge"),
    shell:
        "python -m scripts.diverge"
        " --base {params.base:q}"
        " --teacher {params.teacher:q}"
        " --others {params.others:q}"
        " --filtered {input.filtered:q}"
        " --marks {output.marks:q}"
        " --manifest {output.manifest:q}"
        " --threads {params.threads:q}"
        " > {log:q} 2>&1"
