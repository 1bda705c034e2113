"""mark_divergence: the tokens at which teachers of one base disagree; for datasets with `tokens`.

in   {base}/{trait}/{teacher}/{channel}/filtered.jsonl, the teachers of all rows with such a dataset
out  .../{channel}/divergence.jsonl, mark_divergence.manifest.json
"""


include: "functions/mark_divergence.smk"


rule mark_divergence:
    input:
        base=expand("<results>/bases/{{base}}/{file}", file=MODEL_FILES),
        teacher="<results>/<teacher>/teacher.json",
        weights=teacher_weights,
        others=lambda w: [f"{folder}/teacher.json" for folder in counterparts(w)],
        filtered="<results>/<answers>/filtered.jsonl",
    output:
        marks="<results>/<answers>/divergence.jsonl",
        manifest="<results>/<answers>/mark_divergence.manifest.json",
    log:
        "<logs>/mark_divergence/<answers>.log",
    benchmark:
        "<benchmarks>/mark_divergence/<answers>.tsv"
    localrule: "mark_divergence" in STUDY.execution.local
    conda:
        ENVIRONMENT
    threads: STUDY.execution.threads
    resources:
        **hardware("mark_divergence"),
    params:
        base=lambda w, input: dirname(input.base[0]),
        teacher=subpath(input.teacher, parent=True),
        others=counterparts,
        threads=STUDY.execution.threads,
        code=digest("mark_divergence"),
    shell:
        "python -m scripts.mark_divergence"
        " --base {params.base:q}"
        " --teacher {params.teacher:q}"
        " --others {params.others:q}"
        " --filtered {input.filtered:q}"
        " --marks {output.marks:q}"
        " --manifest {output.manifest:q}"
        " --threads {params.threads:q}"
        " > {log:q} 2>&1"
